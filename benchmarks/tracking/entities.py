"""Turns a run folder into the params, tags and metrics that MLflow shows. Pure functions: nothing is sent."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.run_folder.folder import RunFolder
from benchmarks.run_folder.symptoms import describe_symptoms

_MAIN_FIGURES = ("fid", "mode_coverage", "overlap", "accuracy")
_MOVIE = "samples.gif"


def make_params(folder: RunFolder) -> dict[str, str]:
    """Returns the params of a run: its config, flat, and the parameter counts of its networks."""
    values = folder.config().as_dict()
    recipe, dataset = values.pop("recipe"), values.pop("dataset")
    # The parent is a tag, which can be looked for.
    values.pop("parent")
    # Where a person's images lie is no setting, and may change from machine to machine, as a param cannot.
    dataset.pop("path")
    parameters = folder.facts().get("parameters")
    flat = {
        **values,
        "dataset": dataset.pop("name"),
        **{f"dataset.{name}": value for name, value in dataset.items()},
        **recipe,
        **{f"parameters.{name}": n for name, n in (parameters if isinstance(parameters, dict) else {}).items()},
    }
    return {sanitize_name(name): str(value)[:6000] for name, value in flat.items()}


def make_tags(folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]) -> dict[str, str]:
    """Returns the tags of a run; none that is empty."""
    config, environment = folder.config(), folder.environment()
    extractor = environment.get("extractor")
    named = extractor if isinstance(extractor, dict) else {"sha256": config.extractor}
    tags = {
        "variant": config.variant,
        "dataset": config.dataset.name,
        "seed": config.seed,
        **{name: environment.get(name) for name in ("recipe", "device", "code", "command")},
        "extractor": f"{named.get('name', '')} {str(named.get('sha256', ''))[:8]}".strip(),
        "note": "; ".join(folder.notes()),
        "not_finite": _describe_not_finite(lines),
        "symptoms": describe_symptoms(status),
        "run_key": config.key,
        "parent": config.parent_name,
        "folder": folder.name,
        **{name: status.get(name) for name in ("state", "epoch", "cause")},
        "mlflow.loggedImages": "True" if folder.pictures() else "",
        **{sanitize_name(f"reference.{name}"): f"{value:.6g}" for name, value in folder.reference().items()},
    }
    return {name: str(value)[:5000] for name, value in tags.items() if value not in (None, "")}


def make_description(folder: RunFolder, lines: list[dict[str, Any]], run_id: str) -> str:
    """Returns what a reader of a run that ended wants first, in Markdown.

    That is its main figures, which the user interface shows before anything is unfolded; its samples as they became;
    all figures beside those of real data; and the command that trains it again.
    """
    config, real = folder.config(), folder.reference()
    measured = [line for line in lines if line.get("metrics")]
    figures = measured[-1]["metrics"] if measured else {}
    main = ", ".join(f"{name} {figures[name]:.4g}" for name in _MAIN_FIGURES if name in figures)
    title = f"**{config.variant} on {config.dataset.name}, seed {config.seed}**"
    parts = [f"{title}: {main}" if main else title]
    if folder.file(_MOVIE).exists():
        # The address that the user interface itself has for an artifact.
        parts.append(f"![samples during training](get-artifact?path={_MOVIE}&run_uuid={run_id})")
    if figures:
        head = (f"| epoch {measured[-1]['epoch']} | this run | real data |", "| --- | ---: | ---: |")
        rows = (f"| {n} | {v:.4g} | {f'{real[n]:.4g}' if n in real else '–'} |" for n, v in figures.items())
        parts.append("\n".join((*head, *rows)))
    if command := folder.environment().get("command"):
        parts.append(f"To train it again:\n\n```sh\n{command}\n```")
    return "\n\n".join(parts)[:5000]


def _describe_not_finite(lines: list[dict[str, Any]]) -> str:
    """Returns which metrics are infinite or NaN, and in which epochs."""
    found: dict[str, list[int]] = defaultdict(list)
    for epoch, key, value in iter_metrics(lines):
        if not math.isfinite(value):
            found[f"{key} is {value}"].append(epoch)
    return "; ".join(f"{what} in epoch {', '.join(map(str, epochs[:20]))}" for what, epochs in found.items())


def iter_metrics(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, float]]:
    """Yields epoch, key in MLflow and value of every figure of a journal."""
    prefixes = {"metrics": "", "curves": "training/"}
    for line in lines:
        for section, figures in line.items():
            if section != "epoch":
                prefix = prefixes.get(section, f"{sanitize_name(section)}/")
                for name, value in figures.items():
                    if (section, name) != ("timing", "time"):
                        yield line["epoch"], prefix + sanitize_name(name), value


def sanitize_name(name: str) -> str:
    """Replaces and cuts what MLflow does not take in a name."""
    return re.sub(r"[^\w. /-]", "_", name, flags=re.ASCII)[:200]
