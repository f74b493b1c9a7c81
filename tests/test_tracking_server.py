"""A real MLflow server on a real PostgreSQL: the suite writes to it, and a report reads from it.

Skipped where PostgreSQL is not installed (on Debian: apt-get install postgresql). Both are started here, listen on this
machine alone, and are stopped by their process ids.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.suite import suite
from tests.conftest import Done

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = BINARIES[-1] if BINARIES else shutil.which("initdb")
pytestmark = [
    pytest.mark.skipif(not INITDB, reason="PostgreSQL is not installed, so no tracking server on it was tested"),
    pytest.mark.skipif(not importlib.util.find_spec("psycopg2"), reason="psycopg2 is not installed"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def unprivileged() -> dict[str, object]:
    """PostgreSQL does not run as root: root starts it as the user that came with it."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    # Of its own user, and with a short path, since a socket's name has 107 characters at most.
    folder = Path(f"/tmp/ganbench-postgres-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    port, binaries = free_port(), Path(INITDB).parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **unprivileged()}
    server = None
    try:
        options = ["-D", folder / "data", "-A", "trust", "-U", "tester", "--no-sync"]
        subprocess.run([binaries / "initdb", *options], check=True, **quiet)
        where = ["-h", "127.0.0.1", "-p", str(port), "-k", folder]
        server = subprocess.Popen([binaries / "postgres", "-D", folder / "data", "-F", *where], **quiet)
        for _ in range(200):
            if not subprocess.run([binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], **quiet).returncode:
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg2://tester@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server on that database, with its artifacts in a folder of its own."""
    port = free_port()
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", postgres, "--artifacts-destination", str(tmp_path / "store")]
    with open(tmp_path / "server.log", "wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, (tmp_path / "server.log").read_text()
                    time.sleep(0.1)
            yield address
        finally:
            if process.poll() is None:
                # The server and its workers, which are all that this session of processes has.
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)


def test_a_suite_goes_to_a_server_on_postgresql_and_comes_back(called: Callable[..., Done], server: str) -> None:
    words = ("--preset", "smoke", "--questions", "loss_curves", "--executor", "inline", "--tracking-uri", server)
    done = called(suite, *words)
    assert done.code == 0, done.err
    assert "4 runs finished, 0 failed" in done.out

    from mlflow import MlflowClient

    from reports import results

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("gan-benchmark").experiment_id
    (parent,) = client.search_runs([experiment], "tags.kind = 'question'")
    arms = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert len(arms) == 2
    # What comes back through the server is what the run folders hold, to the bit.
    there, here = results(tracking_uri=server), results(runs_dir="runs")
    assert len(there) == 4
    assert there.drop(columns="run_id").equals(here.drop(columns="run_id"))
    assert set(" ".join(arm.data.tags["runs"] for arm in arms).split()) == set(there.run_id)

    again = called(suite, *words)
    assert "4 runs (4 already done)" in again.out
    assert len(client.search_runs([experiment])) == 7
