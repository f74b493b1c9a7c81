"""Uploads in the background neither slow nor stop a training, and are completed at its end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.background import Uploader
from benchmarks.tracking.download import list_runs
from benchmarks.tracking.upload import sync
from tests.run_folders import CONFIG, finish, stored, train
from variants.recipe import UserError

LOCAL = "sqlite:///none.db"


def test_a_run_is_uploaded_in_the_background_and_completed_at_the_end(folder: RunFolder, tracking_uri: str):
    said: list[str] = []
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        with Uploader(folder.path.parent, tracking_uri, say=said.append) as uploader:
            for epoch in range(3):
                train(folder, range(epoch, epoch + 1))
                uploader.notify(folder.name)
            finish(folder)
            uploader.notify(folder.name)
    ((run_id, _, status),) = list_runs(tracking_uri)
    assert status == "FINISHED"
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2]
    assert said == []


def test_without_tracking_nothing_is_uploaded(folder: RunFolder, tracking_uri: str):
    with Uploader(folder.path.parent, tracking_uri, track=False) as uploader:
        uploader.notify(folder.name)
        assert uploader.close()
    assert list_runs(tracking_uri) == []


def test_uploads_are_at_least_an_interval_apart_but_for_the_last(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    synced: list[float] = []
    monkeypatch.setattr("benchmarks.tracking.background.prepare_experiment", lambda *_: "7")
    monkeypatch.setattr("benchmarks.tracking.upload.sync", lambda *_: synced.append(time.monotonic()) or "id")
    uploader = Uploader(folder.path.parent, LOCAL, interval=0.3)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        uploader.notify(folder.name)
        time.sleep(0.005)
    closing = time.monotonic()
    uploader.notify(folder.name)
    assert uploader.close()
    assert synced[-1] >= closing
    gaps = [later - earlier for earlier, later in pairwise(synced[:-1])]
    assert len(synced) >= 3
    assert min(gaps) >= 0.29


def test_a_server_that_is_down_is_said_once_and_gets_everything_later(folder: RunFolder, tracking_uri: str):
    said: list[str] = []
    uploader = Uploader(folder.path.parent, "http://me:secret@127.0.0.1:9", say=said.append, interval=0.01)
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        for epoch in range(4):
            train(folder, range(epoch, epoch + 1))
            began = time.monotonic()
            uploader.notify(folder.name)
            assert time.monotonic() - began < 0.1
        finish(folder)
    assert not uploader.close()
    assert len(said) == 1
    assert said[0].startswith("MLflow at http://127.0.0.1:9 cannot be reached; nothing is lost")
    assert "secret" not in said[0]
    assert not any("secret" in path.read_text(errors="ignore") for path in folder.path.rglob("*") if path.is_file())
    run_id = sync(folder, tracking_uri)
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3]


@pytest.mark.long
def test_a_run_that_cannot_be_sent_holds_up_no_other_and_is_said_once(folder: RunFolder, tracking_uri: str):
    others = [RunFolder.create(folder.path.parent, replace(CONFIG, seed=seed)) for seed in (4, 5)]
    whole = folder.read_bytes("config.json")
    folder.write_bytes("config.json", b"{}")
    said: list[str] = []
    with Uploader(folder.path.parent, tracking_uri, say=said.append, interval=0.0) as uploader:
        for each in (folder, *others):
            uploader.notify(each.name)
        uploader.notify("refused-before-it-had-a-folder")
        assert not uploader.close()
    (sentence,) = said
    assert "is damaged" in sentence
    assert sorted(run.tags["folder"] for run in list_runs(tracking_uri)) == sorted(each.name for each in others)
    folder.write_bytes("config.json", whole)
    with Uploader(folder.path.parent, tracking_uri, say=said.append) as uploader:
        uploader.notify(folder.name)
        assert uploader.close()
    assert len(list_runs(tracking_uri)) == 3


def test_a_failure_is_said_again_only_after_everything_had_arrived(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    outcomes = ["down", "down", "up", "down", "up"]
    said: list[str] = []
    tried = threading.Semaphore(0)

    def sync_or_fail(*_: object) -> str:
        outcome = outcomes.pop(0)
        tried.release()
        if outcome == "down":
            raise UserError("it is down")
        return "id"

    monkeypatch.setattr("benchmarks.tracking.background.prepare_experiment", lambda *_: "7")
    monkeypatch.setattr("benchmarks.tracking.upload.sync", sync_or_fail)
    uploader = Uploader(folder.path.parent, LOCAL, say=said.append, interval=0.0)
    for _ in range(4):
        uploader.notify(folder.name)
        assert tried.acquire(timeout=60)
    assert uploader.close()
    assert len(said) == 2
    assert outcomes == []


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Yields the address of a server that takes every connection and never answers."""
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
    uploader = Uploader(folder.path.parent, silent_server, say=said.append)
    uploader.notify(folder.name)
    began = time.monotonic()
    assert not uploader.close(seconds=0.5)
    assert time.monotonic() - began < 2
    assert len(said) == 1
    assert "did not take everything within" in said[0]


class Held:
    """Replaces `sync` by one of a store that answers once it is freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.said = threading.Event(), []
        monkeypatch.setattr("benchmarks.tracking.background.prepare_experiment", lambda *_: "7")
        monkeypatch.setattr("benchmarks.tracking.upload.sync", lambda *_: self.free.wait(60) and "id")
        monkeypatch.setattr("benchmarks.tracking.background.TELL_SECONDS", 0.0)

    def say(self, sentence: str) -> None:
        """Frees the store once a person is told of the waiting."""
        self.said.append(sentence)
        self.free.set()

    def interrupt(self, sentence: str) -> None:
        """Presses Ctrl-C once a person is told of the waiting."""
        self.said.append(sentence)
        if len(self.said) == 1:
            raise KeyboardInterrupt


def slow_upload(folder: RunFolder, uri: str, say: Callable[[str], None]) -> Uploader:
    uploader = Uploader(folder.path.parent, uri, say=say)
    uploader.notify(folder.name)
    return uploader


@pytest.mark.parametrize("uri", [LOCAL, "mlruns", "file:///tmp/mlruns"])
def test_a_local_store_that_is_slow_is_waited_for(folder: RunFolder, uri: str, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    uploader = slow_upload(folder, uri, held.say)
    assert uploader.close(seconds=0.0)
    (sentence,) = held.said
    assert sentence.startswith(
        f"waiting until MLflow at {uploader.uri} has everything; Ctrl-C leaves that to python -m"
    )


def test_ctrl_c_leaves_a_slow_store_to_the_next_sync(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    assert not slow_upload(folder, LOCAL, held.interrupt).close()
    assert len(held.said) == 2
    assert "was not waited for; nothing is lost" in held.said[1]
    assert held.said[1].endswith("python -m benchmarks.sync sends it")
    held.free.set()


def test_who_pressed_ctrl_c_is_not_kept_waiting(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    held = Held(monkeypatch)
    monkeypatch.setattr(Uploader.close, "__defaults__", (0.0, True))
    with pytest.raises(KeyboardInterrupt), slow_upload(folder, LOCAL, held.said.append):
        raise KeyboardInterrupt
    assert ["did not take everything within 0 s" in sentence for sentence in held.said] == [True]
    held.free.set()
