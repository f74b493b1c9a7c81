"""benchmarks.tracking.upload: TODO."""

import hashlib
import json
import math
import re
import shlex
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
from PIL import Image

from benchmarks.run_folder.folder import CAUSE_UNKNOWN, CHECKPOINT, HERE, PROBES, SAMPLES, STATUS, RunFolder
from benchmarks.run_folder.symptoms import describe_symptoms

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

from benchmarks.tracking.client import (
    CLOSE_SECONDS,
    EXPERIMENT,
    SYNC_COMMAND,
    Busy,
    connect,
    is_local,
    redact_uri,
    resolve_experiment,
    resolve_uri,
    translate_errors,
)

MEMORY = "mlflow.json"
_BUSY_SECONDS = 1.0

_STATES = {"NONE": "SCHEDULED", "RUNNING": "RUNNING", "FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED"}
RESULT_TYPES = (".json", ".jsonl", ".png", ".gif", ".svg", ".csv", ".safetensors")
FILE_LIMIT, RUN_LIMIT = 2**30, 4 * 2**30
_METRICS_PER_BATCH, _OTHERS_PER_BATCH = 1000, 100

# Largest side of the small copy of a picture that MLflow's grid shows: ten by ten digits are legible in it.
_THUMBNAIL = 512
# What the user interface of MLflow 3.17 parses: key, "step", number, "timestamp", milliseconds, an id, joined by +.
IMAGE_NAME = re.compile(r"images/samples\+step\+(\d{1,9})\+timestamp\+\d+\+[0-9a-f]{16}\.png")


def find_page(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """The page of this run, or the command that opens MLflow where no server runs; "" where MLflow has nothing of it.

    What MLflow lacks of a run that ended is told with it.
    """
    uri = resolve_uri(tracking_uri)
    sent = read_memory(folder, uri, experiment)
    if not sent:
        return ""
    page = f"{redact_uri(uri).rstrip('/')}/#/experiments/{sent['experiment_id']}/runs/{sent['run_id']}"
    where = page if uri.startswith("http") else shlex.join(["mlflow", "ui", "--backend-store-uri", redact_uri(uri)])
    lines = folder.lines()
    whole = sent["epoch"] >= (lines[-1]["epoch"] if lines else -1) and all(
        sent["files"].get(name) == digest_of(folder, name) for name in _result_files(folder, final=True)
    )
    return where if whole else f"{where} (a part of it; {SYNC_COMMAND} sends the rest)"


# The run folder -> MLflow


def sync(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """Sends what MLflow does not have of a run yet, and gives the id of the run there.

    As often as one likes: every value arrives once. What was sent is remembered in the folder's mlflow.json, for each
    address; where that is lost, the run is found again by its tags and asked what it has. While a run may still go
    on from a checkpoint, only epochs that the checkpoint covers are sent. Raises UserError where MLflow cannot be used.
    """
    uri = resolve_uri(tracking_uri)
    config = folder.config()
    # Another process that sends the same folder to a local store may take its time.
    patience = -1 if is_local(uri) else CLOSE_SECONDS
    with translate_errors(uri), filelock.FileLock(folder.file(".mlflow.lock"), timeout=patience):
        client, experiment_id = connect(uri, experiment)
        status, lines = folder.status(), folder.lines()
        sent = read_memory(folder, uri, experiment)
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
        write_memory(folder, uri, experiment, sent)

        for name in _result_files(folder, final=status["state"] not in ("NONE", "RUNNING")):
            digest = digest_of(folder, name)
            if sent["files"].get(name) != digest:
                client.log_artifact(run.info.run_id, str(folder.file(name)), Path(name).parent.name or None)
                sent["files"][name] = digest
        write_memory(folder, uri, experiment, sent)
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


def read_memory(folder: RunFolder, uri: str, experiment: str | None = None) -> dict[str, Any]:
    """What was sent to this address: run_id, experiment_id, epoch, files; {} where nothing is known of it."""
    kept = folder.read_json(MEMORY)
    sent = kept.get(_address(uri, experiment)) if isinstance(kept, dict) else None
    if not isinstance(sent, dict) or sent.get("folder_id") != folder.id:
        return {}
    right = {"run_id": str, "experiment_id": str, "epoch": int, "files": dict}
    return sent if all(isinstance(sent.get(name), kind) for name, kind in right.items()) else {}


def _address(uri: str, experiment: str | None) -> str:
    """What the memory calls an experiment of a store; the default one has the name of the store alone, as ever."""
    name = resolve_experiment(experiment)
    return redact_uri(uri) if name == EXPERIMENT else f"{redact_uri(uri)} {name}"


def digest_of(folder: RunFolder, name: str) -> str:
    return hashlib.sha256(folder.read_bytes(name, FILE_LIMIT) or b"").hexdigest()


def write_memory(folder: RunFolder, uri: str, experiment: str | None, sent: Mapping[str, Any]) -> None:
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
    found = (IMAGE_NAME.fullmatch(file.path) for file in client.list_artifacts(run.info.run_id, "images"))
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
    params = {k: v for k, v in make_params(folder).items() if k not in run.data.params}
    # What was so once and is no longer, as the cause of an interruption, is emptied.
    wanted = {name: "" for name in ("cause", "not_finite", "symptoms") if name in run.data.tags} | make_tags(
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


def make_params(folder: RunFolder) -> dict[str, str]:
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
    return {sanitize_name(name): str(value)[:6000] for name, value in flat.items()}


def make_tags(folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]) -> dict[str, str]:
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
        "symptoms": describe_symptoms(status),
        "run_key": config.key,
        "folder": folder.name,
        **{name: value for name, value in status.items() if name in ("state", "epoch", "cause")},
        "mlflow.loggedImages": "True" if folder.pictures() else "",
        **{sanitize_name(f"reference.{name}"): f"{value:.6g}" for name, value in folder.reference().items()},
    }
    return {name: str(value)[:5000] for name, value in tags.items() if value not in (None, "")}


def _not_finite(lines: list[dict[str, Any]]) -> str:
    """Which metrics are infinite or NaN, and in which epochs."""
    found: dict[str, list[int]] = defaultdict(list)
    for epoch, key, value in iter_metrics(lines):
        if not math.isfinite(value):
            found[f"{key} is {value}"].append(epoch)
    return "; ".join(f"{what} in epoch {', '.join(map(str, epochs[:20]))}" for what, epochs in found.items())


def iter_metrics(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, float]]:
    """Epoch, key in MLflow and value of every figure of the journal."""
    prefixes = {"metrics": "", "curves": "training/"}
    for line in lines:
        for section, figures in line.items():
            if section != "epoch":
                for name, value in figures.items():
                    if (section, name) != ("timing", "time"):
                        yield (
                            line["epoch"],
                            prefixes.get(section, f"{sanitize_name(section)}/") + sanitize_name(name),
                            value,
                        )


def sanitize_name(name: str) -> str:
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
        for epoch, key, value in iter_metrics(lines)
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
            path.suffix in RESULT_TYPES
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

    key: of the config. prefix: what the ids of the folders begin with. Raises UserError where MLflow cannot be used.
    """
    uri = resolve_uri(tracking_uri)
    with translate_errors(uri):
        client, experiment_id = connect(uri, experiment)
        wanted = f"tags.run_key = '{key}' and tags.folder_id LIKE '{prefix}%' and attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment_id], wanted):
            for name, value in {"state": "KILLED", "cause": CAUSE_UNKNOWN}.items():
                client.set_tag(run.info.run_id, name, value)
            _set_state(client, run, _STATES["KILLED"], None)
