"""The run folder -> MLflow. The folder is the truth, MLflow a view of it that can be made again at any time.

What a run looks like in MLflow:

    name        that of the run folder: variant, dataset, seed and the first digits of the key
    params      the whole recipe by the names of its fields, the dataset, the seed, the budget of evaluation
    tags        variant, dataset, seed, recipe, device, extractor, code; state, epoch and cause; note, where something
                was not as asked; not_finite, where MLflow cannot hold a value as it is; symptoms, such as a collapse,
                and the epochs that they were seen in; superseded, once the same config was trained anew; run_key and
                folder_id, by which a folder finds its run again; and the values on real data as reference.…, columns
                that one can tick in the run table: as metrics they would be charts of one point each, and params are
                listed above every picture
    metrics     with the epoch as their step and the journal's own time: those of an evaluation under their own names,
                curves as training/…, and timing/…
    inputs      the dataset, its digest being the checksum of its tensors
    images/     the sample pictures, under the names that the image grid of MLflow reads
    probes/     what probes left, as files; their figures are metrics, as probes/…
    artifacts   every other result of the run folder

MLflow stores an infinite metric as ±1.797e308. What was measured is in metrics.jsonl, which is an artifact as well, and
which reports read: `runs` says which runs there are, `fetch` gets their folders.

MLflow takes seconds to import, so it is imported where it is first used, off the training thread.
"""

import hashlib
import json
import logging
import math
import os
import re
import shlex
import sqlite3
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import filelock
from PIL import Image

from benchmarks.run_folder.folder import CHECKPOINT, CONFIG, HERE, PROBES, SAMPLES, STATUS, WITHOUT_A_WORD, RunFolder
from benchmarks.run_folder.symptoms import marked
from variants.recipe import Refused, unknown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "gan-benchmark"
DEFAULT_URI = "sqlite:///mlflow.db"
MEMORY = "mlflow.json"
SYNC = "python -m benchmarks.sync"

# Seconds between two syncs of a run in training, the longest that its end waits for a server, and after how many a
# person is told that it waits for a local store; chosen, not tuned.
SYNC_SECONDS = 10.0
CLOSE_SECONDS = 30.0
TELL_SECONDS = 5.0
_LAST_ATTEMPTS = 3
_BUSY_SECONDS = 1.0

_STATES = {"NONE": "SCHEDULED", "RUNNING": "RUNNING", "FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED"}
_RESULTS = (".json", ".jsonl", ".png", ".gif", ".svg", ".csv", ".safetensors")
_FILE_LIMIT, _RUN_LIMIT = 2**30, 4 * 2**30
_METRICS_PER_BATCH, _OTHERS_PER_BATCH = 1000, 100

# Largest side of the small copy of a picture that MLflow's grid shows: ten by ten digits are legible in it.
_THUMBNAIL = 512
# What the user interface of MLflow 3.17 parses: key, "step", number, "timestamp", milliseconds, an id, joined by +.
_IMAGE = re.compile(r"images/samples\+step\+(\d{1,9})\+timestamp\+\d+\+[0-9a-f]{16}\.png")


class Busy(Refused):
    """A local store that another process holds: it takes what is sent later."""


class TrackedRun(NamedTuple):
    """A run as MLflow lists it. status: SCHEDULED, RUNNING, FINISHED, FAILED or KILLED."""

    run_id: str
    tags: dict[str, str]
    status: str


# Where MLflow is


def resolved(tracking_uri: str | None = None) -> str:
    """The tracking address: the argument, else MLFLOW_TRACKING_URI, else mlflow.db here; a local path made absolute."""
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    path = _database_file(uri)
    return uri if path is None else f"sqlite:///{path.absolute().as_posix()}"


def experiment_name(experiment: str | None = None) -> str:
    """The name of the experiment: the argument, else MLFLOW_EXPERIMENT_NAME, else gan-benchmark."""
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT


def is_local(tracking_uri: str) -> bool:
    """Whether the store is a file or a folder of this machine, which may be slow, but is not down."""
    scheme = urlsplit(tracking_uri).scheme.partition("+")[0]
    return scheme in ("", "file", "sqlite") and not tracking_uri.startswith("databricks")


def redacted(tracking_uri: str) -> str:
    """The address without user, password and query: fit for screens and files."""
    scheme, separator, rest = tracking_uri.partition("://")
    if not separator or scheme == "sqlite":
        return tracking_uri
    address, query = re.match(r"([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    # An @ after a ? may belong to a password that was not escaped; then no part of it is known to be harmless.
    return f"{scheme}://" + ("…" if "@" in query else address.rpartition("@")[2])


def where_to_look(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """The page of this run, or the command that opens MLflow where no server runs; "" where MLflow has nothing of it.

    What MLflow lacks of a run that ended is told with it.
    """
    uri = resolved(tracking_uri)
    sent = remembered(folder, uri, experiment)
    if not sent:
        return ""
    page = f"{redacted(uri).rstrip('/')}/#/experiments/{sent['experiment_id']}/runs/{sent['run_id']}"
    where = page if uri.startswith("http") else shlex.join(["mlflow", "ui", "--backend-store-uri", redacted(uri)])
    lines = folder.lines()
    whole = sent["epoch"] >= (lines[-1]["epoch"] if lines else -1) and all(
        sent["files"].get(name) == _digest(folder, name) for name in _result_files(folder, final=True)
    )
    return where if whole else f"{where} (a part of it; {SYNC} sends the rest)"


def _database_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def _client(uri: str) -> "MlflowClient":
    # MLflow reads these at each use. It is kept quiet, and from waiting minutes for a server that is down.
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(uri)


def prepare(tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """The id of the experiment, made where it is missing, as are the tables of a local database.

    Any number of processes may do this at once. Raises Refused where MLflow cannot be used.
    """
    uri = resolved(tracking_uri)
    with asking(uri):
        return connected(uri, experiment)[1]


def connected(uri: str, experiment: str | None = None, make: bool = True) -> "tuple[MlflowClient, str]":
    """A client, and the id of the experiment; make: makes it where it is missing. To be used within `asking`."""
    experiment = experiment_name(experiment)
    database = _database_file(uri)
    if database is None:
        client = _client(uri)
        return client, _experiment_id(client, experiment, None, make)
    # Artifacts lie beside their database, not in whatever folder the first process was started.
    artifacts = database.parent / "mlruns"
    artifacts.mkdir(parents=True, exist_ok=True)
    # Two processes that make MLflow's tables at the same time fail.
    with filelock.FileLock(artifacts / f".{database.name}.lock"):
        if not database.exists() or not database.stat().st_size:
            _make_database(database, artifacts)
        client = _client(uri)
        place = artifacts / re.sub(r"^\.+|[^\w.-]", "-", experiment)
        return client, _experiment_id(client, experiment, place, make)


def _make_database(database: Path, artifacts: Path) -> None:
    """Makes a database with MLflow's tables beside its place, and renames it.

    MLflow makes them in steps that cannot be taken again: what a kill left halfway could never be used.
    """
    being_made = database.absolute().with_name(f".{database.name}.making")
    for rest in being_made.parent.glob(f"{being_made.name}*"):
        rest.unlink()
    uri = f"sqlite:///{being_made.as_posix()}"
    _client(uri)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, artifacts.as_uri())
    # Some systems do not rename a file that is open.
    store.engine.dispose()
    os.replace(being_made, database)


def _experiment_id(client: "MlflowClient", experiment: str, artifacts: Path | None, make: bool) -> str:
    """The id of the experiment; "" where there is none and none is to be made."""
    from mlflow.exceptions import MlflowException

    # So that the user interface opens the list of runs, not the pages for language models.
    tags = {"mlflow.experimentKind": "custom_model_development"}
    found = client.get_experiment_by_name(experiment)
    if found is None:
        if not make:
            return ""
        try:
            return client.create_experiment(experiment, artifacts.as_uri() if artifacts else None, tags)
        except MlflowException:
            # Another process made it in between; if not, the error was another one.
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise Refused(
            f"the experiment {experiment!r} was deleted in MLflow; restore it, or name another one (--experiment)"
        )
    return found.experiment_id


@contextmanager
def asking(uri: str) -> Iterator[None]:
    """Whatever MLflow raises becomes one sentence without secrets."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        import requests

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, requests.ConnectionError | requests.Timeout):
                raise Refused(f"MLflow at {redacted(uri)} cannot be reached") from error
            if isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause):
                raise Busy(f"MLflow at {redacted(uri)} is busy: another process writes to it") from error
            cause = cause.__context__
        text = str(error).replace(uri, redacted(uri)).strip().partition("\n")[0]
        raise Refused(f"MLflow at {redacted(uri)} does not answer as it should: {text[:300]}") from error


# The run folder -> MLflow


def sync(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """Sends what MLflow does not have of a run yet, and gives the id of the run there.

    As often as one likes: every value arrives once. What was sent is remembered in the folder's mlflow.json, for each
    address; where that is lost, the run is found again by its tags and asked what it has. While a run may still go
    on from a checkpoint, only epochs that the checkpoint covers are sent. Raises Refused where MLflow cannot be used.
    """
    uri = resolved(tracking_uri)
    config = folder.config()
    # Another process that sends the same folder to a local store may take its time.
    patience = -1 if is_local(uri) else CLOSE_SECONDS
    with asking(uri), filelock.FileLock(folder.file(".mlflow.lock"), timeout=patience):
        client, experiment_id = connected(uri, experiment)
        status, lines = folder.status(), folder.lines()
        sent = remembered(folder, uri, experiment)
        run = _known_run(client, sent, folder)
        arrived: dict[str, set[int]] = {}
        if run is None:
            run = _found_run(client, experiment_id, folder)
            sent = {"epoch": -1, "files": {}}
            if run is not None:
                arrived = _arrived(client, run)
            else:
                run = client.create_run(experiment_id, _start(lines), {"folder_id": folder.id}, config.name)
                _supersede(client, run, config.key)
        sent |= {"run_id": run.info.run_id, "experiment_id": run.info.experiment_id}

        _describe(client, run, folder, lines, status)
        covered = _covered_epoch(folder, lines, status)
        times = {line["epoch"]: _milliseconds(line, run.info.start_time) for line in lines}
        _send_metrics(client, run, [x for x in lines if sent["epoch"] < x["epoch"] <= covered], times, arrived)
        pictures = {e: p for e, p in folder.pictures().items() if sent["epoch"] < e <= covered}
        _send_pictures(client, run, folder, pictures, times, arrived.get("images", set()))
        # An epoch that is trained again after a kill has the values that it had, so it is not sent again.
        sent["epoch"] = max(sent["epoch"], covered)
        _remember(folder, uri, experiment, sent)

        for name in _result_files(folder, final=status["state"] not in ("NONE", "RUNNING")):
            digest = _digest(folder, name)
            if sent["files"].get(name) != digest:
                client.log_artifact(run.info.run_id, str(folder.file(name)), Path(name).parent.name or None)
                sent["files"][name] = digest
        _remember(folder, uri, experiment, sent)
        _set_state(client, run, _STATES[status["state"]], max(times.values(), default=None))
    return run.info.run_id


def sync_when_free(
    folder: RunFolder,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """As `sync`, tried again for as long as another process holds a local store, which `say` is told once."""
    while True:
        try:
            return sync(folder, tracking_uri, experiment)
        except Busy as busy:
            say(f"{busy}; waiting for it")
            say = _silent
            time.sleep(_BUSY_SECONDS)


def _silent(_: str) -> None:
    """Says nothing."""


def remembered(folder: RunFolder, uri: str, experiment: str | None = None) -> dict[str, Any]:
    """What was sent to this address: run_id, experiment_id, epoch, files; {} where nothing is known of it."""
    kept = folder.read_json(MEMORY)
    sent = kept.get(_address(uri, experiment)) if isinstance(kept, dict) else None
    if not isinstance(sent, dict) or sent.get("folder_id") != folder.id:
        return {}
    right = {"run_id": str, "experiment_id": str, "epoch": int, "files": dict}
    return sent if all(isinstance(sent.get(name), kind) for name, kind in right.items()) else {}


def _address(uri: str, experiment: str | None) -> str:
    """What the memory calls an experiment of a store; the default one has the name of the store alone, as ever."""
    name = experiment_name(experiment)
    return redacted(uri) if name == EXPERIMENT else f"{redacted(uri)} {name}"


def _digest(folder: RunFolder, name: str) -> str:
    return hashlib.sha256(folder.read_bytes(name, _FILE_LIMIT) or b"").hexdigest()


def _remember(folder: RunFolder, uri: str, experiment: str | None, sent: Mapping[str, Any]) -> None:
    kept = folder.read_json(MEMORY)
    others = kept if isinstance(kept, dict) else {}
    folder.write_json(MEMORY, others | {_address(uri, experiment): {**sent, "folder_id": folder.id}})


def _known_run(client: "MlflowClient", sent: Mapping[str, Any], folder: RunFolder) -> "Run | None":
    """The run that was remembered, unless it was deleted in MLflow, alone or with the whole store.

    A folder from a stranger may remember the run of another folder, which must not be written to.
    """
    from mlflow.exceptions import MlflowException

    if not sent:
        return None
    try:
        run = client.get_run(sent["run_id"])
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    own = run.data.tags.get("folder_id") == folder.id
    return run if own and run.info.lifecycle_stage == "active" else None


def _found_run(client: "MlflowClient", experiment_id: str, folder: RunFolder) -> "Run | None":
    runs = client.search_runs([experiment_id], f"tags.folder_id = '{folder.id}'", max_results=1)
    return runs[0] if runs else None


def _arrived(client: "MlflowClient", run: "Run") -> dict[str, set[int]]:
    """The steps that MLflow has of each metric, and of the pictures under `images`."""
    steps = {key: {m.step for m in client.get_metric_history(run.info.run_id, key)} for key in run.data.metrics}
    found = (_IMAGE.fullmatch(file.path) for file in client.list_artifacts(run.info.run_id, "images"))
    return {**steps, "images": {int(match[1]) for match in found if match}}


def _supersede(client: "MlflowClient", run: "Run", key: str) -> None:
    for other in client.search_runs([run.info.experiment_id], f"tags.run_key = '{key}'"):
        if other.info.run_id != run.info.run_id:
            client.set_tag(other.info.run_id, "superseded", run.info.run_id)


def _start(lines: list[dict[str, Any]]) -> int:
    """When the run started, in milliseconds, as far as its journal tells."""
    timing = lines[0].get("timing", {}) if lines else {}
    seconds = timing.get("seconds", 0.0) + timing.get("evaluation_seconds", 0.0)
    start = timing.get("time", time.time()) - seconds
    return int(start * 1000) if 0 < start < 2**40 else int(time.time() * 1000)


def _milliseconds(line: Mapping[str, Any], start: int) -> int:
    """The journal's own time of a line: a line that is sent twice has it twice, and MLflow drops the second one."""
    seconds = line.get("timing", {}).get("time", 0.0)
    return int(seconds * 1000) if 0 < seconds < 2**40 else start + line["epoch"]


def _covered_epoch(folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]) -> int:
    last = lines[-1]["epoch"] if lines else -1
    checkpoint = None if status["state"] in ("FINISHED", "FAILED") else folder.checkpoint_epoch()
    return last if checkpoint is None else min(last, checkpoint)


def _describe(
    client: "MlflowClient", run: "Run", folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]
) -> None:
    """Params, tags and the dataset, where MLflow does not have them so already."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    config = folder.config()
    run_id = run.info.run_id
    params = {k: v for k, v in _params(folder).items() if k not in run.data.params}
    # What was so once and is no longer, as the cause of an interruption, is emptied.
    wanted = {name: "" for name in ("cause", "not_finite", "symptoms") if name in run.data.tags} | _tags(
        folder, lines, status
    )
    tags = {k: v for k, v in wanted.items() if run.data.tags.get(k) != v}
    entities = [("params", Param(name, value)) for name, value in params.items()]
    entities += [("tags", RunTag(name, value)) for name, value in tags.items()]
    for batch in _batches(entities, _OTHERS_PER_BATCH):
        client.log_batch(run_id, **{kind: [e for k, e in batch if k == kind] for kind in ("params", "tags")})
    if not run.inputs or not run.inputs.dataset_inputs:
        profile = {"checksum": config.checksum, "notes": folder.notes()}
        # The schema of MLflow leaves 36 characters for a digest.
        dataset = Dataset(
            config.dataset.name, config.checksum[:36], "local", "{}", profile=json.dumps(profile)[:10_000]
        )
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _params(folder: RunFolder) -> dict[str, str]:
    values = folder.config().as_dict()
    recipe, dataset = values.pop("recipe"), values.pop("dataset")
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
    return {safe_name(name): str(value)[:6000] for name, value in flat.items()}


def _tags(folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]) -> dict[str, str]:
    config, environment = folder.config(), folder.environment()
    extractor = environment.get("extractor")
    named = extractor if isinstance(extractor, dict) else {"sha256": config.extractor}
    tags = {
        "variant": config.variant,
        "dataset": config.dataset.name,
        "seed": config.seed,
        "recipe": environment.get("recipe"),
        "device": environment.get("device"),
        "extractor": f"{named.get('name', '')} {str(named.get('sha256', ''))[:8]}".strip(),
        "code": environment.get("code"),
        "note": "; ".join(folder.notes()),
        "command": environment.get("command"),
        "not_finite": _not_finite(lines),
        "symptoms": marked(status),
        "run_key": config.key,
        "folder": folder.name,
        **{name: value for name, value in status.items() if name in ("state", "epoch", "cause")},
        "mlflow.loggedImages": "True" if folder.pictures() else "",
        **{safe_name(f"reference.{name}"): f"{value:.6g}" for name, value in folder.reference().items()},
    }
    return {name: str(value)[:5000] for name, value in tags.items() if value not in (None, "")}


def _not_finite(lines: list[dict[str, Any]]) -> str:
    """Which metrics are infinite or NaN, and in which epochs."""
    found: dict[str, list[int]] = defaultdict(list)
    for epoch, key, value in _figures(lines):
        if not math.isfinite(value):
            found[f"{key} is {value}"].append(epoch)
    return "; ".join(f"{what} in epoch {', '.join(map(str, epochs[:20]))}" for what, epochs in found.items())


def _figures(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, float]]:
    """Epoch, key in MLflow and value of every figure of the journal."""
    prefixes = {"metrics": "", "curves": "training/"}
    for line in lines:
        for section, figures in line.items():
            if section != "epoch":
                for name, value in figures.items():
                    if (section, name) != ("timing", "time"):
                        yield line["epoch"], prefixes.get(section, f"{safe_name(section)}/") + safe_name(name), value


def safe_name(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w. /-]", "_", name, flags=re.ASCII)[:200]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _send_metrics(
    client: "MlflowClient",
    run: "Run",
    lines: list[dict[str, Any]],
    times: Mapping[int, int],
    arrived: Mapping[str, set[int]],
) -> None:
    from mlflow.entities import Metric

    metrics = (
        Metric(key, value, times[epoch], epoch)
        for epoch, key, value in _figures(lines)
        if epoch not in arrived.get(key, ())
    )
    for batch in _batches(metrics, _METRICS_PER_BATCH):
        client.log_batch(run.info.run_id, metrics=batch)


def _send_pictures(
    client: "MlflowClient",
    run: "Run",
    folder: RunFolder,
    pictures: Mapping[int, Path],
    times: Mapping[int, int],
    arrived: set[int],
) -> None:
    """The sample pictures as a series of steps.

    MLflow's own log_image puts a random part into the names, so that a picture sent twice would be there twice.
    """
    due = {epoch: path for epoch, path in pictures.items() if epoch not in arrived}
    if not due:
        return
    with tempfile.TemporaryDirectory() as beside:
        for epoch, path in due.items():
            stem = f"{SAMPLES}+step+{epoch}+timestamp+{times.get(epoch, run.info.start_time)}+{folder.id}"
            (Path(beside) / f"{stem}.png").write_bytes(path.read_bytes())
            try:
                with Image.open(path) as picture:
                    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
                    picture.convert("RGB").save(Path(beside) / f"{stem}+compressed.webp", quality=85)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                # A damaged picture is shown as such: the file itself is there, without its small copy.
                continue
        client.log_artifacts(run.info.run_id, beside, "images")


def _result_files(folder: RunFolder, final: bool) -> list[str]:
    """The files of the folder that MLflow gets: while a run goes on its JSON, at its end all results."""
    kept, places = [], [place for place in (folder.path, folder.path / PROBES) if not place.is_symlink()]
    for path in sorted(path for place in places for path in place.glob("*")):
        result = (
            path.suffix in _RESULTS
            and path.name not in (MEMORY, HERE)
            and not path.name.startswith(Path(CHECKPOINT).stem)
        )
        early = path.suffix in (".json", ".jsonl") and path.name != STATUS
        if result and (final or early) and path.is_file() and not path.is_symlink():
            kept.append(path.relative_to(folder.path).as_posix())
    return kept


def _set_state(client: "MlflowClient", run: "Run", state: str, end: int | None) -> None:
    if run.info.status == state:
        return
    if state in ("SCHEDULED", "RUNNING"):
        client.update_run(run.info.run_id, status=state)
    else:
        client.set_terminated(run.info.run_id, state, end)


def mark_lost(key: str, prefix: str, tracking_uri: str | None = None, experiment: str | None = None) -> None:
    """Marks as killed what MLflow believes to be in training, while its process or machine is known to be gone.

    key: of the config. prefix: what the ids of the folders begin with. Raises Refused where MLflow cannot be used.
    """
    uri = resolved(tracking_uri)
    with asking(uri):
        client, experiment_id = connected(uri, experiment)
        wanted = f"tags.run_key = '{key}' and tags.folder_id LIKE '{prefix}%' and attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment_id], wanted):
            for name, value in {"state": "KILLED", "cause": WITHOUT_A_WORD}.items():
                client.set_tag(run.info.run_id, name, value)
            _set_state(client, run, _STATES["KILLED"], None)


def waited_for(
    thread: threading.Thread,
    uri: str,
    say: Callable[[str], None],
    since: Callable[[], float],
    seconds: float = CLOSE_SECONDS,
    patient: bool = True,
) -> str:
    """Waits for the end of a thread that sends to MLflow; returns why it no longer does, or "".

    A server is waited for so many seconds since the time of the last progress. A local store is not down, only slow: if
    patient, it is waited for without limit; a person is told so, and from then on may leave it by Ctrl-C.
    """
    local, told = patient and is_local(uri), False
    try:
        while thread.is_alive():
            thread.join(0.1)
            waited = time.monotonic() - since()
            if not local and waited > seconds and thread.is_alive():
                return f"MLflow at {redacted(uri)} did not take everything within {seconds:.0f} s"
            if local and not told and waited > TELL_SECONDS and thread.is_alive():
                told = True
                say(f"waiting until MLflow at {redacted(uri)} has everything; Ctrl-C leaves that to {SYNC}")
    except KeyboardInterrupt:
        if not told:
            raise
        return f"MLflow at {redacted(uri)} was not waited for"
    return ""


class Tracker:
    """Keeps MLflow up with a run while it trains, from a thread of its own.

    Nothing that MLflow does stops or slows the training: what it does not take stays in the run folder, and goes with
    the next sync that succeeds. `say` is told of a failure once, from that thread.
    """

    def __init__(
        self,
        folder: RunFolder,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        say: Callable[[str], None] = print,
        seconds: float = SYNC_SECONDS,
    ) -> None:
        self.folder, self.uri, self.experiment = folder, resolved(tracking_uri), experiment
        self._say, self._seconds = say, seconds
        self._run_id: str | None = None
        self._failing = False
        self._news, self._closing = threading.Event(), threading.Event()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._keep_up, name="mlflow", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who pressed Ctrl-C is not kept waiting.
        self.close(patient=kind is not KeyboardInterrupt)

    def notify(self) -> None:
        """There is something new in the folder. Returns at once."""
        self._news.set()

    def close(self, seconds: float = CLOSE_SECONDS, patient: bool = True) -> str | None:
        """Sends what is left, the status included, and gives the run's id in MLflow; None where it did not all arrive.

        Waits for these seconds; if patient, for a local store until it has everything, or Ctrl-C is pressed.
        """
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._news.set()
        began = time.monotonic()
        if why := waited_for(self._thread, self.uri, self._say, lambda: began, seconds, patient):
            self._fail(why)
        return None if self._failing else self._run_id

    def _keep_up(self) -> None:
        while not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            if not self._closing.is_set():
                self._attempt()
            self._closing.wait(self._seconds)
        for _ in range(_LAST_ATTEMPTS):
            if self._attempt() or time.monotonic() + 1 > self._deadline:
                return
            time.sleep(1)

    def _attempt(self) -> bool:
        try:
            self._run_id = sync_when_free(self.folder, self.uri, self.experiment)
        except Exception as error:
            self._fail(str(error))
            return False
        self._failing = False
        return True

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._say(f"{why}; nothing is lost: {self.folder.path} keeps everything, and {SYNC} sends it at any time")
        self._failing = True


# MLflow -> a run folder


def runs(tracking_uri: str | None = None, experiment: str | None = None) -> list[TrackedRun]:
    """Every training run of an experiment, the oldest first. Raises Refused where MLflow cannot be read.

    Runs with the tag `superseded` are among them: their config was trained again later.
    """
    uri = resolved(tracking_uri)
    database = _database_file(uri)
    if database is not None and not database.exists():
        raise Refused(f"there is no MLflow database {database}; train something first, or say --tracking-uri")
    with asking(uri):
        client, experiment_id = connected(uri, experiment, make=False)
        if not experiment_id:
            if (name := experiment_name(experiment)) == EXPERIMENT:
                return []
            known = [each.name for each in client.search_experiments()]
            raise unknown("experiment", name, known, see=f"MLflow at {redacted(uri)} has {', '.join(known)}")
        found, token = [], None
        while True:
            page = client.search_runs(
                [experiment_id], max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
            )
            found += [TrackedRun(r.info.run_id, dict(r.data.tags), r.info.status) for r in page]
            token = page.token
            if not token:
                return [run for run in found if "run_key" in run.tags]


def fetch(
    run_id: str,
    tracking_uri: str | None,
    into: Path | str,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    runs_dir: Path | str | None = None,
) -> Path:
    """A run of MLflow as a run folder below `into`, for the journal's own reader.

    wanted: which files of the run folder, by names such as config.json and samples/epoch_010.png. runs_dir: where the
    run may lie as it was trained; then that folder is given instead. Raises Refused where MLflow cannot be read, or
    the run there is none of ours.
    """
    uri = resolved(tracking_uri)
    with asking(uri):
        client = _client(uri)
        tags = client.get_run(run_id).data.tags
        name = tags.get("folder", "")
        if not re.fullmatch(r"[\w.-]{1,200}", name, re.ASCII) or name.startswith("."):
            raise Refused(f"{run_id} in MLflow at {redacted(uri)} is not a run of this benchmark")
        if runs_dir is not None and _is_run(RunFolder(Path(runs_dir) / name), tags.get("folder_id")):
            return Path(runs_dir) / name
        folder = RunFolder(Path(into) / name)
        folder.make()
        chosen = [found for found in _artifacts(client, run_id) if found[1] == CONFIG or wanted(found[1])]
        sizes = [size for *_, size in chosen]
        if max(sizes, default=0) > _FILE_LIMIT or sum(sizes) > _RUN_LIMIT:
            raise Refused(f"the artifacts of {run_id} are larger than any run makes them, so they are not fetched")
        with tempfile.TemporaryDirectory() as beside:
            for artifact, file_name, _ in chosen:
                path = Path(client.download_artifacts(run_id, artifact, beside))
                if path.stat().st_size > _FILE_LIMIT:
                    raise Refused(f"{artifact} of {run_id} is larger than any run makes it, so it is not read")
                folder.write_bytes(file_name, path.read_bytes())
                path.unlink()
    if not _is_run(folder, tags.get("folder_id")):
        raise Refused(f"{run_id} in MLflow at {redacted(uri)} has the artifacts of another run, or none")
    return folder.path


def _is_run(folder: RunFolder, id_: str | None) -> bool:
    try:
        return folder.id == id_
    except Refused:
        return False


def _artifacts(client: "MlflowClient", run_id: str) -> Iterator[tuple[str, str, int]]:
    """The artifacts of a run that belong into a run folder: what MLflow calls them, what the folder does, and bytes."""
    for place in (None, PROBES):
        for file in client.list_artifacts(run_id, place):
            path = Path(file.path)
            if not file.is_dir and path.parent == Path(place or "") and path.suffix in _RESULTS:
                yield file.path, file.path, file.file_size or 0
    for file in client.list_artifacts(run_id, "images"):
        if match := _IMAGE.fullmatch(file.path):
            yield file.path, RunFolder.picture_name(int(match[1])), file.file_size or 0
