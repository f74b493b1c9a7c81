"""A real MLflow server on a real PostgreSQL: the suite writes to it, and a report reads from it.

Skipped where PostgreSQL is not installed. Both are started here, and listen on this machine alone.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.suite import main as suite
from tests.conftest import Done
from tests.servers import NO_POSTGRES, MlflowServer, postgresql

pytestmark = pytest.mark.skipif(bool(NO_POSTGRES), reason=NO_POSTGRES)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Starts an MLflow server on PostgreSQL, with its artifacts in a folder, and yields its address."""
    with postgresql() as store:
        server = MlflowServer(store, tmp_path)
        try:
            server.start()
            yield server.address
        finally:
            server.end()


@pytest.mark.long
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
