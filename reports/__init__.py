"""What was learnt: runs are read back, compared, judged, and told in tables, figures and words.

    build.py           python -m reports.build: finds the runs and writes the report

    runs.py            MLflow or run folders -> RunRecords; the only place that reads them
    tables.py          RunRecords -> sections of comparable runs, their arms, and the DataFrame of `results`
    evidence.py        a plan and RunRecords -> each run at its arm, each arm's numbers, what may not be compared
    checks.py          whether a decision tests its claim: what has to hold of the runs before it is taken
    verdicts.py        comparisons and their numbers -> verdicts, corrected for their number, and what they hang on
    answers.py         the whole of a report on questions as plain records: verdicts, controls, deviations from the plan
    standings.py       all arms on the same data: means with intervals, who leads beyond doubt, ranks

    words.py           outcomes, effects and verdicts in the words of a student
    illustrations.py   which pictures a question's page has
    records.py         the records of all runs as one archive beside a report
    figures/           curves with bands, forest plots, sample grids
    pages/             Markdown, and the same Markdown as one self-contained HTML file

    statistics.py      shifts with exact intervals, tests against margins, the seeds still needed
    calibrate.py       python -m tests.soak.calibrate: how often verdicts are wrong, where the truth is known
    precision.py       python -m tests.soak.precision: whether a reduced precision changes what comes out

    python -m reports.build [--runs-dir DIR | --tracking-uri URI] [--out DIR] [--html]     compares all runs
        --preset NAME                  answers the questions by the plan of this preset, a page each
        --questions NAME …             some of them only
        --records                      with the records of the runs beside the report (from --runs-dir)
        --seeds N --dataset NAME --tuned FILE --plugin FILE.py
                                       as the suite was told, so that the plan is the same

From Python, one row a run, and the same reports:

    from reports import report, results
    results()                                                       # the runs in MLflow
    results(runs_dir="runs").query("status == 'FINISHED'").groupby(["variant", "dataset"]).fid.agg(["mean", "std"])
    report("out", "quick", runs_dir="runs", html=True)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__all__ = ["report", "results"]


def results(
    runs_dir: Path | str | None = None, tracking_uri: str | None = None, experiment: str | None = None
) -> "pandas.DataFrame":
    """All runs as a pandas DataFrame, one row a run, ordered by variant, dataset, seed and name.

    runs_dir: reads the run folders there, without MLflow. tracking_uri: the MLflow store; by default
    $MLFLOW_TRACKING_URI or sqlite:///mlflow.db. experiment: there; by default $MLFLOW_EXPERIMENT_NAME or gan-benchmark.

    Columns: run_id, name, variant, dataset, seed, status (FINISHED, FAILED, KILLED, RUNNING, NONE), epoch (the last one
    done), cause (of a failure); recipe_name and every field of the recipe; options and checksum of the dataset,
    extractor, samples, evaluate_every, precision; seconds of training; parameters_generator, parameters_discriminator;
    every metric under its own name, as measured at the end of training, and as `<metric>_reference` its value on real
    data. A metric that does not apply, and every metric of a run that did not finish, is missing (NaN); an infinite
    one is infinite. Raises variants.recipe.UserError where there is nothing to read.
    """
    from reports.analysis.tables import make_dataframe
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
    """Writes a report into `out`, as python -m reports.build does; returns the lines that it says.

    preset: answers the questions by its plan; "" compares all runs. questions: some of them only. seeds, dataset,
    tuned (a file): as the suite was told. runs, runs_dir, tracking_uri, experiment: which runs, as in `runs.find_runs`.
    records: keeps the records of the runs in runs_dir beside the report. Questions and presets of a plugin are known
    after benchmarks.load_plugins. Raises UserError where there is nothing to read, where the plan cannot be made, and
    where `out` cannot be written.
    """
    from benchmarks import plugins
    from reports.build import build_report
    from reports.reading.runs import find_runs
    from variants.recipe import UserError

    plugins.load_installed()
    if records and runs_dir is None:
        raise UserError("--records needs --runs-dir: the records are those of run folders")
    records_of = runs_dir if records else None
    if not preset:
        return build_report(find_runs(runs, runs_dir, tracking_uri, experiment), out, html, records_of=records_of)
    from benchmarks.questions import presets
    from benchmarks.suites.plan import make_plan
    from benchmarks.suites.plan_history import load_plans
    from benchmarks.suites.tuned_settings import load_tuned_settings

    wanted = presets.find_preset(preset)
    settings = load_tuned_settings(wanted, tuned)
    plan = make_plan(wanted, questions, tuned=settings, dataset=dataset, seeds=seeds)
    kept = load_plans(runs_dir, preset) if runs_dir is not None else []
    found = find_runs(runs, runs_dir, tracking_uri, experiment)
    partial = bool(questions)
    return build_report(found, out, html, plan=plan, tuned=settings, plans=kept, partial=partial, records_of=records_of)
