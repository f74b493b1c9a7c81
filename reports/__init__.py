"""What was learnt: runs are read back, compared, and told in tables, figures and words.

    build.py        python -m reports.build: finds the runs and writes the report
    runs.py         MLflow or run folders -> RunRecords; the only place that reads them
    tables.py       RunRecords -> sections of comparable runs, their arms, and the DataFrame of `results`
    figures.py      curves with bands over seeds, sample grids, forest plots
    pages.py        sections -> Markdown, and the same Markdown as one self-contained HTML file
    statistics.py   shifts with exact intervals, tests against margins, the seeds still needed
    verdicts.py     comparisons and their numbers -> verdicts, corrected for their number, and what makes them fragile
    calibrate.py    python -m reports.calibrate: how often verdicts are wrong, where the truth is known

From Python, one row a run:

    from reports import results
    results()                                                       # the runs in MLflow
    results(runs_dir="runs").query("status == 'FINISHED'").groupby(["variant", "dataset"]).fid.agg(["mean", "std"])
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__all__ = ["results"]


def results(runs_dir: Path | str | None = None, tracking_uri: str | None = None) -> "pandas.DataFrame":
    """All runs as a pandas DataFrame, one row a run, ordered by variant, dataset, seed and name.

    runs_dir: reads the run folders there, without MLflow. tracking_uri: the MLflow store; by default
    $MLFLOW_TRACKING_URI or sqlite:///mlflow.db.

    Columns: run_id, name, variant, dataset, seed, status (FINISHED, FAILED, KILLED, RUNNING, NONE), epoch (the last one
    done), cause (of a failure); recipe_name and every field of the recipe; options and checksum of the dataset,
    extractor, samples, evaluate_every, precision; seconds of training; parameters_generator, parameters_discriminator;
    every metric under its own name, as measured at the end of training, and as `<metric>_reference` its value on real
    data. A metric that does not apply, and every metric of a run that did not finish, is missing (NaN); an infinite
    one is infinite. Raises variants.recipe.Refused where there is nothing to read.
    """
    from reports.runs import find
    from reports.tables import frame

    return frame(find(runs_dir=runs_dir, tracking_uri=tracking_uri).runs)
