"""Commands that speak to MLflow: they find an experiment, and tell where a run is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run import main as run_command
from benchmarks.sample import main as sample_command
from benchmarks.show import main as show_command
from benchmarks.suite import main as suite
from benchmarks.sync import main as sync_command
from benchmarks.tracking.download import list_runs
from reports.build import main as build_command
from tests.conftest import Done

COMMANDS = (run_command, suite, sync_command, show_command, sample_command, build_command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__module__)
def test_every_command_that_knows_of_mlflow_takes_an_experiment(command: Callable, called: Callable[..., Done]):
    assert all(f"\n  {option}" in called(command, "--help").out for option in ("--tracking-uri", "--experiment"))


@pytest.mark.long
def test_a_run_of_an_experiment_is_found_there(called: Callable[..., Done], tracking_uri: str, tmp_path: Path):
    where = ("--tracking-uri", tracking_uri, "--experiment", "mine")
    words = "--variant vanilla_gan --dataset ring8 --epochs 1 --epoch-updates 2 --samples 20 --quick-metrics".split()
    assert called(run_command, *words, *where).code == 0
    (run,) = list_runs(tracking_uri, "mine")
    assert list_runs(tracking_uri) == []
    shutil.move("runs", "elsewhere")
    assert called(show_command, run.run_id, *where).code == 0
    assert called(sample_command, "--run", run.run_id, *where).code == 0
    assert called(build_command, *where).code == 0
    assert "1 runs, 0 sent, 1 there already, 0 failed" in called(sync_command, "--runs-dir", "elsewhere", *where).out
    other = (*where[:3], "another")
    assert "1 runs, 1 sent, 0 there already, 0 failed" in called(sync_command, "--runs-dir", "elsewhere", *other).out


@pytest.mark.long
def test_who_is_sent_nothing_is_not_sent_there(tmp_path: Path, called: Callable[..., Done]):
    words = "--variant vanilla_gan --dataset ring8 --epochs 1 --epoch-updates 2 --samples 20 --quick-metrics".split()
    done = called(run_command, *words, "--tracking-uri", "http://127.0.0.1:9")
    assert done.code == 0
    assert "cannot be reached; nothing is lost" in done.out
    assert "not in MLflow yet: python -m benchmarks.sync sends it" in done.out
    assert "in MLflow:" not in done.out
