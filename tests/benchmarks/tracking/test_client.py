"""Addresses of MLflow show no secret; tables and experiments are made once, by any number of processes."""

import os
import signal
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import EXPERIMENT, make_client, prepare_experiment, redact_uri, resolve_uri
from benchmarks.tracking.upload import sync
from tests.run_folders import stored, train
from variants.recipe import UserError


def test_a_deleted_experiment_is_said(folder: RunFolder, tracking_uri: str):
    make_client(tracking_uri).delete_experiment(prepare_experiment(tracking_uri))
    with pytest.raises(UserError, match="was deleted in MLflow; restore it"):
        sync(folder, tracking_uri)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_processes_that_find_no_tables_make_them_once(tmp_path: Path):
    import mlflow  # noqa: F401  (so that the children need not)

    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            failed = 1
            try:
                prepare_experiment(uri)
                failed = 0
            finally:
                os._exit(failed)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    names = [experiment.name for experiment in make_client(uri).search_experiments()]
    assert sorted(names) == ["Default", EXPERIMENT]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_kill_while_the_tables_are_made_leaves_none_that_cannot_be_used(tmp_path: Path, folder: RunFolder):
    """MLflow makes them in dozens of statements, of which the last ones count only together."""
    import sqlalchemy
    from mlflow import MlflowClient  # noqa: F401  imported once, before the processes are made

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for statement in (3, 120):
        pid = os.fork()
        if pid == 0:
            left = [statement]

            def count(*_: object, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            sqlalchemy.event.listen(sqlalchemy.engine.Engine, "after_cursor_execute", count)
            try:
                prepare_experiment(uri)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert not (tmp_path / "mlflow.db").exists()
    train(folder, range(2))
    run_id = sync(folder, uri)
    assert [step for step, _, _ in stored(uri, run_id)["fid"]] == [0, 1]
    assert not list(tmp_path.glob(".mlflow.db.making*"))


@pytest.mark.parametrize("name", ["..", "a/../../b"])
def test_an_experiment_keeps_its_artifacts_beside_the_database(tracking_uri: str, tmp_path: Path, name: str):
    client = make_client(tracking_uri)
    place = client.get_experiment(prepare_experiment(tracking_uri, name)).artifact_location
    assert Path(url2pathname(urlsplit(place).path)).resolve().parent == (tmp_path / "mlruns").resolve()


def test_the_address_is_the_argument_then_the_variable_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert resolve_uri() == f"sqlite:///{tmp_path.as_posix()}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert resolve_uri() == "http://server:5000"
    assert resolve_uri("sqlite:////abs/x.db") == "sqlite:////abs/x.db"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:p%40ss@host:5000/path?token=1#x", "http://host:5000/path"),
        ("postgresql+psycopg2://me:p@ss@host/db?sslmode=require", "postgresql+psycopg2://host/db"),
        ("http://me:p?ss@host", "http://…"),
        ("http://me:p/ss@host", "http://host"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_no_secret_of_an_address_is_shown(address: str, shown: str):
    assert redact_uri(address) == shown
