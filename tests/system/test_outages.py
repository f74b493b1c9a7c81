"""A tracking server that is killed, slow or answers errors while a run trains loses no value and doubles none."""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.sync import main as sync_command
from benchmarks.tracking.background import Uploader
from benchmarks.tracking.download import list_runs
from benchmarks.tracking.entities import iter_metrics
from benchmarks.training.listener import ProgressListener
from tests.conftest import Done
from tests.servers import NO_POSTGRES, BadLine, MlflowServer, postgresql

pytestmark = pytest.mark.long
STORES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.skipif(bool(NO_POSTGRES), reason=NO_POSTGRES)))
EPOCHS = 8
MODES = ("error", "lost", "slow")


class Acts(ProgressListener):
    """Acts on the server once an epoch is written, and keeps the messages."""

    def __init__(self, acts: dict[int, Callable[[], object]]) -> None:
        self.acts, self.said = acts, []

    def line(self, line: dict) -> None:
        if act := self.acts.get(line["epoch"]):
            act()

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture(scope="module", params=STORES)
def made(
    request: pytest.FixtureRequest, _empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Starts a server on each kind of store; that takes seconds, so all tests of a store share one."""
    folder = tmp_path_factory.mktemp("server")
    with postgresql() if request.param == "postgresql" else nullcontext("") as store:
        if not store:
            shutil.copy(_empty_store, folder / "mlflow.db")
            store = f"sqlite:///{folder / 'mlflow.db'}"
        server = MlflowServer(store, folder)
        try:
            yield server
        finally:
            server.end()


@pytest.fixture
def server(made: MlflowServer) -> MlflowServer:
    """Returns the same server, running."""
    if not made.running:
        made.start()
    return made


def trained(address: str, listener: Acts, monkeypatch: pytest.MonkeyPatch, seed: int):
    """Trains a run that is uploaded after every epoch. Each test has its own seed, and so its own run."""
    monkeypatch.setattr("benchmarks.training.train.Uploader", partial(Uploader, interval=0.0))
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    config = configure("vanilla_gan", "ring8", seed=seed, epochs=EPOCHS, epoch_updates=3, samples=60, thorough=False)
    return train(config, tracking_uri=address, pictures="milestones", listener=listener)


def check_each_value_once(address: str, run) -> int:
    """Compares everything that MLflow has with the journal, and returns the number of values."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    (there,) = [each for each in list_runs(address) if each.tags["folder"] == run.folder.name]
    assert there.status == "FINISHED"
    wanted = {(key, epoch): value for epoch, key, value in iter_metrics(run.folder.lines())}
    found = [
        ((key, point.step), point.value)
        for key in client.get_run(there.run_id).data.metrics
        for point in client.get_metric_history(there.run_id, key)
        if not key.startswith("reference/")
    ]
    assert len(found) == len(dict(found))
    # A spread of no samples is NaN, which equals nothing, not even itself.
    assert {point: str(value) for point, value in found} == {point: str(value) for point, value in wanted.items()}
    pictures = [file.path for file in client.list_artifacts(there.run_id, "images") if file.path.endswith(".png")]
    assert len(pictures) == len(run.folder.pictures())
    return len(found)


def test_a_server_that_is_killed_and_started_again_gets_each_value_once(
    server: MlflowServer, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Acts({2: lambda: server.end(signal.SIGKILL), EPOCHS - 2: server.start})
    run = trained(server.address, listener, monkeypatch, seed=1)
    assert run.folder.status()["state"] == "FINISHED"
    lost = [sentence for sentence in listener.said if "nothing is lost" in sentence]
    assert len(lost) == 1, listener.said
    sent = called(sync_command, "--tracking-uri", server.address)
    assert sent.code == 0, sent.err
    assert check_each_value_once(server.address, run) > EPOCHS * 5


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_fails_in_the_middle_gets_each_value_once(
    server: MlflowServer, mode: str, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = BadLine(server.address, seconds=0.3)
    listener = Acts({2: partial(setattr, line, "mode", mode), EPOCHS - 2: partial(setattr, line, "mode", "pass")})
    try:
        run = trained(line.address, listener, monkeypatch, seed=2 + MODES.index(mode))
        assert run.folder.status()["state"] == "FINISHED"
        assert len([sentence for sentence in listener.said if "nothing is lost" in sentence]) <= 1
        sent = called(sync_command, "--tracking-uri", line.address)
        assert sent.code == 0, sent.err
    finally:
        line.close()
    check_each_value_once(server.address, run)


def test_a_server_that_is_down_all_the_time_is_sent_everything_by_hand(
    server: MlflowServer, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.end(signal.SIGKILL)
    run = trained(server.address, listener := Acts({}), monkeypatch, seed=9)
    assert len([sentence for sentence in listener.said if "nothing is lost" in sentence]) == 1
    down = called(sync_command, "--tracking-uri", server.address)
    assert down.code == 2
    assert down.err == f"error: MLflow at {server.address} cannot be reached\n"
    server.start()
    assert "1 runs, 1 sent, 0 there already, 0 failed" in called(sync_command, "--tracking-uri", server.address).out
    assert "1 runs, 0 sent, 1 there already, 0 failed" in called(sync_command, "--tracking-uri", server.address).out
    check_each_value_once(server.address, run)
