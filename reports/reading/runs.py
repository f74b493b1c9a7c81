"""Finds runs, in MLflow or in a folder, and reads their run folders into records.

A record may come from a stranger: names, labels and causes are plain text that reaches a page only escaped, and
pictures are decoded, never passed on.
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
    """Holds one run as its folder has it."""

    id: str
    """MLflow's id, or the name of the folder where the run was read without MLflow."""
    name: str
    config: RunConfig
    state: str
    """FINISHED, FAILED, KILLED, RUNNING or NONE."""
    cause: str
    """Reason of a failure; "" without one."""
    lines: tuple[Mapping[str, Any], ...]
    """Journal, a line an epoch, without the metrics that have been redefined since the run."""
    reference: Mapping[str, float]
    """Metrics of real data."""
    parameters: Mapping[str, int]
    """Number of weights by network."""
    environment: Mapping[str, Any]
    operations: Mapping[str, int] = field(default_factory=dict)
    """Floating-point operations of each network for one example, forward; without those of runs that had not ended."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""
    picture: bytes = b""
    """Last sample picture, as it was found."""
    pictured: int = 0
    """Epoch of that picture; 0 without one."""
    updates: int = 0
    """Generator updates in an epoch; 0 where unknown."""
    link: str = ""
    """Page of the run in MLflow; "" without one."""
    shape: tuple[int, ...] = ()
    """Shape of one example; () where unknown."""
    protocol_version: int = PROTOCOL_VERSION
    """Version of the protocol by which the run was measured."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Metrics that the last evaluation could not measure, with the reason."""
    absent_reference: Mapping[str, str] = field(default_factory=dict)
    """Metrics that could not be measured on real data, with the reason."""
    real_data: str = ""
    """Description of the real examples that take the place of samples in `reference`."""

    @property
    def finished(self) -> bool:
        return self.state == "FINISHED"

    @property
    def epoch(self) -> int:
        """Last epoch of the journal; 0 for an empty one."""
        return self.lines[-1]["epoch"] if self.lines else 0

    @property
    def metrics(self) -> Mapping[str, float]:
        """Last evaluation of a finished run; empty for another run, which stopped too early to compare."""
        evaluations = [line["metrics"] for line in self.lines if line.get("metrics")]
        return evaluations[-1] if self.finished and evaluations else {}

    @property
    def seconds(self) -> float:
        """Duration of all epochs."""
        return sum(line.get("timing", {}).get("seconds", 0.0) for line in self.lines)

    @property
    def recipe_name(self) -> str:
        return _text(self.environment.get("recipe"))

    @property
    def code(self) -> str:
        """Fingerprint of the code that trained the run; "" where it was not recorded."""
        return _text(self.environment.get("code"))

    @property
    def notes(self) -> list[str]:
        """Sentences for readers that were recorded with the run."""
        notes = self.environment.get("notes")
        return [note for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []


@dataclass(frozen=True)
class LeftOut:
    """Names a run that no table and no figure counts, with the reason."""

    id: str
    name: str
    why: str


@dataclass(frozen=True)
class FoundRuns:
    """Holds the runs that could be read and those that could not, in an order that does not depend on their place."""

    runs: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...] = ()


def find_runs(
    chosen: Iterable[str] = (),
    runs_dir: Path | str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
) -> FoundRuns:
    """Returns the runs of a folder, or of an MLflow store.

    chosen: names, ids or folders of runs; all if empty. runs_dir: reads run folders without MLflow. tracking_uri,
    experiment: by default $MLFLOW_TRACKING_URI or sqlite:///mlflow.db, and $MLFLOW_EXPERIMENT_NAME or gan-benchmark.
    Raises UserError where a chosen run does not exist, and where there is none at all.
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
    """Reads one run. Raises UserError, without the path of the folder, where it is damaged."""
    try:
        config = folder.config()
        pictured = max(folder.pictures(), default=0)
        status = folder.status()
        facts = folder.facts()
        classes = facts.get("class_names")
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
            parameters=_counts(facts.get("parameters")),
            operations=_counts(facts.get("operations")),
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


def list_earlier_protocol(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Returns the runs that were measured by an earlier version of the protocol."""
    return [run for run in runs if run.protocol_version < PROTOCOL_VERSION]


@dataclass(frozen=True)
class Unmeasured:
    """Names metrics that could not be measured for one reason."""

    reason: str
    metrics: tuple[str, ...]
    runs: int
    """Number of runs whose samples lack them."""
    real_data: bool
    """Whether they are missing on real data as well."""


def list_unmeasured(runs: Iterable[RunRecord]) -> list[Unmeasured]:
    """Returns the metrics that could not be measured in some runs, or on real data, by the reason."""
    metrics: dict[str, set[str]] = {}
    counts: dict[str, list[int]] = {}
    for run in runs:
        for place, absent in enumerate((run.absent, run.absent_reference)):
            for reason in set(absent.values()):
                counts.setdefault(reason, [0, 0])[place] += 1
            for name, reason in absent.items():
                metrics.setdefault(reason, set()).add(name)
    return [
        Unmeasured(reason, tuple(sorted(metrics[reason])), counts[reason][0], counts[reason][1] > 0)
        for reason in sorted(metrics)
    ]


def _without_changed(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a line of the journal without the metrics that have been redefined since."""
    metrics = {name: value for name, value in line.get("metrics", {}).items() if name not in CHANGED}
    return {**line, "metrics": metrics} if metrics else line


def _in_folder(runs_dir: Path | str, names: Sequence[str]) -> FoundRuns:
    folders = list_run_folders(runs_dir)
    if not folders:
        raise UserError(
            f"there are no runs in {runs_dir}; train one with python -m benchmarks.run, or name another folder"
        )
    runs, left_out = [], []
    for folder in _choose(folders, names, lambda folder: (folder.name,), str(runs_dir)):
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
    for tracked in _choose(listed, names, lambda run: (run.run_id, run.tags.get("folder", "")), redact_uri(uri)):
        name = tracked.tags.get("folder", "")
        if "superseded" in tracked.tags:
            left_out.append(LeftOut(tracked.run_id, name, "its config was trained again later"))
            continue
        try:
            read_.append(_fetch_run(tracked, uri))
        except UserError as refused:
            left_out.append(LeftOut(tracked.run_id, name, str(refused)))
    return FoundRuns(tuple(read_), tuple(left_out))


def _fetch_run(tracked: "TrackedRun", uri: str) -> RunRecord:
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


def _choose(
    found: Sequence[Any], names: Sequence[str], known_as: Callable[[Any], Sequence[str]], where: str
) -> list[Any]:
    """Returns what one of the names stands for; all if there are no names. Raises UserError for an unknown name."""
    known = {name for one in found for name in known_as(one)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            raise UserError(f"there is no run {name!r} in {where}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return [one for one in found if not names or set(names) & set(known_as(one))]


def _order(run: RunRecord) -> tuple[Any, ...]:
    return run.config.variant, run.config.dataset.name, run.config.seed, run.name, run.id


def _counts(value: Any) -> dict[str, int]:
    named = value.items() if isinstance(value, Mapping) else ()
    return {network: count for network, count in named if isinstance(count, int)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
