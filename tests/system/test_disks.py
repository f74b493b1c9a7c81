"""A full disk, an unwritable or a deleted folder ends a run with one sentence, and its files stay whole.

The damage is done for real: a limit on the size of files, which is what a full disk is to a process that writes, and
a file system of a few MiB where the machine lets one be made.
"""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import Run, configure, train
from benchmarks.run import main as run
from benchmarks.run_folder.folder import list_run_folders
from benchmarks.training.listener import ProgressListener
from tests.conftest import Done
from variants import UserError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the limits and permissions of a POSIX system")
TINY = {"epochs": 4, "epoch_updates": 2, "samples": 60, "thorough": False, "probes": ()}
WORDS = (
    *("--variant", "cgan_mlp", "--dataset", "digits", "--epochs", "4", "--epoch-updates", "2", "--samples", "60"),
    *("--quick-metrics", "--probes", "none", "--no-tracking"),
)


class Does(ProgressListener):
    """Acts once an epoch is written."""

    def __init__(self, epoch: int, act: Callable[[], object]) -> None:
        self.epoch, self.act = epoch, act

    def line(self, line: dict) -> None:
        if line["epoch"] == self.epoch:
            self.act()


def tiny(runs_dir: Path, listener: ProgressListener | None = None):
    config = configure("cgan_mlp", "digits", **TINY)
    return train(config, runs_dir=runs_dir, track=False, pictures="milestones", listener=listener)


def limited(size: int) -> Callable[[], object]:
    """Sets the largest size of a file, in bytes; a write beyond it fails as on a full disk, but for its number."""

    def act() -> None:
        # Else the system ends the process at the first such write.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return act


@pytest.fixture
def unlimited() -> Iterator[None]:
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny(tmp_path_factory.mktemp("whole"))


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 600, 5_000, 100_000])
def test_a_file_that_cannot_grow_stops_the_run_which_goes_on_later(
    room: int, whole: Run, tmp_path: Path, unlimited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves no room for each kind of file in turn: a journal line, a picture, a checkpoint, the animation."""
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(UserError, match="cannot write"):
        tiny(tmp_path / "full", Does(2, limited(room)))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (folder,) = list_run_folders(tmp_path / "full")
    # What was logged is readable, and only as far as it is on the disk.
    assert [line["epoch"] for line in folder.lines()] == list(range(len(folder.lines())))
    assert len(folder.lines()) >= 3
    assert folder.status()["state"] == "KILLED"
    assert not (folder.path / "generator.safetensors").exists() or room == 100_000
    again = tiny(tmp_path / "full")
    assert again.folder.status()["state"] == "FINISHED"
    assert (again.path / "generator.safetensors").read_bytes() == (whole.path / "generator.safetensors").read_bytes()
    assert (again.path / "samples.gif").read_bytes() == (whole.path / "samples.gif").read_bytes()


def test_the_command_says_it_in_one_sentence(tmp_path: Path, unlimited: None, called: Callable[..., Done]) -> None:
    """Starts with room for a picture and none for a checkpoint."""
    limited(60_000)()
    done = called(run, *WORDS)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: cannot write ")
    (folder,) = list_run_folders(tmp_path / "runs")
    assert len(folder.lines()) > 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mounts a file system of 12 MiB in memory: twice the size of such a run."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("a file system of one's own can only be made as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount")
def test_a_full_disk_stops_the_run_which_goes_on_once_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    filler = small_disk / "filler"

    def fill() -> None:
        with open(filler, "wb") as file:
            while True:
                try:
                    file.write(b"0" * 4096)
                    file.flush()
                except OSError:
                    return

    with pytest.raises(UserError, match="No space left on device"):
        tiny(small_disk / "runs", Does(1, fill))
    (folder,) = list_run_folders(small_disk / "runs")
    assert [line["epoch"] for line in folder.lines()] == list(range(len(folder.lines())))
    assert folder.status()["state"] == "KILLED"
    filler.unlink()
    assert tiny(small_disk / "runs").folder.status()["state"] == "FINISHED"
    assert [line["epoch"] for line in folder.lines()] == [0, 1, 2, 3, 4]


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(UserError, match=r"cannot write .*Permission denied"):
        tiny(tmp_path / "runs")


@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount")
def test_a_disk_that_is_read_only_is_said(small_disk: Path) -> None:
    """Holds for root as well, who may write into any folder."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(UserError, match=r"cannot write .*Read-only file system"):
        tiny(small_disk / "runs")


@pytest.mark.long
def test_a_folder_that_is_deleted_while_it_is_written_is_said_and_not_begun_anew(
    tmp_path: Path, tracking_uri: str
) -> None:
    config = configure("cgan_mlp", "digits", **TINY)

    def delete() -> None:
        shutil.rmtree(tmp_path / "runs" / config.name)

    with pytest.raises(UserError, match="cannot write"):
        train(config, runs_dir=tmp_path / "runs", tracking_uri=tracking_uri, listener=Does(2, delete))
    assert not (tmp_path / "runs" / config.name).exists()
