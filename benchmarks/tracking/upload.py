"""Uploads a run folder to MLflow. The folder is the truth; MLflow shows a copy that can be made again at any time.

What a run looks like in MLflow:

    name        that of the run folder: variant, dataset, seed and the first digits of the key
    params      the whole recipe by the names of its fields, the dataset, the seed, the budget of evaluation
    tags        variant, dataset, seed, recipe, device, extractor, code; state, epoch and cause; parent and
                parent_run_id, folder and run in MLflow of the run that this one went on from; note, where something
                was not as asked; not_finite, where MLflow cannot hold a value as it is; symptoms, such as a collapse,
                and the epochs that they were seen in; superseded, once the same config was trained anew; run_key and
                folder_id, by which a folder finds its run again; and the values on real data as reference.…, columns
                that one can tick in the run table: as metrics they would be charts of one point each, and params are
                listed above every picture
    metrics     with the epoch as their step and the journal's own time: those of an evaluation under their own names,
                curves as training/…, and timing/…
    inputs      the dataset, its digest being the checksum of its tensors
    images/     the sample pictures, under the names that the image grid of MLflow reads
    probes/     files that probes left; their figures are metrics, as probes/…
    artifacts   every other result of the run folder

MLflow stores an infinite metric as ±1.797e308. The exact values are in metrics.jsonl, which is an artifact as well, and
which reports read.
"""

import hashlib
import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
from PIL import Image

from benchmarks.run_folder.folder import (
    CAUSE_UNKNOWN,
    CHECKPOINT,
    HERE,
    PROBES_FOLDER,
    SAMPLES_FOLDER,
    STATUS,
    RunFolder,
)
from benchmarks.tracking.client import (
    CLOSE_SECONDS,
    EXPERIMENT,
    NOTE,
    SYNC_COMMAND,
    Busy,
    connect,
    is_local,
    redact_uri,
    resolve_experiment,
    resolve_uri,
    translate_errors,
)
from benchmarks.tracking.entities import iter_metrics, make_description, make_params, make_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RESULT_TYPES = (".json", ".jsonl", ".png", ".gif", ".svg", ".csv", ".safetensors")
# What the user interface of MLflow 3.17 parses: key, "step", number, "timestamp", milliseconds, an id, joined by +.
IMAGE_NAME = re.compile(r"images/samples\+step\+(\d{1,9})\+timestamp\+\d+\+[0-9a-f]{16}\.png")
# Bytes, chosen, not tuned: far above what any run writes.
FILE_LIMIT, RUN_LIMIT = 2**30, 4 * 2**30

_MEMORY = "mlflow.json"
_BUSY_SECONDS = 1.0
_METRICS_PER_BATCH, _OTHERS_PER_BATCH = 1000, 100
# Largest side of the small copy of a picture that MLflow's grid shows: ten by ten digits are legible in it.
_THUMBNAIL = 512


def find_page(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """Returns the page of a run, or the command that opens MLflow where no server runs; "" where it was never sent.

    Adds a note where MLflow lacks a part of it.
    """
    uri = resolve_uri(tracking_uri)
    memory = read_memory(folder, uri, experiment)
    if not memory:
        return ""
    page = f"{redact_uri(uri).rstrip('/')}/#/experiments/{memory['experiment_id']}/runs/{memory['run_id']}"
    where = page if uri.startswith("http") else shlex.join(["mlflow", "ui", "--backend-store-uri", redact_uri(uri)])
    lines = folder.lines()
    whole = memory["epoch"] >= (lines[-1]["epoch"] if lines else -1) and all(
        memory["files"].get(name) == _digest(folder, name) for name in _list_files(folder, final=True)
    )
    return where if whole else f"{where} (a part of it; {SYNC_COMMAND} sends the rest)"


def sync(folder: RunFolder, tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """Uploads everything that MLflow does not have of a run yet, and returns the id of the run there.

    Any number of calls upload each value once. The folder's mlflow.json remembers for each address what was sent; where
    that is lost, the run is found by its tags and asked what it has. While a run may still resume from a checkpoint,
    only the epochs that the checkpoint covers are sent. Raises UserError where MLflow cannot be used.
    """
    uri, config = resolve_uri(tracking_uri), folder.config()
    # Another process that sends the same folder to a local store may take its time.
    patience = -1 if is_local(uri) else CLOSE_SECONDS
    with translate_errors(uri), filelock.FileLock(folder.file(".mlflow.lock"), timeout=patience):
        client, experiment_id = connect(uri, experiment)
        status, lines = folder.status(), folder.lines()
        memory = read_memory(folder, uri, experiment)
        run = _get_remembered_run(client, memory, folder)
        arrived: dict[str, set[int]] = {}
        if run is None:
            memory = {"epoch": -1, "files": {}}
            found = client.search_runs([experiment_id], f"tags.folder_id = '{folder.id}'", max_results=1)
            if found:
                run = found[0]
                arrived = _list_arrived(client, run)
            else:
                run = client.create_run(experiment_id, _start_time(lines), {"folder_id": folder.id}, config.name)
                _supersede(client, run, config.key)
        memory |= {"run_id": run.info.run_id, "experiment_id": run.info.experiment_id}

        _describe(client, run, folder, lines, status)
        last = lines[-1]["epoch"] if lines else -1
        checkpoint = None if status["state"] in ("FINISHED", "FAILED") else folder.checkpoint_epoch()
        covered = last if checkpoint is None else min(last, checkpoint)
        # The journal's own time: a line that is sent twice has it twice, and MLflow drops the second one.
        times = {
            line["epoch"]: _milliseconds(line.get("timing", {}).get("time", 0.0), run.info.start_time + line["epoch"])
            for line in lines
        }
        _send_metrics(client, run, [x for x in lines if memory["epoch"] < x["epoch"] <= covered], times, arrived)
        _send_pictures(client, run, folder, range(memory["epoch"] + 1, covered + 1), times, arrived)
        # An epoch that is trained again after a kill has the values that it had, so it is not sent again.
        memory["epoch"] = max(memory["epoch"], covered)
        write_memory(folder, uri, experiment, memory)

        for name in _list_files(folder, final=status["state"] not in ("NONE", "RUNNING")):
            digest = _digest(folder, name)
            if memory["files"].get(name) != digest:
                client.log_artifact(run.info.run_id, str(folder.file(name)), Path(name).parent.name or None)
                memory["files"][name] = digest
        write_memory(folder, uri, experiment, memory)
        _set_state(client, run, status["state"], max(times.values(), default=None))
    return run.info.run_id


def sync_when_free(
    folder: RunFolder,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Does as `sync`, and tries again while another process holds a local store, which `say` is told once."""
    told = False
    while True:
        try:
            return sync(folder, tracking_uri, experiment)
        except Busy as busy:
            if not told:
                say(f"{busy}; waiting for it")
            told = True
            time.sleep(_BUSY_SECONDS)


def mark_lost(key: str, prefix: str, tracking_uri: str | None = None, experiment: str | None = None) -> None:
    """Marks as killed the runs that MLflow shows as in training while their process or machine is known to be gone.

    key: of the config. prefix: how the ids of the folders begin. Raises UserError where MLflow cannot be used.
    """
    uri = resolve_uri(tracking_uri)
    with translate_errors(uri):
        client, experiment_id = connect(uri, experiment)
        wanted = f"tags.run_key = '{key}' and tags.folder_id LIKE '{prefix}%' and attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment_id], wanted):
            for name, value in {"state": "KILLED", "cause": CAUSE_UNKNOWN}.items():
                client.set_tag(run.info.run_id, name, value)
            _set_state(client, run, "KILLED", None)


# The memory of uploads


def read_memory(folder: RunFolder, uri: str, experiment: str | None = None) -> dict[str, Any]:
    """Returns what was sent to an address: run_id, experiment_id, epoch, files; {} where nothing is known of it."""
    kept = folder.read_json(_MEMORY)
    memory = kept.get(_address(uri, experiment)) if isinstance(kept, dict) else None
    if not isinstance(memory, dict) or memory.get("folder_id") != folder.id:
        return {}
    types = {"run_id": str, "experiment_id": str, "epoch": int, "files": dict}
    return memory if all(isinstance(memory.get(name), kind) for name, kind in types.items()) else {}


def write_memory(folder: RunFolder, uri: str, experiment: str | None, memory: Mapping[str, Any]) -> None:
    """Keeps what was sent to an address, beside what was sent to others."""
    kept = folder.read_json(_MEMORY)
    others = kept if isinstance(kept, dict) else {}
    folder.write_json(_MEMORY, others | {_address(uri, experiment): {**memory, "folder_id": folder.id}})


def _address(uri: str, experiment: str | None) -> str:
    # The default experiment is the store alone, as in folders from before there were others.
    name = resolve_experiment(experiment)
    return redact_uri(uri) if name == EXPERIMENT else f"{redact_uri(uri)} {name}"


def _digest(folder: RunFolder, name: str) -> str:
    return hashlib.sha256(folder.read_bytes(name, FILE_LIMIT) or b"").hexdigest()


# The run in MLflow


def _get_remembered_run(client: "MlflowClient", memory: Mapping[str, Any], folder: RunFolder) -> "Run | None":
    """Returns the run that was remembered, unless it was deleted in MLflow, alone or with the whole store.

    A folder from a stranger may remember the run of another folder, which must not be written to.
    """
    from mlflow.exceptions import MlflowException

    if not memory:
        return None
    try:
        run = client.get_run(memory["run_id"])
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    own = run.data.tags.get("folder_id") == folder.id
    return run if own and run.info.lifecycle_stage == "active" else None


def _list_arrived(client: "MlflowClient", run: "Run") -> dict[str, set[int]]:
    """Returns the steps that MLflow has of each metric, and of the pictures under `images`."""
    steps = {key: {m.step for m in client.get_metric_history(run.info.run_id, key)} for key in run.data.metrics}
    found = (IMAGE_NAME.fullmatch(file.path) for file in client.list_artifacts(run.info.run_id, "images"))
    return {**steps, "images": {int(match[1]) for match in found if match}}


def _supersede(client: "MlflowClient", run: "Run", key: str) -> None:
    for other in client.search_runs([run.info.experiment_id], f"tags.run_key = '{key}'"):
        if other.info.run_id != run.info.run_id:
            client.set_tag(other.info.run_id, "superseded", run.info.run_id)


def _start_time(lines: list[dict[str, Any]]) -> int:
    timing = lines[0].get("timing", {}) if lines else {}
    seconds = timing.get("seconds", 0.0) + timing.get("evaluation_seconds", 0.0)
    return _milliseconds(timing.get("time", time.time()) - seconds, int(time.time() * 1000))


def _milliseconds(seconds: float, otherwise: int) -> int:
    """Converts a time of day; one that no clock shows becomes `otherwise`: a stranger's journal may hold any."""
    return int(seconds * 1000) if 0 < seconds < 2**40 else otherwise


def _set_state(client: "MlflowClient", run: "Run", state: str, end: int | None) -> None:
    status = "SCHEDULED" if state == "NONE" else state
    if run.info.status == status:
        return
    if status in ("SCHEDULED", "RUNNING"):
        client.update_run(run.info.run_id, status=status)
    else:
        client.set_terminated(run.info.run_id, status, end)


# What is sent


def _describe(
    client: "MlflowClient", run: "Run", folder: RunFolder, lines: list[dict[str, Any]], status: Mapping[str, Any]
) -> None:
    """Sends params, tags and the dataset, where MLflow does not have them so already."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    config = folder.config()
    run_id = run.info.run_id
    params = [Param(k, v) for k, v in make_params(folder).items() if k not in run.data.params]
    # A tag that no longer holds, such as the cause of an interruption, is emptied.
    emptied = {name: "" for name in ("cause", "not_finite", "symptoms") if name in run.data.tags}
    wanted = emptied | make_tags(folder, lines, status)
    # Written once: afterwards it belongs to whoever edits it there.
    if status["state"] in ("FINISHED", "FAILED") and NOTE not in run.data.tags:
        wanted[NOTE] = make_description(folder, lines, run_id)
    if config.parent and "parent_run_id" not in run.data.tags:
        key = config.parent.partition(":")[2]
        found = client.search_runs([run.info.experiment_id], f"tags.run_key = '{key}'", max_results=1)
        wanted |= {"parent_run_id": found[0].info.run_id} if found else {}
    tags = [RunTag(k, v) for k, v in wanted.items() if run.data.tags.get(k) != v]
    for kind, entities in (("params", params), ("tags", tags)):
        for batch in _batches(entities, _OTHERS_PER_BATCH):
            client.log_batch(run_id, **{kind: batch})
    if not run.inputs or not run.inputs.dataset_inputs:
        profile = json.dumps({"checksum": config.checksum, "notes": folder.notes()})[:10_000]
        # The schema of MLflow leaves 36 characters for a digest.
        dataset = Dataset(config.dataset.name, config.checksum[:36], "local", "{}", profile=profile)
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


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
    epochs: range,
    times: Mapping[int, int],
    arrived: Mapping[str, set[int]],
) -> None:
    """Sends the sample pictures of these epochs as a series of steps.

    MLflow's own log_image puts a random part into the names, so that a picture sent twice would be there twice.
    """
    due = {e: path for e, path in folder.pictures().items() if e in epochs and e not in arrived.get("images", ())}
    if not due:
        return
    with tempfile.TemporaryDirectory() as place:
        for epoch, path in due.items():
            stem = f"{SAMPLES_FOLDER}+step+{epoch}+timestamp+{times.get(epoch, run.info.start_time)}+{folder.id}"
            (Path(place) / f"{stem}.png").write_bytes(path.read_bytes())
            try:
                with Image.open(path) as picture:
                    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
                    picture.convert("RGB").save(Path(place) / f"{stem}+compressed.webp", quality=85)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                # A damaged picture is shown as such: the file itself is there, without its small copy.
                continue
        client.log_artifacts(run.info.run_id, place, "images")


def _list_files(folder: RunFolder, final: bool) -> list[str]:
    """Returns the files of the folder that MLflow gets: while a run goes on its JSON, at its end all results."""
    kept, places = [], [place for place in (folder.path, folder.path / PROBES_FOLDER) if not place.is_symlink()]
    for path in sorted(path for place in places for path in place.glob("*")):
        result = path.suffix in RESULT_TYPES and path.name not in (_MEMORY, HERE)
        early = path.suffix in (".json", ".jsonl") and path.name != STATUS
        if path.name.startswith(Path(CHECKPOINT).stem) or not (result and (final or early)):
            continue
        if path.is_file() and not path.is_symlink():
            kept.append(path.relative_to(folder.path).as_posix())
    return kept
