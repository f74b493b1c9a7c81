"""Made-up runs, as records and on disk, and the page that compares them."""

import io
import math
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from benchmarks.config import PROTOCOL_VERSION, DatasetConfig, RunConfig
from benchmarks.run_folder.folder import RunFolder
from metrics.base import Measurement, Metric
from reports import pages
from reports.analysis.sections import group_into_sections
from reports.figures.illustrations import IllustratedSection
from reports.reading.runs import RunRecord
from variants.recipe import Recipe

REFERENCE = {"fid": 1.25, "accuracy": 0.989}


FACTS = {"parameters": {"generator": 1234, "discriminator": 567}, "class_names": ["0", "1"], "updates_per_epoch": 10}


ENVIRONMENT = {
    "device": "cpu",
    "threads": 1,
    "recipe": "default",
    "code": "c0de",
    "notes": [],
    "protocol": "against 10,000 real test images",
    "extractor": {"name": "mnist", "sha256": "e" * 64, "accuracy": [0.9953, 0.9948]},
    "protocol_version": PROTOCOL_VERSION,
}


NOTHING = Measurement(lambda: None, ())


def known(name: str, direction: str = "min", family: bool = False, summary: str = "what it is") -> Metric:
    needs: frozenset[str] = frozenset()
    return Metric(name, summary, direction, (0.0, math.inf), 0.0, needs, "Somebody 2020", NOTHING, family=family)


METRICS = {m.name: m for m in (known("fid"), known("accuracy", "max"), known("accuracy_class", "max", family=True))}


def config(variant: str = "cgan_mlp", seed: int = 0, dataset: str = "mnist", **changes: object) -> RunConfig:
    recipe = {name: changes.pop(name) for name in list(changes) if name in Recipe.__dataclass_fields__}
    values = {"checksum": "c" * 64, "extractor": "e" * 64, **changes}
    return RunConfig(variant, Recipe(**{"epochs": 3, **recipe}), DatasetConfig(dataset), seed, **values)


def lines(metrics: Mapping[str, float], epochs: int = 3, offset: float = 0.0) -> tuple[dict, ...]:
    """A journal: an untrained evaluation, then an evaluation an epoch that ends at `metrics`."""
    return tuple(
        {
            "epoch": epoch,
            "curves": {"generator_loss": 2.0 + offset - epoch / 4, "discriminator_loss": 0.5 + epoch / 8}
            if epoch
            else {},
            "metrics": {name: value + epochs - epoch for name, value in metrics.items()},
            "timing": {"time": 1e9 + epoch, "seconds": 2.0 if epoch else 0.0},
        }
        for epoch in range(epochs + 1)
    )


def record(config: RunConfig, metrics: Mapping[str, float] | None = None, **changes: object) -> RunRecord:
    values = {
        "id": config.name,
        "name": config.name,
        "state": "FINISHED",
        "cause": "",
        "lines": lines({"fid": 10.0} if metrics is None else metrics),
        "reference": REFERENCE,
        "parameters": FACTS["parameters"],
        "environment": ENVIRONMENT,
        "classes": ("0", "1"),
        "updates": 10,
    }
    return RunRecord(config=config, **{**values, **changes})


def picture(shade: int = 128) -> bytes:
    out = io.BytesIO()
    Image.new("L", (30, 30), shade).save(out, "PNG")
    return out.getvalue()


BROKEN = "generator_loss is nan in epoch 2"


def on_disk(runs_dir: Path, config: RunConfig, metrics: Mapping[str, float], state: str = "FINISHED") -> RunFolder:
    folder = RunFolder.create(runs_dir, config)
    folder.write_environment(ENVIRONMENT)
    folder.write_json("reference.json", REFERENCE)
    folder.write_json("facts.json", FACTS)
    for line in lines(metrics, config.recipe.epochs, config.seed / 10):
        folder.append(line)
    folder.write_bytes(folder.picture_name(config.recipe.epochs), picture())
    causes = {"FAILED": {"cause": BROKEN}, "KILLED": {"cause": "it said so"}}
    folder.set_status(state, epoch=config.recipe.epochs, **causes.get(state, {}))
    return folder


def page(runs: list[RunRecord], code: str = "") -> str:
    made, left_out = group_into_sections(runs, list(METRICS), code)
    return pages.render_comparison([IllustratedSection(section) for section in made], left_out, METRICS)


def cells(markdown: str, row: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if re.match(rf"\| *{re.escape(row)} *\|", line))
    return [cell.strip() for cell in line.strip("|").split("|")]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
