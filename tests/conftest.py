"""What all tests share: one thread each, a folder of their own, no network, and real MNIST where there is some."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
UNPACK_MNIST = ROOT.parent / "shared" / "data" / "unpack-mnist"
# Tests see a machine on which it is not set. Under another name it reaches the workers, which are started later.
if "GANBENCH_DATA" in os.environ:
    os.environ["GANBENCH_DATA_OF_TESTS"] = os.environ.pop("GANBENCH_DATA")
DATA_DIRS = [Path(folder) for folder in (os.environ.get("GANBENCH_DATA_OF_TESTS"), ROOT / "data") if folder]

# For this process and for those that tests start. Where a test has two threads, they sleep while they wait: all cores
# are at work. Nothing listens on port 9, so whatever asks for another machine is refused at once, on every one alike.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MPLBACKEND": "Agg",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}

os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)

# Whatever was started in the background ignores Ctrl-C, and so does all that it starts. Some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


# One without labels, one with labels, and one with convolutions. What is asked of every variant is asked of the others
# by the long tests.
FIRST = {"vanilla_gan", "cgan_mlp", "dcgan"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of all other variants as long."""
    from variants import VARIANTS

    others = set(VARIANTS) - FIRST
    for item in items:
        given = getattr(item, "callspec", None)
        if given and any(isinstance(value, str) and value in others for value in given.params.values()):
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, and the working one, so that every default path (runs/, data/, mlflow.db) leads there."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def dtype(request: pytest.FixtureRequest) -> Iterator[Any]:
    """torch's default type while the test runs, as its parameter says: networks and noise are of it."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains networks in float64 while the test runs; judges still see float32.

    Updates amplify rounding, by how much depends on the processor: a bound on a float32 trajectory holds on one alone.
    """
    import torch

    from benchmarks.algorithm.gan import make_gan
    from benchmarks.training import loop

    build_gan, sampler = loop.build_gan, loop.sampler

    def widened(module: torch.nn.Module, inputs: tuple) -> tuple:
        return tuple(each.double() if torch.is_tensor(each) and each.is_floating_point() else each for each in inputs)

    def wide(variant: Any, spec: Any, recipe: Any, *rest: Any) -> Any:
        both = build_gan(variant, spec, recipe, *rest)
        for network in (both.generator.double(), both.discriminator.double()):
            network.register_forward_pre_hook(widened)
        return make_gan(both.generator, both.discriminator, recipe)

    monkeypatch.setattr(loop, "build_gan", wide)
    monkeypatch.setattr(loop, "sampler", lambda *given: lambda *asked: sampler(*given)(*asked).float())


@pytest.fixture
def checkpoints_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets finished runs keep their checkpoints, so that a test can compare whole states of training."""
    monkeypatch.setattr("benchmarks.run_folder.folder.RunFolder.remove_checkpoints", lambda self, **_: None)


@pytest.fixture
def own_plugins() -> Iterator[None]:
    """Forgets after a test the plugins that it loaded."""
    from benchmarks import plugins

    lists = [known.entries for known in plugins._lists().values()] + [plugins.HASHES, plugins.ADDED]
    kept, files = [dict(entries) for entries in lists], list(plugins.FILES)
    yield
    for entries, before in zip(lists, kept, strict=True):
        entries.clear()
        entries.update(before)
    plugins.FILES[:] = files


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this test session."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def mnist_dir(shared_folder: Path) -> Path:
    """A data folder with the real MNIST where torchvision expects it; the test is skipped where there is none."""
    for folder in DATA_DIRS:
        if (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return folder.resolve()
    if not UNPACK_MNIST.is_file():
        pytest.skip("needs MNIST: set GANBENCH_DATA to a folder that holds MNIST/raw")
    folder = shared_folder / "data"
    with FileLock(shared_folder / "data.lock"):
        subprocess.run(["bash", UNPACK_MNIST, folder], check=True, capture_output=True)
    return folder


def _do_not_sync(connection: Any, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def _empty_store(shared_folder: Path) -> Path:
    from mlflow import MlflowClient
    from sqlalchemy import Engine, event

    # No test cuts the power: commits need not wait for the disk.
    event.listen(Engine, "connect", _do_not_sync)
    path = shared_folder / "mlflow.db"
    with FileLock(shared_folder / "mlflow.lock"):
        if not path.exists():
            being_made = path.with_suffix(".making")
            MlflowClient(f"sqlite:///{being_made}").search_experiments()
            being_made.rename(path)
    return path


@pytest.fixture
def tracking_uri(_empty_store: Path, tmp_path: Path) -> str:
    """The address of an empty MLflow store of the test's own, its tables already made (which takes seconds)."""
    store = tmp_path / "mlflow.db"
    shutil.copy(_empty_store, store)
    return f"sqlite:///{store}"


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Done]:
    """called(command, *words): what `python -m … WORDS` does, within this process, where libraries are imported."""
    from benchmarks.cli import options

    def call(command: Callable[[], int | None], *words: str) -> Done:
        monkeypatch.setattr(sys, "argv", [command.__module__, *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            options.run_command(command)
        return Done(ended.value.code, *capsys.readouterr())

    return call
