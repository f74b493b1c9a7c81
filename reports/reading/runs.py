"""Finding runs and reading them: MLflow says which there are, their run folders say what happened in them.

What is read here may come from a stranger: names, labels and causes are plain text that only `pages.escape` may put
into a page, and pictures are decoded, never passed on.
"""

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.config import CHANGED, PROTOCOL_VERSION, RunConfig
from benchmarks.run_folder.folder import (
    ABSENT_REFERENCE,
    ENVIRONMENT,
    FACTS,
    JOURNAL,
    REFERENCE,
    STATUS,
    RunFolder,
    list_run_folders,
    resolve_state,
)
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.tracking.download import TrackedRun


_READ = (JOURNAL, STATUS, ENVIRONMENT, REFERENCE, FACTS)


@dataclass(frozen=True)
class RunRecord:
    """One run, as its folder tells it: what a report knows of it.

    id: MLflow's, or the name of the folder where it was read without MLflow. state: FINISHED, FAILED, KILLED, RUNNING
    or NONE. lines: the journal. reference: the metrics of real data. parameters: their number, by network. classes: the
    names of the classes. picture: the last sample picture, as it was found, and pictured: its epoch, or 0 without one.
    updates: generator updates in an epoch; 0 where that is not known. link: its page in MLflow, or "". shape: of one
    example, () where that is not known. protocol_version: by which it was measured; figures that have been defined anew
    since are left out of its lines. absent: metrics that its last evaluation could not measure, and why;
    absent_reference: the same of real data. real_data: which real examples stand for samples there.
    """

    id: str
    name: str
    config: RunConfig
    state: str
    cause: str
    lines: tuple[Mapping[str, Any], ...]
    reference: Mapping[str, float]
    parameters: Mapping[str, int]
    environment: Mapping[str, Any]
    classes: tuple[str, ...] = ()
    picture: bytes = b""
    pictured: int = 0
    updates: int = 0
    link: str = ""
    shape: tuple[int, ...] = ()
    protocol_version: int = PROTOCOL_VERSION
    absent: Mapping[str, str] = field(default_factory=dict)
    absent_reference: Mapping[str, str] = field(default_factory=dict)
    real_data: str = ""

    @property
    def finished(self) -> bool:
        return self.state == "FINISHED"

    @property
    def epoch(self) -> int:
        """The last epoch that is in the journal; 0 where there is none."""
        return self.lines[-1]["epoch"] if self.lines else 0

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last evaluation of a finished run; nothing for another run, whose last one came too early to compare."""
        evaluations = [line["metrics"] for line in self.lines if line.get("metrics")]
        return evaluations[-1] if self.finished and evaluations else {}

    @property
    def seconds(self) -> float:
        """Seconds of all its epochs."""
        return sum(line.get("timing", {}).get("seconds", 0.0) for line in self.lines)

    @property
    def recipe_name(self) -> str:
        return _text(self.environment.get("recipe"))

    @property
    def code(self) -> str:
        """The fingerprint of the code that trained it; "" where it was not recorded."""
        return _text(self.environment.get("code"))

    @property
    def notes(self) -> list[str]:
        """What a reader of it has to know, as it was recorded."""
        said = self.environment.get("notes")
        return [note for note in said if isinstance(note, str)] if isinstance(said, list | tuple) else []


@dataclass(frozen=True)
class LeftOut:
    """A run that no table and no figure counts, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True)
class FoundRuns:
    """The runs that could be read, and those that could not, in an order that does not depend on where they lay."""

    runs: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...] = ()


def find_runs(
    chosen: Iterable[str] = (),
    runs_dir: Path | str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
) -> FoundRuns:
    """The runs of a folder, or of an MLflow store.

    chosen: names, ids or folders of runs; all where it is empty. runs_dir: reads run folders without MLflow.
    tracking_uri, experiment: by default $MLFLOW_TRACKING_URI or sqlite:///mlflow.db, and $MLFLOW_EXPERIMENT_NAME or
    gan-benchmark. Raises UserError where a chosen run, or any run, does not exist.
    """
    chosen = list(chosen)
    # A path is meant only where it is written like one: a folder in the working directory may share a run's name.
    paths = [name for name in chosen if "/" in name or os.sep in name]
    names = [name for name in chosen if name not in paths]
    found = [FoundRuns(tuple(read_run(RunFolder(path)) for path in paths))]
    if names or not paths:
        here = runs_dir is not None
        found.append(_in_folder(runs_dir, names) if here else _in_mlflow(tracking_uri, experiment, names))
    # A run may be chosen twice, by its name and by its folder.
    runs = {(run.name, run.id): run for part in found for run in part.runs}
    left_out = [run for part in found for run in part.left_out]
    return FoundRuns(
        tuple(sorted(runs.values(), key=_order)), tuple(sorted(left_out, key=lambda run: (run.name, run.id)))
    )


def read_run(folder: RunFolder, id: str = "") -> RunRecord:
    """One run. Raises UserError, without the path of the folder, where it is damaged."""
    try:
        config = folder.config()
        pictured = max(folder.pictures(), default=0)
        status = folder.status()
        facts = folder.facts()
        counts, classes = facts.get("parameters"), facts.get("class_names")
        updates, spec = facts.get("updates_per_epoch"), facts.get("spec")
        shape = spec.get("shape") if isinstance(spec, Mapping) else None
        old = (version := folder.protocol_version) < PROTOCOL_VERSION
        return RunRecord(
            id=id or folder.name,
            name=config.name,
            config=config,
            state=status["state"],
            cause=_text(status.get("cause")),
            lines=tuple(map(_without_changed, folder.lines()) if old else folder.lines()),
            reference=folder.reference(),
            parameters={
                network: count
                for network, count in (counts.items() if isinstance(counts, Mapping) else ())
                if isinstance(count, int)
            },
            environment=folder.environment(),
            classes=tuple(map(str, classes)) if isinstance(classes, list) else (),
            picture=(folder.read_bytes(folder.picture_name(pictured)) or b"") if pictured else b"",
            pictured=pictured,
            updates=updates if isinstance(updates, int) and updates > 0 else config.recipe.epoch_updates,
            shape=tuple(n for n in shape if isinstance(n, int)) if isinstance(shape, list) else (),
            protocol_version=version,
            absent=folder.absent(),
            absent_reference=folder.absent(ABSENT_REFERENCE),
            real_data=folder.real_data(),
        )
    except UserError as refused:
        # Where runs lie on a machine is nothing to publish.
        raise UserError(str(refused).replace(str(folder.path) + os.sep, "").replace(str(folder.path), "it")) from None


def earlier_protocol(runs: Sequence[RunRecord]) -> str:
    """What is not told of runs that were measured by an earlier version of the protocol; "" where there are none."""
    old = [run for run in runs if run.protocol_version < PROTOCOL_VERSION]
    if not old:
        return ""
    several = any(run.config.recipe.critic_steps > 1 for run in old)
    return (
        f"Measured by an earlier version of the protocol: {len(old)} of {len(runs)} runs. Left out of them are the "
        "figures of real data, which were those of the first training images of each class instead of a random sample "
        f"of the reference, and the metrics that are defined otherwise today: {', '.join(CHANGED)}."
        + (" With several discriminator steps, their curves are of the last one only." if several else "")
    )


def _without_changed(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line of the journal without the metrics that have been defined anew since."""
    metrics = {name: value for name, value in line.get("metrics", {}).items() if name not in CHANGED}
    return {**line, "metrics": metrics} if metrics else line


def _in_folder(runs_dir: Path | str, names: Sequence[str]) -> FoundRuns:
    folders = list_run_folders(runs_dir)
    if not folders:
        raise UserError(
            f"there are no runs in {runs_dir}; train one with python -m benchmarks.run, or name another folder"
        )
    runs, left_out = [], []
    for folder in _chosen(folders, names, lambda folder: (folder.name,), str(runs_dir)):
        try:
            runs.append(read_run(folder))
        except UserError as refused:
            left_out.append(LeftOut(folder.name, folder.name, str(refused)))
    return FoundRuns(tuple(runs), tuple(left_out))


def _in_mlflow(tracking_uri: str | None, experiment: str | None, names: Sequence[str]) -> FoundRuns:
    from benchmarks.tracking.client import redact_uri, resolve_uri
    from benchmarks.tracking.download import list_runs

    uri = resolve_uri(tracking_uri)
    listed = list_runs(uri, experiment)
    if not listed:
        raise UserError(
            f"there are no runs in MLflow at {redact_uri(uri)}; train one with python -m benchmarks.run, or read run "
            f"folders with --runs-dir"
        )
    read_, left_out = [], []
    for tracked in _chosen(listed, names, lambda run: (run.run_id, run.tags.get("folder", "")), redact_uri(uri)):
        name = tracked.tags.get("folder", "")
        if "superseded" in tracked.tags:
            left_out.append(LeftOut(tracked.run_id, name, "its config was trained again later"))
            continue
        try:
            read_.append(_fetched(tracked, uri))
        except UserError as refused:
            left_out.append(LeftOut(tracked.run_id, name, str(refused)))
    return FoundRuns(tuple(read_), tuple(left_out))


def _fetched(tracked: "TrackedRun", uri: str) -> RunRecord:
    from benchmarks.tracking.download import fetch_run

    with tempfile.TemporaryDirectory() as into:
        folder = RunFolder(fetch_run(tracked.run_id, uri, into, wanted=lambda name: name in _READ))
        last = RunFolder.picture_name(folder.config().recipe.epochs)
        fetch_run(tracked.run_id, uri, into, wanted=lambda name: name == last)
        run = read_run(folder, tracked.run_id)
    # While a run goes on, MLflow alone tells so.
    state = resolve_state(tracked.status, run.cause) if run.state == "NONE" else run.state
    return replace(run, state=state, link=_page(tracked.run_id, uri))


def _page(run_id: str, uri: str) -> str:
    """Where MLflow's server shows a run; "" without a server, and where its address cannot be told without a secret."""
    from benchmarks.tracking.client import redact_uri

    shown = redact_uri(uri).rstrip("/")
    return f"{shown}/#/runs/{run_id}" if re.fullmatch(r"https?://[\w.:/\[\]-]+", shown, re.ASCII) else ""


def _chosen(
    found: Sequence[Any], names: Sequence[str], known_as: Callable[[Any], Sequence[str]], where: str
) -> list[Any]:
    """Those that one of the names stands for; all where there are no names."""
    known = {name for one in found for name in known_as(one)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            raise UserError(f"there is no run {name!r} in {where}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return [one for one in found if not names or set(names) & set(known_as(one))]


def _order(run: RunRecord) -> tuple[Any, ...]:
    return run.config.variant, run.config.dataset.name, run.config.seed, run.name, run.id


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
