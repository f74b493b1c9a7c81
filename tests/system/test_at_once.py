"""The same command twice at once, and several processes on one store, leave one writer a folder and lose no value."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import configure
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.download import list_runs
from benchmarks.tracking.entities import iter_metrics
from benchmarks.tracking.upload import sync
from tests.conftest import ROOT

WORDS = (
    *("--variant", "vanilla_gan", "--dataset", "ring8", "--epochs", "3", "--epoch-updates", "40", "--samples", "60"),
    *("--quick-metrics", "--probes", "none", "--pictures", "none"),
)


def started(folder: Path, *words: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.run", *WORDS, *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.long
def test_of_two_at_once_one_trains_and_the_other_says_so(tmp_path: Path) -> None:
    """Holds the first one in its folder until the second one has spoken."""
    config = configure(
        "vanilla_gan", "ring8", epochs=3, epoch_updates=40, samples=60, thorough=False, probes=(), evaluate_every=1
    )
    folder = RunFolder.create(tmp_path / "runs", config)
    with folder.lock():
        second = started(tmp_path, "--no-tracking")
        _, said = second.communicate()
    assert second.returncode == 2
    assert said.startswith("error: another process is training into ")
    assert said.count("\n") == 1
    assert folder.lines() == []
    first = started(tmp_path, "--no-tracking")
    first.communicate()
    assert first.returncode == 0
    assert folder.status()["state"] == "FINISHED"


def test_of_several_that_begin_at_the_same_moment_one_makes_the_folder(tmp_path: Path) -> None:
    """Forks both after the imports and frees them together, so that they meet where the folder is made."""
    config = configure("vanilla_gan", "ring8", epochs=3)
    go, ids = tmp_path / "go", []
    children = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            while not go.exists():
                time.sleep(0)
            try:
                made = RunFolder.create(tmp_path / "runs", config)
                (tmp_path / f"id-{number}").write_text(made.id)
            finally:
                os._exit(0)
        children.append(pid)
    time.sleep(0.2)
    go.touch()
    for pid in children:
        os.waitpid(pid, 0)
    ids = {path.read_text() for path in tmp_path.glob("id-*")}
    assert len(list(tmp_path.glob("id-*"))) == 6
    assert ids == {RunFolder(tmp_path / "runs" / config.name).id}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.long)])
def test_every_value_of_several_processes_arrives_in_one_sqlite_store(
    count: int, tmp_path: Path, tracking_uri: str
) -> None:
    import mlflow  # noqa: F401  imported once, before the processes are made

    configs = [configure("vanilla_gan", "ring8", seed=seed, epochs=30) for seed in range(count)]
    folders = []
    for config in configs:
        folder = RunFolder.create(tmp_path / "runs", config)
        for epoch in range(30):
            curves = {f"curve_{k}": config.seed + epoch / 100 + k for k in range(5)}
            folder.append({"epoch": epoch, "curves": curves, "timing": {"time": 1e9 + epoch}})
        folder.set_status("FINISHED", epoch=29)
        folders.append(folder)
    children = []
    # Else each child's first garbage collection writes to every object of this process, and copies its memory.
    gc.freeze()
    for folder in folders:
        pid = os.fork()
        if pid == 0:
            try:
                for _ in range(3):
                    sync(folder, tracking_uri)
                os._exit(0)
            except BaseException as error:
                (folder.path / "error.txt").write_text(repr(error))
                os._exit(1)
        children.append(pid)
    gc.unfreeze()
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert ended == [0] * count, [path.read_text() for path in tmp_path.glob("runs/*/error.txt")]
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    listed = {run.tags["folder"]: run.run_id for run in list_runs(tracking_uri)}
    assert len(listed) == count
    for folder in folders:
        wanted = sorted((key, epoch, value) for epoch, key, value in iter_metrics(folder.lines()))
        found = sorted(
            (key, point.step, point.value)
            for key in client.get_run(listed[folder.name]).data.metrics
            for point in client.get_metric_history(listed[folder.name], key)
        )
        assert found == wanted
