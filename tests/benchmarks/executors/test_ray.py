"""On a Ray cluster, the runs of a lost machine are trained elsewhere, with the same bits."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.executors import RunOptions, open_executor
from benchmarks.executors.base import STOPPED
from benchmarks.executors.ray import OnRay, check_cluster, fetch_into_runs_dir, is_only_local, is_this_machine
from benchmarks.run_folder.folder import CAUSE_UNKNOWN, RunFolder
from benchmarks.tracking.download import list_runs
from tests.conftest import ROOT
from tests.held_runs import PATIENCE, bits, is_alive, quick, results, tiny, until
from variants import UserError

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'gan-benchmark[ray]'")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives the test its own home and temporary folders, for all that Ray and killed workers leave there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Short, because sockets lie in it.
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as place:
        monkeypatch.setenv("RAY_TMPDIR", place)
        yield


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts a Ray cluster of two machines with one core each, both of them processes of this one."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    from ray.cluster_utils import Cluster

    # Else it is noticed after a quarter of a minute that a machine is lost.

    sooner = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "_system_config": sooner})
    try:
        cluster.second = cluster.add_node(**{k: v for k, v in small.items() if k != "include_dashboard"})
        yield cluster
    finally:
        cluster.shutdown()


@pytest.mark.long
def test_what_a_lost_machine_had_in_training_is_trained_elsewhere_with_the_same_bits(
    cluster: Any,
    held: Path,
    tracking_uri: str,
) -> None:
    job, said = tiny(seeds=4, noise="held"), []
    settings = quick(held / "runs", tracking_uri=tracking_uri)
    with open_executor("ray", settings, address=cluster.address, say=said.append) as executor:
        assert executor.workers == 2
        futures = executor.submit(job)
        until(lambda: len(list(held.glob("held-*"))) == 2)
        until(lambda: len(list_runs(tracking_uri)) == 2)
        assert [run.status for run in list_runs(tracking_uri)] == ["RUNNING"] * 2
        workers = [int(path.name.removeprefix("held-")) for path in held.glob("held-*")]
        cluster.remove_node(cluster.second, allow_graceful=False)
        # Its worker lives on for an instant, in which it could end its run and say so.
        until(lambda: not all(map(is_alive, workers)))
        (held / "go").touch()
        ended = [future.result(timeout=PATIENCE) for future in futures]
    assert [(result.name, result.state, result.cause) for result in ended] == [
        (config.name, "FINISHED", "") for config in job.configs
    ]
    assert said == []

    tracked = list_runs(tracking_uri)
    lost = [run for run in tracked if "superseded" in run.tags]
    kept = {run.tags["folder"]: run.status for run in tracked if run not in lost}
    assert len(lost) == 1
    assert len(tracked) == 5
    assert kept == {config.name: "FINISHED" for config in job.configs}
    assert [(run.status, run.tags["cause"]) for run in lost] == [("KILLED", CAUSE_UNKNOWN)]
    results("inline", quick(held / "here", track=False), job)
    for config in job.configs:
        assert bits(settings.runs_dir, config) == bits(held / "here", config)
        assert not list((settings.runs_dir / config.name).glob("checkpoint*"))
    assert {path.name for path in settings.runs_dir.iterdir()} == {config.name for config in job.configs}


LOCAL = """
import json, os, signal, socket, sys, time
from pathlib import Path

import benchmarks.executors.ray
from benchmarks import configure, load_plugins
from benchmarks.executors import RunGroup, RunOptions, open_executor
from benchmarks.tracking.download import list_runs

def wait_for_worker():
    # MLflow has to know it too.
    while not list(Path().glob("held-*")) or not any(run.status == "RUNNING" for run in list_runs(sys.argv[1])):
        time.sleep(0.02)
    found = next(Path().glob("held-*"))
    found.unlink()
    return int(found.name.removeprefix("held-"))

benchmarks.executors.ray.RETRIES = 0
load_plugins(["held.py"])
tiny = {"epochs": 2, "epoch_updates": 10, "samples": 50, "thorough": False, "probes": ()}
good = configure("vanilla_gan", "ring8", **tiny)
bad = configure("cgan_mlp", "digits", optimizer="sgd", generator_lr=1e30, discriminator_lr=1e30, **tiny)
held = [configure("vanilla_gan", "ring8", noise="held", seed=seed, **tiny) for seed in range(3)]
settings = RunOptions(Path("runs"), tracking_uri=sys.argv[1], pictures="none")
try:
    with open_executor("ray", settings, workers=1) as executor:
        import ray
        (node,) = ray.nodes()
        ended = [executor.submit(RunGroup((config,)))[0].result(timeout=300) for config in (good, bad, good)]

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            outside = probe.getsockname()[0]
        ports = [node["NodeManagerPort"], node["ObjectManagerPort"]]
        ports += [int(ray.get_runtime_context().gcs_address.rpartition(":")[2])]
        heard = [socket.socket().connect_ex((host, port)) == 0 for host in ("127.0.0.1", outside) for port in ports]

        futures = executor.submit(RunGroup(held))
        os.kill(wait_for_worker(), signal.SIGKILL)
        ended.append(futures[0].result(timeout=300))
        wait_for_worker()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    ended.append(futures[1].result(timeout=0))
    cancelled = futures[2].cancelled()
print(json.dumps([
    [[result.state, result.cause, result.machine, result.found] for result in ended],
    cancelled, node["NodeManagerAddress"], outside, heard,
]))
"""


@pytest.mark.long
def test_a_cluster_started_here_listens_to_this_machine_only_and_each_end_of_a_run_is_told(
    held: Path,
    tracking_uri: str,
) -> None:
    (held / "local.py").write_text(LOCAL)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "local.py", tracking_uri],
        capture_output=True,
        text=True,
        env=environment,
        timeout=4 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    # On a slow machine it is told that MLflow is being waited for, and after each warning stands its line of code.
    told = [line for line in done.stderr.splitlines() if "self._say(" not in line]
    assert not [line for line in told if "waiting until MLflow at " not in line]
    (good, bad, again, killed, stopped), cancelled, address, outside, heard = json.loads(done.stdout)
    assert good == ["FINISHED", "", False, False]
    assert again == ["FINISHED", "", False, True]
    assert (bad[0], bad[2], bad[3]) == ("FAILED", False, False)
    assert "_loss is " in bad[1]
    assert killed[0] == "KILLED"
    assert killed[1].startswith("the machine or the worker that trained it was lost (")
    assert killed[2]
    assert stopped == ["KILLED", STOPPED, True, False]
    assert cancelled
    assert address == "127.0.0.1"
    if not outside.startswith("127."):
        assert heard == [True] * 3 + [False] * 3
    # A failed run comes back as well, with its curves.
    states = [json.loads(path.read_text())["state"] for path in sorted((held / "runs").glob("*/status.json"))]
    assert states == ["FAILED", "FINISHED"]
    # One that was stopped says so itself; of the one whose worker was killed its cluster has to say it.
    tracked = list_runs(tracking_uri)
    assert sorted(run.status for run in tracked) == ["FAILED", "FINISHED", "KILLED", "KILLED"]
    assert [run.tags["state"] for run in tracked] == [run.status for run in tracked]


@pytest.mark.long
def test_a_fetched_run_takes_the_place_of_what_was_there_unless_that_is_in_training(
    tmp_path: Path, tracking_uri: str
) -> None:
    settings, job = quick(tmp_path / "runs", tracking_uri=tracking_uri), tiny()
    assert results("inline", settings, job)[0].state == "FINISHED"
    place, trained = settings.runs_dir / job.configs[0].name, bits(settings.runs_dir, job.configs[0])
    (place / "metrics.jsonl").write_text("")
    (place / "checkpoint-damaged.safetensors").touch()
    (run,) = list_runs(tracking_uri)
    with RunFolder(place).lock(), pytest.raises(UserError, match="another process is training into"):
        fetch_into_runs_dir(run.run_id, settings)
    assert (place / "checkpoint-damaged.safetensors").exists()
    assert fetch_into_runs_dir(run.run_id, settings) == place
    assert bits(settings.runs_dir, job.configs[0]) == trained
    assert not (place / "checkpoint-damaged.safetensors").exists()
    assert {path.name for path in settings.runs_dir.iterdir()} == {"reference", place.name}


@pytest.mark.parametrize(
    ("address", "only"),
    [
        ("sqlite:////shared/mlflow.db", True),
        ("mlruns", True),
        ("file:///mlruns", True),
        ("http://127.0.0.1:5000", True),
        ("http://me:secret@localhost:5000/path", True),
        ("http://[::1]:5000", True),
        ("http://0.0.0.0:5000", True),
        ("postgresql+psycopg2://localhost/mlflow", True),
        ("http://192.168.1.5:5000", False),
        ("https://mlflow.example.org", False),
        ("http://localhost.example.org", False),
        ("postgresql://db.example.org/mlflow", False),
        ("databricks", False),
    ],
)
def test_which_tracking_addresses_only_this_machine_can_reach(address: str, only: bool) -> None:
    assert is_only_local(address) == only


def node(address: str, cores: float = 4.0, alive: bool = True) -> dict[str, Any]:
    return {"NodeManagerAddress": address, "Alive": alive, "Resources": {"CPU": cores}}


def test_a_local_tracking_address_is_refused_once_the_cluster_has_another_machine() -> None:
    # 198.51.100.0/24 is kept for documentation: no machine has such an address.
    local = RunOptions(tracking_uri="sqlite:////tmp/mlflow.db")
    own, other, gone = node("127.0.0.1"), node("198.51.100.7"), node("198.51.100.8", alive=False)
    assert is_this_machine("127.0.0.1")
    assert not is_this_machine("198.51.100.7")
    check_cluster([own, gone], local)
    check_cluster([own, other], RunOptions(tracking_uri="https://mlflow.example.org"))
    with pytest.raises(UserError, match=r"by this machine only, and the cluster has others \(198\.51\.100\.7\)"):
        check_cluster([own, other, gone], local)
    with pytest.raises(UserError, match="no machine of the cluster has more than 4; say fewer --threads"):
        check_cluster([own], RunOptions(threads=5, tracking_uri="sqlite:////tmp/mlflow.db"))


@pytest.mark.parametrize(
    ("settings", "address", "sentence"),
    [
        (RunOptions(track=False), "", "--executor ray brings results back through MLflow, so it does not go without"),
        (RunOptions(), "nonsense", "--address is auto or host:port of a Ray cluster, not 'nonsense'"),
        (RunOptions(), "ray://here:10001", "--address is auto or host:port of a Ray cluster, not 'ray://here:10001'"),
        (RunOptions(), "127.0.0.1:9", "the Ray cluster at 127.0.0.1:9 cannot be reached: Connection refused"),
    ],
)
def test_what_is_not_possible_is_refused_with_a_sentence(settings: RunOptions, address: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        OnRay(settings, address=address)
    assert str(refused.value).startswith(sentence)
