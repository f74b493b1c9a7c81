"""Every executor trains the same bits, and the death of a worker costs only its own run."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

import pytest
import torch

from benchmarks import load_plugins
from benchmarks.executors import RunGroup, RunOptions, open_executor
from benchmarks.executors.base import STOPPED, is_machine_fault, make_failure
from benchmarks.executors.processes import Processes
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.download import list_runs
from benchmarks.training.loop import Diverged
from tests.conftest import ROOT
from tests.held_runs import EXAMPLE, PATIENCE, bits, is_alive, quick, results, tiny, until
from variants import UserError
from variants.noise import NOISES


def test_importing_the_package_imports_neither_torch_nor_ray_nor_mlflow() -> None:
    code = "import sys, benchmarks.executors as e; e.RunOptions(); print({'torch', 'ray', 'mlflow'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"name": "process"}, "unknown executor 'process'; did you mean 'processes'?"),
        ({"name": "processes", "workers": -1}, "--workers is at least 0, not -1"),
        ({"name": "inline", "workers": 2}, "--executor inline trains one run at a time, not 2"),
        ({"name": "processes", "address": "auto"}, "--address is of a Ray cluster, and the executor is processes"),
    ],
)
def test_what_is_not_possible_is_refused_with_a_sentence(asked: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        open_executor(options=RunOptions(), **asked)
    assert str(refused.value).startswith(sentence)


def test_ray_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.executors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Ray, which is not installed; pip install 'gan-benchmark\[ray\]'"):
        open_executor("ray", RunOptions())


def test_a_job_has_configs_that_differ_in_their_seed_only() -> None:
    (one,), (other,) = tiny().configs, tiny(noise="uniform").configs
    with pytest.raises(ValueError, match="differ in seed and learning rates only"):
        RunGroup((one, other))
    with pytest.raises(ValueError, match="a job has it once"):
        RunGroup((one, one))


@pytest.mark.long
def test_worker_processes_give_the_same_bits_as_this_process_and_each_result_is_its_own(
    own_plugins: None, tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The settings say one thread, whatever the surroundings say.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    load_plugins([EXAMPLE])
    diverging = tiny("cgan_mlp", "digits", optimizer="sgd", generator_lr=1e30, discriminator_lr=1e30, epochs=1)
    jobs = [tiny(seeds=3), diverging, tiny("residual_gan", "digits", noise="laplace")]
    configs = [config for job in jobs for config in job.configs]
    here = quick(tmp_path / "here", track=False)
    there = quick(tmp_path / "there", tracking_uri=tracking_uri)
    said: list[str] = []

    try:
        ended_here = results("inline", here, *jobs, say=said.append)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    ended_there = results("processes", there, *jobs, workers=2, say=said.append)
    for ended in (ended_here, ended_there):
        assert [result.name for result in ended] == [config.name for config in configs]
        assert [result.state for result in ended] == ["FINISHED"] * 3 + ["FAILED", "FINISHED"]
        assert "_loss is " in ended[3].cause
        assert not any(result.machine or result.found for result in ended)
        assert all(result.seconds > 0 for result in ended)
    for config in configs[:3] + configs[4:]:
        assert bits(there.runs_dir, config) == bits(here.runs_dir, config)
        assert {RunFolder(s.runs_dir / config.name).environment()["threads"] for s in (here, there)} == {1}

    # Whoever asks again finds them, and MLflow has each of them once.
    again = results("inline", there, jobs[0], jobs[2], say=said.append)
    assert [(result.found, result.seconds) for result in again] == [(True, 0.0)] * 4
    tracked = list_runs(tracking_uri)
    assert sorted(run.tags["folder"] for run in tracked) == sorted(config.name for config in configs)
    states = {run.tags["folder"]: run.status for run in tracked}
    assert [states[config.name] for config in configs] == ["FINISHED"] * 3 + ["FAILED", "FINISHED"]
    # So short a training shows symptoms, and whoever trains it says the same.
    assert said == 2 * said[: len(said) // 2]
    assert all("the run is marked" in sentence for sentence in said)


@pytest.mark.parametrize(("device", "asked", "wanted"), [("cuda", 0, 2), ("cuda", 5, 5), ("cpu", 0, 3), ("mps", 0, 3)])
def test_a_gpu_has_two_workers_where_nobody_says_how_many(
    device: str, asked: int, wanted: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.executors.processes.count_cores", lambda: 6)
    monkeypatch.setattr("benchmarks.algorithm.device.resolve_device", torch.device)
    with Processes(RunOptions(tmp_path, device=device, threads=2, track=False), asked) as executor:
        assert executor.workers == wanted


@pytest.mark.long
def test_a_killed_worker_costs_only_its_own_run_which_can_go_on(held: Path) -> None:
    job, settings, said = tiny(seeds=3, noise="held"), quick(held / "runs", track=False), []
    names = [config.name for config in job.configs]
    with Processes(settings, 2, say=said.append) as executor:
        futures = executor.submit(job)
        until(lambda: len(list(held.glob("held-*"))) == 2)
        pids = executor.running()
        assert set(pids) == set(names[:2])
        assert RunFolder(settings.runs_dir / names[0]).status()["state"] == "RUNNING"
        # As Ctrl-C in a terminal, which all processes get: workers leave it to their parent.
        os.kill(pids[names[1]], signal.SIGINT)
        os.kill(pids[names[0]], signal.SIGKILL)
        killed = futures[0].result(timeout=PATIENCE)
        assert (killed.state, killed.machine) == ("KILLED", True)
        assert "killed by SIGKILL" in killed.cause
        assert RunFolder(settings.runs_dir / names[0]).status()["state"] == "KILLED"
        (held / "go").touch()
        assert [future.result(timeout=PATIENCE).state for future in futures[1:]] == ["FINISHED"] * 2

        (resubmitted,) = executor.submit(RunGroup(job.configs[:1]))
        assert resubmitted.result(timeout=PATIENCE).state == "FINISHED"
    assert said == [f"{names[0]}: going on after epoch 1, from the last checkpoint"]
    results("inline", quick(held / "here", track=False), job)
    for config in job.configs:
        assert bits(settings.runs_dir, config) == bits(held / "here", config)


@pytest.mark.long
def test_leaving_by_ctrl_c_stops_the_workers_and_every_run_can_go_on(held: Path, tracking_uri: str) -> None:
    job, settings = tiny(seeds=3, noise="held"), quick(held / "runs", tracking_uri=tracking_uri)
    with pytest.raises(KeyboardInterrupt), Processes(settings, 1) as executor:  # noqa: PT012
        futures = executor.submit(job)
        until(lambda: list(held.glob("held-*")))
        (pid,) = executor.running().values()
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(list(as_completed(futures, timeout=1))) == 3
    assert [future.cancelled() for future in futures] == [False, True, True]
    stopped = futures[0].result()
    assert (stopped.state, stopped.cause, stopped.machine) == ("KILLED", STOPPED, True)
    status = RunFolder(settings.runs_dir / job.configs[0].name).status()
    assert status == {"state": "KILLED", "epoch": 1, "cause": "interrupted"}
    assert [run.status for run in list_runs(tracking_uri)] == ["KILLED"]

    (held / "go").touch()
    said: list[str] = []
    assert [result.state for result in results("inline", settings, job, say=said.append)] == ["FINISHED"] * 3
    assert said == [f"{job.configs[0].name}: going on after epoch 1, from the last checkpoint"]
    assert [run.status for run in list_runs(tracking_uri)] == ["FINISHED"] * 3


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_workers_end_with_their_parent_however_that_ends(held: Path) -> None:
    job, settings = tiny(noise="held"), quick(held / "runs", track=False)
    folder = RunFolder(settings.runs_dir / job.configs[0].name)
    parent = os.fork()
    if parent == 0:
        try:
            Processes(settings, 1).submit(job)
            time.sleep(PATIENCE)
        finally:
            os._exit(1)
    try:
        until(lambda: list(held.glob("held-*")))
        pid = int(next(held.glob("held-*")).name.removeprefix("held-"))
        assert folder.status()["state"] == "RUNNING"
    finally:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
    until(lambda: not is_alive(pid))
    assert folder.status()["state"] == "KILLED"


def test_ctrl_c_while_training_in_this_process_reaches_the_caller(
    tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    job, settings = tiny(seeds=2), quick(tmp_path / "runs", tracking_uri=tracking_uri)
    with monkeypatch.context() as patched:
        patched.setitem(NOISES, "gaussian", interrupted)
        with pytest.raises(KeyboardInterrupt):
            results("inline", settings, job)
    assert RunFolder(settings.runs_dir / job.configs[0].name).status()["state"] == "KILLED"
    assert not (settings.runs_dir / job.configs[1].name).exists()
    assert [run.status for run in list_runs(tracking_uri)] == ["KILLED"]
    assert [result.state for result in results("inline", settings, job)] == ["FINISHED"] * 2


@pytest.mark.long
def test_an_mlflow_that_is_down_is_told_once_and_changes_no_result(
    tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, said = tiny(seeds=2), []
    down = quick(tmp_path / "runs", tracking_uri="http://me:secret@127.0.0.1:9")
    assert [result.state for result in results("inline", down, job, say=said.append)] == ["FINISHED"] * 2
    (sentence,) = said
    assert sentence.startswith("MLflow at http://127.0.0.1:9 cannot be reached; nothing is lost: ")

    up = quick(tmp_path / "runs", tracking_uri=tracking_uri)
    assert all(result.found for result in results("inline", up, job))
    assert [run.status for run in list_runs(tracking_uri)] == ["FINISHED"] * 2


@pytest.mark.long
def test_a_run_whose_plugin_a_worker_cannot_load_has_not_ended(own_plugins: None, tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text(
        "import multiprocessing\n"
        "from variants.noise import gaussian\n"
        "assert multiprocessing.parent_process() is None, 'only here'\n"
        "NOISES = {'here': gaussian}\n"
    )
    load_plugins([tmp_path / "here.py"])
    (result,) = results("processes", quick(tmp_path / "runs", track=False), tiny(noise="here"), workers=1)
    assert (result.state, result.machine) == ("KILLED", False)
    assert "here.py is broken at line 3: AssertionError: only here" in result.cause


def from_(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "machine", "sentence"),
    [
        (OSError(28, "No space left on device"), True, "OSError: [Errno 28] No space left on device"),
        (MemoryError(), True, "MemoryError"),
        (RuntimeError("CUDA out of memory.\nTried"), True, "RuntimeError: CUDA out of memory. Tried"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True, "RuntimeError: DefaultCPUAll"),
        (from_(UserError("cannot write it: full"), OSError(28, "full")), True, "cannot write it: full"),
        (UserError("--batch-size is too large"), False, "--batch-size is too large"),
        (Diverged("generator_loss is nan in epoch 3"), False, "generator_loss is nan in epoch 3"),
        (ZeroDivisionError("by zero"), False, "ZeroDivisionError: by zero"),
        (UserError("no http://me:secret@host:1"), False, "no http://host:1"),
    ],
)
def test_an_end_is_one_sentence_and_only_training_itself_fails_a_run(
    error: Exception, machine: bool, sentence: str
) -> None:
    result = make_failure("run", error, 1.5, RunOptions(tracking_uri="http://me:secret@host:1"))
    state = "FAILED" if isinstance(error, Diverged) else "KILLED"
    assert (result.name, result.state, result.seconds) == ("run", state, 1.5)
    assert result.cause.startswith(sentence)
    assert "\n" not in result.cause
    assert result.machine == is_machine_fault(error) == machine
