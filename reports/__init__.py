"""Reports what the runs show: reads them back, decides, draws, and writes pages.

reading/     reads runs back, from run folders or through MLflow
analysis/    decides into plain records: verdicts, standings, comparable sections
figures/     draws curves, forest plots and sample grids
pages/       renders the records as Markdown and HTML, from templates that hold all sentences
records.py   packs the records of all runs into one archive beside a report
build.py     is the command `python -m reports.build`: finds the runs and writes the report

    python -m reports.build [--runs-dir DIR | --tracking-uri URI] [--out DIR] [--html]     compares all runs
        --preset NAME                  answers the questions by the plan of this preset, a page each
        --questions NAME …             answers only these
        --fill PAGE                    rewrites its table of arms, or its list of findings, in a page instead
        --records                      keeps the records of the runs beside the report (needs --runs-dir)
        --seeds N --dataset NAME --tuned FILE --plugin FILE.py
                                       make the plan; give them as to the suite

From Python, one row a run, and the same reports:

    from reports import report, results
    results()                                                       # the runs in MLflow
    results(runs_dir="runs").query("status == 'FINISHED'").groupby(["variant", "dataset"]).fid.agg(["mean", "std"])
    report("out", "quick", runs_dir="runs", html=True)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from benchmarks.suites.plan import Plan

__all__ = ["fill", "report", "results"]


def results(
    runs_dir: Path | str | None = None, tracking_uri: str | None = None, experiment: str | None = None
) -> "pandas.DataFrame":
    """Returns all runs as a pandas DataFrame, one row a run, ordered by variant, dataset, seed and name.

    runs_dir: reads the run folders there, without MLflow. tracking_uri: the MLflow store; by default
    $MLFLOW_TRACKING_URI or sqlite:///mlflow.db. experiment: by default $MLFLOW_EXPERIMENT_NAME or gan-benchmark.

    Columns: run_id, name, variant, dataset, seed, status (FINISHED, FAILED, KILLED, RUNNING, NONE), epoch (the last one
    done), cause (of a failure); recipe_name and every field of the recipe; options and checksum of the dataset,
    extractor, samples, evaluate_every, precision; seconds of training; parameters_generator, parameters_discriminator;
    every metric under its own name, as measured at the end of training, and as `<metric>_reference` its value on real
    data. NaN stands for a metric that does not apply, and for every metric of a run that did not finish; an infinite
    metric is infinite. Raises variants.recipe.UserError where there is nothing to read.
    """
    from reports.analysis.dataframe import make_dataframe
    from reports.reading.runs import find_runs

    return make_dataframe(find_runs(runs_dir=runs_dir, tracking_uri=tracking_uri, experiment=experiment).runs)


def report(
    out: Path | str,
    preset: str = "",
    questions: Sequence[str] = (),
    *,
    runs: Sequence[str] = (),
    runs_dir: Path | str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    seeds: int = 0,
    dataset: str = "",
    tuned: Path | str | None = None,
    html: bool = False,
    records: bool = False,
) -> list[str]:
    """Writes a report into `out`, as python -m reports.build does; returns the lines for the screen.

    preset: answers the questions by its plan; "" compares all runs. questions: answers only these. seeds, dataset,
    tuned (a file): make the plan; give them as to the suite. runs, runs_dir, tracking_uri, experiment: choose the runs,
    as in `reading.runs.find_runs`. html: writes one HTML file as well. records: keeps the records of the runs in
    runs_dir beside the report. A preset without questions has a table instead (`fill`).

    Questions and presets of a plugin are known after benchmarks.load_plugins. Raises
    UserError where there is nothing to read, where the plan cannot be made, and where `out` cannot be written.
    """
    from reports.build import build_report
    from reports.reading.runs import find_runs
    from variants.recipe import UserError

    if records and runs_dir is None:
        raise UserError("--records needs --runs-dir: the records are those of run folders")
    records_of = runs_dir if records else None
    if not preset:
        return build_report(find_runs(runs, runs_dir, tracking_uri, experiment), out, html, records_of=records_of)
    from benchmarks.questions.presets import find_preset

    if find_preset(preset).arms:
        raise UserError(f"the preset {preset} asks no questions; --fill PAGE writes its table")
    plan, settings, kept = _make_plan(preset, questions, runs_dir, seeds=seeds, dataset=dataset, tuned=tuned)
    found = find_runs(runs, runs_dir, tracking_uri, experiment)
    partial = bool(questions)
    return build_report(found, out, html, plan=plan, tuned=settings, plans=kept, partial=partial, records_of=records_of)


def fill(
    page: Path | str,
    preset: str,
    *,
    runs: Sequence[str] = (),
    runs_dir: Path | str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    seeds: int = 0,
    dataset: str = "",
    tuned: Path | str | None = None,
) -> list[str]:
    """Rewrites a preset's table of arms, or its list of findings, in a page; returns the lines for the screen.

    The options are as above. Raises UserError where there is nothing to read, and for a page that has no place for
    either.
    """
    from reports.build import fill_page
    from reports.reading.runs import find_runs

    plan, settings, kept = _make_plan(preset, (), runs_dir, seeds=seeds, dataset=dataset, tuned=tuned)
    return fill_page(find_runs(runs, runs_dir, tracking_uri, experiment), plan, Path(page), settings, kept)


def _make_plan(
    preset: str,
    questions: Sequence[str],
    runs_dir: Path | str | None,
    *,
    seeds: int,
    dataset: str,
    tuned: Path | str | None,
) -> tuple["Plan", Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Returns the plan of a preset, the tuned settings that it was made with, and the plans kept beside the runs."""
    from benchmarks.questions.presets import find_preset
    from benchmarks.suites.plan import make_plan
    from benchmarks.suites.plan_history import load_plans
    from benchmarks.suites.tuned_settings import load_tuned_settings

    wanted = find_preset(preset)
    settings = load_tuned_settings(wanted, tuned)
    plan = make_plan(wanted, questions, tuned=settings, dataset=dataset, seeds=seeds)
    return plan, settings, load_plans(runs_dir, preset) if runs_dir is not None else []
