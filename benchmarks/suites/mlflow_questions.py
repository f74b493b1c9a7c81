"""Records the questions of a suite in MLflow: a parent run for each, its arms below it.

    question.<name>   a tag of every training run that serves the question; its value is the arm
    run name          of such a run: its arm and its seed, which fit the columns and legends of the user interface; the
                      name of its folder is the tag `folder`
    parent run        named after the question; tags: the claims, the preset, the hash of the plan
    below it          one run an arm, by its name: of each metric its mean over seeds, and <metric>.low and
                      <metric>.high, the 95 % interval of that mean (Student's t, of finished runs); the ids of its
                      training runs as a tag; its recipe as params

These runs are a view. Decisions stand in the report, which is made from the training runs themselves.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.questions import Question
from benchmarks.questions.outcomes import explain_failure
from benchmarks.run_folder.folder import ENDED, RunFolder
from benchmarks.suites.plan import Plan, PlannedArm
from benchmarks.tracking.client import NOTE, connect, resolve_uri, translate_errors
from benchmarks.tracking.entities import sanitize_name
from benchmarks.tracking.upload import sync_when_free

if TYPE_CHECKING:
    from mlflow import MlflowClient

# The longest value of a tag that MLflow takes.
_LONGEST = 5000


def record_question(
    plan: Plan,
    question: Question,
    runs: Mapping[str, Sequence[str]],
    runs_dir: Path,
    uri: str | None,
    experiment: str | None = None,
) -> str:
    """Writes or updates a question with its arms, and returns the id of its parent run.

    runs: run folders by the name of the arm; those that have not ended are sent, and do not count. Raises UserError
    where MLflow cannot be used.
    """
    uri = resolve_uri(uri)
    with translate_errors(uri):
        client, experiment_id = connect(uri, experiment)
        tags = {
            "kind": "question",
            "question": question.name,
            "preset": plan.preset.name,
            "plan": plan.hash,
            NOTE: f"**{question.asks}**\n\n"
            + "\n\n".join(f"{claim}: {words}" for claim, words in question.claims.items()),
        }
        parent = _run(client, experiment_id, f"{plan.preset.name}/{question.name}", question.name, tags)
        for arm in plan.arms_for(question.name):
            folders = [RunFolder(runs_dir / name) for name in runs.get(arm.name, ())]
            ids = [sync_when_free(folder, uri, experiment) for folder in folders]
            for run_id, folder in zip(ids, folders, strict=True):
                client.set_tag(run_id, f"question.{question.name}", arm.arm.label[:_LONGEST])
                client.update_run(run_id, name=f"{arm.name}, seed {folder.config().seed}")
            _record_arm(client, experiment_id, parent, plan, question, arm, folders, ids)
        client.set_terminated(parent)
    return parent


def _record_arm(
    client: "MlflowClient",
    experiment: str,
    parent: str,
    plan: Plan,
    question: Question,
    arm: PlannedArm,
    folders: Sequence[RunFolder],
    ids: Sequence[str],
) -> None:
    from mlflow.entities import Metric, Param

    states = [(folder.status()["state"], folder) for folder in folders]
    journals = [(state, folder.lines()) for state, folder in states if state in ENDED]
    failed = sum(bool(explain_failure(state, lines)) for state, lines in journals)
    tags = {
        "kind": "arm",
        "mlflow.parentRunId": parent,
        "question": question.name,
        "arm": arm.arm.label,
        "variant": arm.arm.variant,
        "dataset": arm.dataset.name,
        "preset": plan.preset.name,
        "plan": plan.hash,
        "runs": " ".join(ids)[:_LONGEST],
        "seeds": f"{len(journals)} of {len(arm.seeds)} seeds, {failed} failed",
    }
    run_id = _run(client, experiment, f"{plan.preset.name}/{question.name}/{arm.name}", arm.name, tags)
    finished = [lines for state, lines in journals if state == "FINISHED"]
    measured: dict[str, list[float]] = {name: [] for name in question.table_metrics}
    for lines in finished:
        metrics = next((line["metrics"] for line in reversed(lines) if line.get("metrics")), {})
        for name in question.table_metrics:
            if name in metrics:
                measured[name].append(metrics[name])
    now = max((int(1000 * line["timing"]["time"]) for lines in finished for line in lines[-1:]), default=0)
    entities = [Metric("failed", failed, now, 0), Metric("finished", len(finished), now, 0)]
    for name, values in measured.items():
        for end, value in zip(("", ".low", ".high"), mean_and_interval(values), strict=True):
            if not math.isnan(value):
                entities.append(Metric(sanitize_name(name) + end, value, now, 0))
    params = [Param(sanitize_name(name), str(value)) for name, value in arm.recipe.as_dict(neutral=False).items()]
    known = client.get_run(run_id).data.params
    client.log_batch(run_id, metrics=entities, params=[param for param in params if param.key not in known])
    client.set_terminated(run_id)


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns the mean and the ends of its 95 % interval by Student's t; NaN for too few or non-finite values."""
    if not values or not all(map(math.isfinite, values)):
        return math.nan, math.nan, math.nan
    from scipy.stats import sem, t

    mean = fmean(values)
    if len(values) < 2 or not (error := float(sem(values))):
        return mean, math.nan, math.nan
    low, high = t.interval(0.95, len(values) - 1, mean, error)
    return mean, float(low), float(high)


def _run(client: "MlflowClient", experiment: str, key: str, name: str, tags: Mapping[str, Any]) -> str:
    """Returns the id of the run with this key, which is created if needed, with these tags."""
    found = client.search_runs([experiment], f"tags.suite_key = '{key}'", max_results=1)
    if not found:
        return client.create_run(experiment, tags={"suite_key": key, **tags}, run_name=name).info.run_id
    run_id = found[0].info.run_id
    for tag, value in tags.items():
        if found[0].data.tags.get(tag) != str(value):
            client.set_tag(run_id, tag, value)
    return run_id
