"""Builds the table of all runs for pandas."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from reports.reading.runs import RunRecord

if TYPE_CHECKING:
    import pandas


def make_dataframe(runs: Sequence[RunRecord]) -> "pandas.DataFrame":
    """Returns one row a run; `reports.results` describes the columns."""
    import pandas

    rows = [_describe_run(run) for run in runs]
    names = sorted({name for run in runs for name in run.metrics})
    known = list(dict.fromkeys(column for row in rows for column in row))
    # A metric cannot take the place of a column that describes the run.
    measured = [name for name in names if name not in known]
    for run, row in zip(runs, rows, strict=True):
        for name in measured:
            row |= {name: run.metrics.get(name, math.nan), f"{name}_reference": run.reference.get(name, math.nan)}
    columns = known + [column for name in measured for column in (name, f"{name}_reference")]
    return pandas.DataFrame(rows, columns=columns)


def _describe_run(run: RunRecord) -> dict[str, Any]:
    config = run.config
    row: dict[str, Any] = {
        "run_id": run.id,
        "name": run.name,
        "variant": config.variant,
        "dataset": config.dataset.name,
        "seed": config.seed,
        "status": run.state,
        "epoch": run.epoch,
        "cause": run.cause,
        "recipe_name": run.recipe_name,
    }
    row |= {f.name: getattr(config.recipe, f.name) for f in fields(config.recipe)}
    row |= {f.name: getattr(config.dataset, f.name) for f in fields(config.dataset) if f.metadata}
    row |= {f.name: getattr(config, f.name) for f in fields(config) if f.name not in ("recipe", *row)}
    row["seconds"] = run.seconds
    return row | {f"parameters_{network}": count for network, count in sorted(run.parameters.items())}
