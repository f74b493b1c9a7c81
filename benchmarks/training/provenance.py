"""Records where, by what code and by what command a run was made; no part of its key."""

import ast
import hashlib
import platform
import shlex
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.algorithm.device import device_name
from benchmarks.config import DEFAULT_PROBES, DEFAULT_SAMPLES, FOLDER, PRECISIONS, PROTOCOL_VERSION, RunConfig
from benchmarks.datasets import Dataset
from metrics.features import Extractor
from variants import load_variant

HOUSE = Path(__file__).resolve().parents[2]

# The rooms whose code decides what a run computes. Reports, tracking, pictures and command lines do not.
DECIDING = {
    "variants": "variants",
    "metrics": "metrics",
    "datasets": "benchmarks/datasets",
    "algorithm": "benchmarks/algorithm",
    "evaluation": "benchmarks/evaluation",
    "training": "benchmarks/training",
}


def describe_environment(
    device: torch.device, dataset: Dataset, config: RunConfig, extractors: Sequence[Extractor], notes: Sequence[str]
) -> dict[str, Any]:
    """Returns the environment of a run that starts now, as JSON values.

    Names no host, no user, and no folder, except that of the user's own images in the command.
    """
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
        "code": fingerprint(),
        "recipe": load_variant(config.variant).nearest(config.recipe)[0],
        "command": format_command(config),
        "extractor": {
            "name": " ".join(sorted({each.name for each in extractors})),
            "sha256": config.extractor,
            "accuracy": [each.accuracy for each in extractors],
        },
        "dataset": dataset.name,
        "notes": list(notes),
        "protocol": dataset.reference_note,
        "protocol_version": PROTOCOL_VERSION,
    }


def format_command(config: RunConfig) -> str:
    """Returns the command line that trains this run again."""
    recipe, changes = load_variant(config.variant).nearest(config.recipe)
    dataset = FOLDER + config.dataset.path if config.dataset.path else config.dataset.name
    options: dict[str, Any] = {"variant": config.variant, "dataset": dataset, "seed": config.seed}
    options |= {"recipe": recipe, **changes, "evaluate_every": config.evaluate_every}
    options |= config.dataset.options()
    # What is not said is that of the parent, if there is one.
    if config.parent or config.samples != DEFAULT_SAMPLES:
        options["samples"] = config.samples
    if config.parent or config.precision != PRECISIONS[0]:
        options["precision"] = config.precision
    words = ["python", "-m", "benchmarks.run"] + (["--quick-metrics"] if not config.thorough else [])
    if config.parent:
        words += ["--from", config.parent_name]
    for plugin in config.plugins:
        words += ["--plugin", plugin.rpartition(":")[0]]
    if config.inception:
        words += ["--extractor", "inception"]
    if config.parent or config.probes != DEFAULT_PROBES:
        words += ["--probes", *(config.probes or ["none"])]
    for name, value in options.items():
        values = value if isinstance(value, tuple) else (str(value).lower() if isinstance(value, bool) else value,)
        words += ["--" + name.replace("_", "-"), *map(str, values)]
    return shlex.join(words)


@cache
def fingerprint(**more: str) -> str:
    """Returns the SHA-256 of the code that decides what a run computes: its syntax trees, without docstrings.

    more: further rooms, by label. Each room counts under its label, and the files in it by what they hold, so that
    moving one changes nothing.
    """
    digest = hashlib.sha256()
    for label, room in (DECIDING | more).items():
        trees = sorted(_tree(path.read_bytes()) for path in (HOUSE / room).rglob("*.py"))
        digest.update("\n".join([label, *trees, ""]).encode())
    return digest.hexdigest()


def _tree(source: bytes) -> str:
    """Returns the syntax tree of a file, without docstrings and without the way to the modules that it imports."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.ImportFrom) and node.module:
            node.module = node.module.rpartition(".")[2]
    return ast.dump(tree)
