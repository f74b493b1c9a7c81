"""The run folder as MLflow has it: everything, each value once, whatever happens in between."""

import math
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from PIL import Image

from benchmarks.config import PROTOCOL_VERSION, DatasetConfig, RunConfig
from benchmarks.executors import RunOptions
from benchmarks.run import run as run_command
from benchmarks.run_folder.folder import RunFolder
from benchmarks.sample import command as sample_command
from benchmarks.show import command as show_command
from benchmarks.suite import main as suite
from benchmarks.sync import command as sync_command
from benchmarks.tracking.background import Tracker
from benchmarks.tracking.client import EXPERIMENT, Busy, mlflow_client, prepare, redacted, resolved
from benchmarks.tracking.download import fetch, runs
from benchmarks.tracking.sending import Sender
from benchmarks.tracking.upload import mark_lost, remember, sync, sync_when_free, where_to_look
from reports.build import command as build_command
from tests.conftest import Done
from variants.recipe import Recipe, UserError

CONFIG = RunConfig(
    variant="cgan_mlp",
    recipe=Recipe(epochs=4, generator_widths=(256, 512), conditioning="embedding"),
    dataset=DatasetConfig("digits"),
    seed=3,
    checksum="ab" * 32,
    extractor="cd" * 32,
)
BEGAN = 1_700_000_000.25


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", CONFIG)
    folder.write_environment(
        {
            "device": "cpu",
            "code": "c0de",
            "recipe": "default",
            "notes": ["no network: 8×8 digits instead of MNIST"],
            "protocol_version": PROTOCOL_VERSION,
            "extractor": {"name": "digits", "sha256": "cd" * 32, "accuracy": 0.98},
        }
    )
    folder.write_json("reference.json", {"fid": 0.25, "accuracy": 0.98})
    folder.write_json("facts.json", {"parameters": {"generator": 1000, "discriminator": 2000}})
    return folder


def train(folder: RunFolder, epochs: range, began: float = BEGAN, **metrics: float) -> None:
    """Fills the folder as training does, the same values for the same epoch."""
    for epoch in epochs:
        if epoch:
            picture = folder.file(folder.picture_name(epoch))
            picture.parent.mkdir(exist_ok=True)
            Image.new("L", (600, 640), epoch).save(picture)
        folder.append(
            {
                "epoch": epoch,
                "curves": {"generator_loss": 2.0 - epoch / 8},
                "metrics": {"fid": 64.0 / (epoch + 1), **metrics},
                "timing": {"time": began + epoch, "seconds": 0.5},
            }
        )


def finish(folder: RunFolder, state: str = "FINISHED", **detail: object) -> None:
    folder.write_bytes("losses.png", b"curves")
    folder.write_bytes("samples.gif", b"film")
    folder.write_bytes("generator.safetensors", b"weights")
    folder.set_status(state, **detail)


def stored(tracking_uri: str, run_id: str) -> dict[str, list[tuple[int, float, int]]]:
    """Every point that MLflow has of every metric."""
    client = mlflow_client(tracking_uri)
    return {
        key: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, key)]
        for key in client.get_run(run_id).data.metrics
    }


def images(tracking_uri: str, run_id: str) -> list[str]:
    return [file.path for file in mlflow_client(tracking_uri).list_artifacts(run_id, "images")]


# What arrives


def test_a_run_arrives_whole(folder: RunFolder, tracking_uri: str):
    train(folder, range(5))
    finish(folder, epoch=4)
    run_id = sync(folder, tracking_uri)
    client = mlflow_client(tracking_uri)
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == (CONFIG.name, "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_250 - 500, 1_700_000_004_250)
    assert client.get_experiment(run.info.experiment_id).name == EXPERIMENT

    recipe = {name: str(value) for name, value in CONFIG.recipe.as_dict().items()}
    assert recipe.items() <= run.data.params.items()
    others = {
        "variant": "cgan_mlp",
        "dataset": "digits",
        "seed": "3",
        "samples": "10000",
        "parameters.generator": "1000",
    }
    assert others.items() <= run.data.params.items()
    tags = {
        "variant": "cgan_mlp",
        "dataset": "digits",
        "seed": "3",
        "device": "cpu",
        "recipe": "default",
        "extractor": "digits cdcdcdcd",
        "code": "c0de",
        "note": "no network: 8×8 digits instead of MNIST",
        "run_key": CONFIG.key,
        "folder": CONFIG.name,
        "state": "FINISHED",
        "epoch": "4",
    }
    assert tags.items() <= run.data.tags.items()
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", CONFIG.checksum[:36])

    times = [1_700_000_000_250 + 1000 * epoch for epoch in range(5)]
    points = stored(tracking_uri, run_id)
    assert points["fid"] == [(epoch, 64.0 / (epoch + 1), times[epoch]) for epoch in range(5)]
    assert points["training/generator_loss"] == [(epoch, 2.0 - epoch / 8, times[epoch]) for epoch in range(5)]
    assert run.data.tags["reference.fid"] == "0.25"
    assert "timing/time" not in points

    names = {file.path for file in client.list_artifacts(run_id)}
    results = {"config.json", "metrics.jsonl", "environment.json", "reference.json", "facts.json", "status.json"}
    assert names == results | {"images", "losses.png", "samples.gif", "generator.safetensors"}


def test_the_pictures_are_a_series_that_mlflow_shows(folder: RunFolder, tracking_uri: str):
    """The rule by which the user interface of MLflow 3.17 reads names, and names that MLflow makes itself."""

    def parsed(path: str) -> tuple[str, int, int, bool]:
        stem, _, extension = path.removeprefix("images/").rpartition(".")
        key, step, number, timestamp, milliseconds, _, *compressed = stem.split("+")
        assert (step, timestamp, extension in ("png", "webp")) == ("step", "timestamp", True)
        return key, int(number), int(milliseconds), compressed == ["compressed"]

    train(folder, range(3))
    run_id = sync(folder, tracking_uri)
    series = {(key, step, small) for key, step, _, small in map(parsed, images(tracking_uri, run_id))}
    assert series == {("samples", 1, False), ("samples", 1, True), ("samples", 2, False), ("samples", 2, True)}
    client = mlflow_client(tracking_uri)
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    client.log_image(run_id, Image.new("L", (8, 8)), key="theirs", step=7)
    theirs = {parsed(path) for path in images(tracking_uri, run_id) if "theirs" in path}
    assert {(key, step, small) for key, step, _, small in theirs} == {("theirs", 7, False), ("theirs", 7, True)}


def test_what_is_not_finite_is_said_and_comes_back_exactly(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2), kid=math.inf)
    train(folder, range(2, 3), accuracy=math.nan)
    finish(folder, "FAILED", epoch=2, cause="generator_loss is nan in epoch 2")
    run_id = sync(folder, tracking_uri)
    assert [value for _, value, _ in stored(tracking_uri, run_id)["kid"]] == [1.7976931348623157e308] * 2
    ((_, tags, status),) = runs(tracking_uri)
    assert tags["not_finite"] == "kid is inf in epoch 0, 1; accuracy is nan in epoch 2"
    assert (status, tags["cause"]) == ("FAILED", "generator_loss is nan in epoch 2")
    lines = RunFolder(fetch(run_id, tracking_uri, tmp_path / "fetched")).lines()
    assert [line["metrics"].get("kid") for line in lines] == [math.inf, math.inf, None]
    assert math.isnan(lines[2]["metrics"]["accuracy"])


def test_a_run_that_older_code_called_failed_though_the_machine_ended_it_is_sent_as_killed(
    folder: RunFolder, tracking_uri: str
):
    train(folder, range(2))
    finish(folder, "FAILED", epoch=1, cause="[Errno 28] No space left on device")
    sync(folder, tracking_uri)
    ((_, tags, status),) = runs(tracking_uri)
    assert (status, tags["state"], tags["cause"]) == ("KILLED", "KILLED", "[Errno 28] No space left on device")


# Each value once


def test_a_run_is_sent_as_it_grows_and_never_twice(folder: RunFolder, tracking_uri: str):
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        train(folder, range(2))
        run_id = sync(folder, tracking_uri)
        assert mlflow_client(tracking_uri).get_run(run_id).info.status == "RUNNING"
        early = stored(tracking_uri, run_id)
        assert sync(folder, tracking_uri) == run_id
        assert stored(tracking_uri, run_id) == early
        train(folder, range(2, 5))
        assert sync(folder, tracking_uri) == run_id
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3, 4]
    assert len(images(tracking_uri, run_id)) == 2 * 4


@pytest.mark.parametrize("lost", ["memory", "memory and journal", "journal"])
def test_what_is_lost_here_is_not_sent_again(folder: RunFolder, tracking_uri: str, lost: str):
    train(folder, range(4))
    run_id = sync(folder, tracking_uri)
    before, pictures = stored(tracking_uri, run_id), images(tracking_uri, run_id)
    if "memory" in lost:
        folder.file("mlflow.json").unlink()
    if "journal" in lost:
        folder.truncate(1)
        train(folder, range(2, 5), began=BEGAN + 5000)
    else:
        train(folder, range(4, 5))
    finish(folder)
    assert sync(folder, tracking_uri) == run_id
    after = stored(tracking_uri, run_id)
    assert {key: points[:4] for key, points in after.items()} == before
    assert [step for step, _, _ in after["fid"]] == [0, 1, 2, 3, 4]
    assert len(images(tracking_uri, run_id)) == len(pictures) + 2


def test_a_sync_that_broke_off_is_completed(folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch):
    """It breaks off at each of its calls in turn; in the end everything is there once."""
    from mlflow import MlflowClient

    train(folder, range(4))
    finish(folder)
    calls = ("create_run", "log_batch", "log_inputs", "log_artifacts", "log_artifact", "set_terminated")
    for name in calls:
        whole = getattr(MlflowClient, name)

        def broken(client: MlflowClient, *args: object, whole=whole, **kwargs: object) -> None:
            whole(client, *args, **kwargs)
            raise ConnectionError("the answer was lost")

        monkeypatch.setattr(MlflowClient, name, broken)
        with pytest.raises(UserError, match="the answer was lost"):
            sync(folder, tracking_uri)
        monkeypatch.undo()
    run_id = sync(folder, tracking_uri)
    assert [run.run_id for run in runs(tracking_uri)] == [run_id]
    points = stored(tracking_uri, run_id)
    assert [step for step, _, _ in points["fid"]] == [0, 1, 2, 3]
    assert {len(series) for key, series in points.items()} == {4}
    assert len(images(tracking_uri, run_id)) == 2 * 3


def test_what_a_checkpoint_does_not_cover_waits(folder: RunFolder, tracking_uri: str):
    import torch

    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        train(folder, range(5))
        folder.save_checkpoint({"w": torch.zeros(1)}, {}, 2)
        run_id = sync(folder, tracking_uri)
        assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2]
        assert len(images(tracking_uri, run_id)) == 2 * 2
        finish(folder)
        sync(folder, tracking_uri)
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3, 4]


# What becomes of a run


def test_a_killed_run_reads_as_killed_and_goes_on_in_the_same_run(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    folder.set_status("RUNNING", epoch=1)
    run_id = sync(folder, tracking_uri)
    client = mlflow_client(tracking_uri)
    assert client.get_run(run_id).info.status == "KILLED"
    assert client.get_run(run_id).data.tags["cause"] == "the process ended without a word"
    with folder.lock():
        folder.set_status("RUNNING", epoch=1)
        assert sync(folder, tracking_uri) == run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        finish(folder)
        sync(folder, tracking_uri)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_run(run_id).data.tags["cause"] == ""


def test_a_run_that_is_done_again_is_another_one_and_the_old_one_is_marked(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    finish(folder)
    old = sync(folder, tracking_uri)
    folder.clear()
    train(folder, range(3))
    finish(folder)
    new = sync(folder, tracking_uri)
    assert new != old
    tags = {run.run_id: run.tags for run in runs(tracking_uri)}
    assert tags[old]["superseded"] == new
    assert "superseded" not in tags[new]
    assert len(stored(tracking_uri, old)["fid"]) == 2


def test_whose_process_is_known_to_be_gone_is_marked_as_killed_and_nothing_else_is(tmp_path: Path, tracking_uri: str):
    folders = [
        RunFolder.create(tmp_path / name, replace(CONFIG, seed=seed), prefix)
        for name, seed, prefix in (("gone", 3, "0123abcd"), ("others", 3, "0123abce"), ("seed", 4, "0123abcd"))
    ]
    ids = {}
    for folder in folders:
        with folder.lock():
            folder.set_status("RUNNING", epoch=0)
            ids[folder.path.parent.name] = sync(folder, tracking_uri)
    mark_lost(CONFIG.key, "0123abcd", tracking_uri)
    found = {run.run_id: (run.status, run.tags["state"], run.tags.get("cause")) for run in runs(tracking_uri)}
    assert found == {
        ids["gone"]: ("KILLED", "KILLED", "the process ended without a word"),
        ids["others"]: ("RUNNING", "RUNNING", None),
        ids["seed"]: ("RUNNING", "RUNNING", None),
    }
    finish(folders[0])
    sync(folders[0], tracking_uri)
    mark_lost(CONFIG.key, "0123abcd", tracking_uri)
    assert [run.status for run in runs(tracking_uri) if run.run_id == ids["gone"]] == ["FINISHED"]


def test_a_run_that_was_deleted_in_mlflow_is_made_again(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    finish(folder)
    old = sync(folder, tracking_uri)
    mlflow_client(tracking_uri).delete_run(old)
    new = sync(folder, tracking_uri)
    assert new != old
    assert [step for step, _, _ in stored(tracking_uri, new)["fid"]] == [0, 1]
    assert len(images(tracking_uri, new)) == 2


def test_a_deleted_experiment_is_said(folder: RunFolder, tracking_uri: str):
    mlflow_client(tracking_uri).delete_experiment(prepare(tracking_uri))
    with pytest.raises(UserError, match="was deleted in MLflow; restore it"):
        sync(folder, tracking_uri)


def test_each_address_has_its_own_memory(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    other = tmp_path / "other.db"
    shutil.copy(resolved(tracking_uri).removeprefix("sqlite:///"), other)
    train(folder, range(2))
    first, second = sync(folder, tracking_uri), sync(folder, f"sqlite:///{other}")
    assert first != second
    assert stored(f"sqlite:///{other}", second)["fid"] == stored(tracking_uri, first)["fid"]
    assert sync(folder, tracking_uri) == first


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_processes_that_find_no_tables_make_them_once(tmp_path: Path):
    import mlflow  # noqa: F401  (so that the children need not)

    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            failed = 1
            try:
                prepare(uri)
                failed = 0
            finally:
                os._exit(failed)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    names = [experiment.name for experiment in mlflow_client(uri).search_experiments()]
    assert sorted(names) == ["Default", EXPERIMENT]


# While it trains


def test_the_tracker_sends_in_the_background_and_completes_at_the_end(folder: RunFolder, tracking_uri: str):
    said: list[str] = []
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        with Tracker(folder, tracking_uri, say=said.append) as tracker:
            for epoch in range(3):
                train(folder, range(epoch, epoch + 1))
                tracker.notify()
            finish(folder)
    ((run_id, _, status),) = runs(tracking_uri)
    assert status == "FINISHED"
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2]
    assert said == []


def test_the_tracker_syncs_at_most_once_an_interval_and_once_at_the_end(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    synced: list[float] = []
    monkeypatch.setattr("benchmarks.tracking.upload.sync", lambda *_: synced.append(time.monotonic()) or "id")
    tracker = Tracker(folder, "sqlite:///none.db", seconds=0.3)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        tracker.notify()
        time.sleep(0.005)
    closing = time.monotonic()
    assert tracker.close() == "id"
    assert synced[-1] >= closing
    gaps = [later - earlier for earlier, later in pairwise(synced[:-1])]
    assert len(synced) >= 3
    assert min(gaps) >= 0.29


def test_a_server_that_is_down_is_said_once_and_gets_everything_later(
    folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []
    tracker = Tracker(folder, "http://me:secret@127.0.0.1:9", say=said.append, seconds=0.01)
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        for epoch in range(4):
            train(folder, range(epoch, epoch + 1))
            began = time.monotonic()
            tracker.notify()
            assert time.monotonic() - began < 0.1
        finish(folder)
    assert tracker.close() is None
    assert len(said) == 1
    assert said[0].startswith("MLflow at http://127.0.0.1:9 cannot be reached; nothing is lost")
    assert "secret" not in said[0]
    assert not any("secret" in path.read_text(errors="ignore") for path in folder.path.rglob("*") if path.is_file())
    run_id = sync(folder, tracking_uri)
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3]


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            try:
                while True:
                    kept.append(server.accept())
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_does_not_hold_up_the_end(folder: RunFolder, silent_server: str):
    said: list[str] = []
    train(folder, range(2))
    tracker = Tracker(folder, silent_server, say=said.append)
    tracker.notify()
    began = time.monotonic()
    assert tracker.close(seconds=0.5) is None
    assert time.monotonic() - began < 2
    assert len(said) == 1
    assert "did not take everything within" in said[0]


class Held:
    """Takes the place of `sync`: of a store that answers once it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.said = threading.Event(), []
        monkeypatch.setattr("benchmarks.tracking.upload.sync", lambda *_: self.free.wait(60) and "id")
        monkeypatch.setattr("benchmarks.tracking.background.TELL_SECONDS", 0.0)

    def say(self, sentence: str) -> None:
        """Lets it go once a person is told of the waiting."""
        self.said.append(sentence)
        self.free.set()

    def interrupt(self, sentence: str) -> None:
        """Presses Ctrl-C once a person is told of the waiting."""
        self.said.append(sentence)
        if len(self.said) == 1:
            raise KeyboardInterrupt


LOCAL = "sqlite:///none.db"


@pytest.mark.parametrize("uri", [LOCAL, "mlruns", "file:///tmp/mlruns"])
def test_a_local_store_that_is_slow_is_waited_for(folder: RunFolder, uri: str, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    tracker = Tracker(folder, uri, say=held.say)
    assert tracker.close(seconds=0.0) == "id"
    (sentence,) = held.said
    assert sentence.startswith(f"waiting until MLflow at {tracker.uri} has everything; Ctrl-C leaves that to python -m")


def test_ctrl_c_leaves_a_slow_store_to_the_next_sync(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    assert Tracker(folder, LOCAL, say=held.interrupt).close() is None
    assert len(held.said) == 2
    assert "was not waited for; nothing is lost" in held.said[1]
    assert held.said[1].endswith("python -m benchmarks.sync sends it at any time")
    held.free.set()


def test_who_pressed_ctrl_c_is_not_kept_waiting(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    monkeypatch.setattr(Tracker.close, "__defaults__", (0.0, True))
    with pytest.raises(KeyboardInterrupt), Tracker(folder, LOCAL, say=held.said.append):
        raise KeyboardInterrupt
    assert ["did not take everything within 0 s" in sentence for sentence in held.said] == [True]
    held.free.set()


def test_a_suite_waits_for_a_slow_local_store_too(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    monkeypatch.setattr("benchmarks.tracking.client.prepare", lambda *_: "7")
    sender = Sender(RunOptions(folder.path.parent, tracking_uri=LOCAL), held.say)
    sender.send(folder.name)
    monkeypatch.setattr("benchmarks.tracking.client.CLOSE_SECONDS", 0.0)
    sender.close()
    assert [sentence.partition(" MLflow")[0] for sentence in held.said] == ["waiting until"]
    assert not sender._unsent


def test_a_store_that_another_process_holds_is_tried_again(
    folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
):
    import sqlalchemy

    train(folder, range(2))
    finish(folder)
    said: list[str] = []
    other = sqlite3.connect(resolved(tracking_uri).removeprefix("sqlite:///"), check_same_thread=False)
    # Otherwise SQLite itself waits for five seconds.
    at_once = ("do_connect", lambda *given: given[-1].update(timeout=0.0))
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, *at_once)

    def told(sentence: str) -> None:
        said.append(sentence)
        other.rollback()

    monkeypatch.setattr("benchmarks.tracking.upload._BUSY_SECONDS", 0.0)
    try:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="is busy: another process writes to it"):
            sync(folder, tracking_uri)
        run_id = sync_when_free(folder, tracking_uri, say=told)
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, *at_once)
        other.close()
    assert said == [f"MLflow at {resolved(tracking_uri)} is busy: another process writes to it; waiting for it"]
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1]


# Experiments


def test_each_experiment_gets_a_run_whole_and_is_remembered(
    folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
):
    train(folder, range(2))
    finish(folder)
    first, second = sync(folder, tracking_uri), sync(folder, tracking_uri, "my own")
    assert (sync(folder, tracking_uri), sync(folder, tracking_uri, "my own")) == (first, second)
    assert stored(tracking_uri, first) == stored(tracking_uri, second)
    assert [run.run_id for run in runs(tracking_uri)] == [first]
    assert [run.run_id for run in runs(tracking_uri, "my own")] == [second]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "my own")
    assert [run.run_id for run in runs(tracking_uri)] == [second]
    assert sync(folder, tracking_uri) == second
    assert [run.run_id for run in runs(tracking_uri, EXPERIMENT)] == [first]


def test_reading_makes_no_experiment(folder: RunFolder, tracking_uri: str):
    sync(folder, tracking_uri, "mine")
    with pytest.raises(UserError, match=r"unknown experiment 'mime'; did you mean 'mine'\?"):
        runs(tracking_uri, "mime")
    assert runs(tracking_uri) == []
    names = {each.name for each in mlflow_client(tracking_uri).search_experiments()}
    assert names == {"Default", "mine"}


@pytest.mark.parametrize("name", ["..", "a/../../b"])
def test_an_experiment_keeps_its_artifacts_beside_the_database(tracking_uri: str, tmp_path: Path, name: str):
    client = mlflow_client(tracking_uri)
    place = client.get_experiment(prepare(tracking_uri, name)).artifact_location
    assert Path(url2pathname(urlsplit(place).path)).resolve().parent == (tmp_path / "mlruns").resolve()


COMMANDS = (run_command, suite, sync_command, show_command, sample_command, build_command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__module__)
def test_every_command_that_knows_of_mlflow_takes_an_experiment(command: Callable, called: Callable[..., Done]):
    assert all(f"\n  {option}" in called(command, "--help").out for option in ("--tracking-uri", "--experiment"))


def test_a_run_of_an_experiment_is_found_there(called: Callable[..., Done], tracking_uri: str, tmp_path: Path):
    where = ("--tracking-uri", tracking_uri, "--experiment", "mine")
    words = "--variant vanilla_gan --dataset ring8 --epochs 1 --epoch-updates 2 --samples 20 --quick-metrics".split()
    assert called(run_command, *words, *where).code == 0
    (run,) = runs(tracking_uri, "mine")
    assert runs(tracking_uri) == []
    shutil.move("runs", "elsewhere")
    assert called(show_command, run.run_id, *where).code == 0
    assert called(sample_command, "--run", run.run_id, *where).code == 0
    assert called(build_command, *where).code == 0
    assert "1 runs, 0 sent, 1 there already, 0 failed" in called(sync_command, "--runs-dir", "elsewhere", *where).out
    other = (*where[:3], "another")
    assert "1 runs, 1 sent, 0 there already, 0 failed" in called(sync_command, "--runs-dir", "elsewhere", *other).out


# Back from MLflow


def test_a_run_comes_back_as_the_folder_it_was(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(3))
    finish(folder, epoch=2)
    run_id = sync(folder, tracking_uri)
    fetched = RunFolder(fetch(run_id, tracking_uri, tmp_path / "fetched"))
    assert (fetched.name, fetched.id) == (folder.name, folder.id)
    assert (fetched.config(), fetched.lines(), fetched.status()) == (folder.config(), folder.lines(), folder.status())
    assert fetched.reference() == folder.reference()
    assert {e: p.read_bytes() for e, p in fetched.pictures().items()} == {
        e: p.read_bytes() for e, p in folder.pictures().items()
    }
    assert fetched.read_bytes("generator.safetensors") == b"weights"
    few = fetch(run_id, tracking_uri, tmp_path / "few", wanted=lambda name: name == "samples/epoch_002.png")
    assert sorted(p.name for p in few.rglob("*") if p.is_file()) == ["config.json", "epoch_002.png"]


def test_a_local_folder_stands_for_a_run_only_if_it_is_that_run(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2))
    finish(folder)
    run_id = sync(folder, tracking_uri)
    assert fetch(run_id, tracking_uri, tmp_path / "fetched", runs_dir=tmp_path / "runs") == folder.path
    folder.clear()
    fetched = fetch(run_id, tracking_uri, tmp_path / "fetched", runs_dir=tmp_path / "runs")
    assert fetched == tmp_path / "fetched" / folder.name
    assert len(RunFolder(fetched).lines()) == 2


def test_only_runs_of_ours_are_listed_and_fetched(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2))
    run_id = sync(folder, tracking_uri)
    client = mlflow_client(tracking_uri)
    other = client.create_run(prepare(tracking_uri), run_name="by hand").info.run_id
    hostile = client.create_run(prepare(tracking_uri), tags={"folder": "../../evil", "run_key": "x"}).info.run_id
    assert [run.run_id for run in runs(tracking_uri)] == [run_id, hostile]
    for wrong in (other, hostile):
        with pytest.raises(UserError, match="is not a run of this benchmark"):
            fetch(wrong, tracking_uri, tmp_path / "fetched")
    with pytest.raises(UserError, match="does not answer as it should"):
        fetch("0" * 32, tracking_uri, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_reading_makes_no_database(tmp_path: Path):
    with pytest.raises(UserError, match="there is no MLflow database"):
        runs(f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_kill_while_the_tables_are_made_leaves_none_that_cannot_be_used(tmp_path: Path, folder: RunFolder):
    """MLflow makes them in dozens of statements, of which the last ones count only together."""
    import sqlalchemy
    from mlflow import MlflowClient  # noqa: F401  imported once, before the processes are made

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for statement in (3, 120):
        pid = os.fork()
        if pid == 0:
            left = [statement]

            def count(*_: object, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            sqlalchemy.event.listen(sqlalchemy.engine.Engine, "after_cursor_execute", count)
            try:
                prepare(uri)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert not (tmp_path / "mlflow.db").exists()
    train(folder, range(2))
    run_id = sync(folder, uri)
    assert [step for step, _, _ in stored(uri, run_id)["fid"]] == [0, 1]
    assert not list(tmp_path.glob(".mlflow.db.making*"))


# Addresses


def test_the_address_is_the_argument_then_the_variable_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert resolved() == f"sqlite:///{tmp_path.as_posix()}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert resolved() == "http://server:5000"
    assert resolved("sqlite:////abs/x.db") == "sqlite:////abs/x.db"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:p%40ss@host:5000/path?token=1#x", "http://host:5000/path"),
        ("postgresql+psycopg2://me:p@ss@host/db?sslmode=require", "postgresql+psycopg2://host/db"),
        ("http://me:p?ss@host", "http://…"),
        ("http://me:p/ss@host", "http://host"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_no_secret_of_an_address_is_shown(address: str, shown: str):
    assert redacted(address) == shown


def test_one_is_told_where_to_look(folder: RunFolder, tmp_path: Path, tracking_uri: str):
    assert where_to_look(folder, tracking_uri) == ""
    assert where_to_look(folder, "http://me:pw@host:5000/") == ""
    train(folder, range(2))
    folder.set_status("KILLED", epoch=1)
    uri = f"sqlite:///{tmp_path / 'my own.db'}"
    sync(folder, uri)
    command = ["mlflow", "ui", "--backend-store-uri", uri]
    assert shlex.split(where_to_look(folder, uri)) == command
    train(folder, range(2, 3))
    assert where_to_look(folder, uri).endswith(" (a part of it; python -m benchmarks.sync sends the rest)")
    finish(folder)
    sync(folder, uri)
    assert shlex.split(where_to_look(folder, uri)) == command
    folder.write_bytes("losses.png", b"others")
    assert "a part of it" in where_to_look(folder, uri)

    sent = {"run_id": "r", "experiment_id": "7", "epoch": 2, "files": {}}
    remember(folder, "http://me:pw@host:5000/", None, sent)
    assert where_to_look(folder, "http://me:other@host:5000/").startswith("http://host:5000/#/experiments/7/runs/r (a ")
    assert not re.search("me:|pw", folder.file("mlflow.json").read_text())


def test_who_is_sent_nothing_is_not_sent_there(tmp_path: Path, called: Callable[..., Done]):
    words = "--variant vanilla_gan --dataset ring8 --epochs 1 --epoch-updates 2 --samples 20 --quick-metrics".split()
    done = called(run_command, *words, "--tracking-uri", "http://127.0.0.1:9")
    assert done.code == 0
    assert "cannot be reached; nothing is lost" in done.out
    assert "not in MLflow yet: python -m benchmarks.sync sends it" in done.out
    assert "in MLflow:" not in done.out
