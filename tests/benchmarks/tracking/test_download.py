"""A run comes back from MLflow as the folder it was."""

from pathlib import Path

import pytest

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import make_client, prepare_experiment
from benchmarks.tracking.download import fetch_run, list_runs
from benchmarks.tracking.upload import sync
from tests.run_folders import finish, train
from variants.recipe import UserError


def test_a_run_comes_back_as_the_folder_it_was(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(3))
    finish(folder, epoch=2)
    run_id = sync(folder, tracking_uri)
    fetched = RunFolder(fetch_run(run_id, tracking_uri, tmp_path / "fetched"))
    assert (fetched.name, fetched.id) == (folder.name, folder.id)
    assert (fetched.config(), fetched.lines(), fetched.status()) == (folder.config(), folder.lines(), folder.status())
    assert fetched.reference() == folder.reference()
    assert {e: p.read_bytes() for e, p in fetched.pictures().items()} == {
        e: p.read_bytes() for e, p in folder.pictures().items()
    }
    assert fetched.read_bytes("generator.safetensors") == b"weights"
    few = fetch_run(run_id, tracking_uri, tmp_path / "few", wanted=lambda name: name == "samples/epoch_002.png")
    assert sorted(p.name for p in few.rglob("*") if p.is_file()) == ["config.json", "epoch_002.png"]


def test_a_local_folder_stands_for_a_run_only_if_it_is_that_run(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2))
    finish(folder)
    run_id = sync(folder, tracking_uri)
    assert fetch_run(run_id, tracking_uri, tmp_path / "fetched", runs_dir=tmp_path / "runs") == folder.path
    folder.clear()
    fetched = fetch_run(run_id, tracking_uri, tmp_path / "fetched", runs_dir=tmp_path / "runs")
    assert fetched == tmp_path / "fetched" / folder.name
    assert len(RunFolder(fetched).lines()) == 2


def test_only_runs_of_ours_are_listed_and_fetched(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2))
    run_id = sync(folder, tracking_uri)
    client = make_client(tracking_uri)
    other = client.create_run(prepare_experiment(tracking_uri), run_name="by hand").info.run_id
    hostile = client.create_run(
        prepare_experiment(tracking_uri), tags={"folder": "../../evil", "run_key": "x"}
    ).info.run_id
    assert [run.run_id for run in list_runs(tracking_uri)] == [run_id, hostile]
    for wrong in (other, hostile):
        with pytest.raises(UserError, match="is not a run of this benchmark"):
            fetch_run(wrong, tracking_uri, tmp_path / "fetched")
    with pytest.raises(UserError, match="does not answer as it should"):
        fetch_run("0" * 32, tracking_uri, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_reading_makes_no_database(tmp_path: Path):
    with pytest.raises(UserError, match="there is no MLflow database"):
        list_runs(f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


def test_reading_makes_no_experiment(folder: RunFolder, tracking_uri: str):
    sync(folder, tracking_uri, "mine")
    with pytest.raises(UserError, match=r"unknown experiment 'mime'; did you mean 'mine'\?"):
        list_runs(tracking_uri, "mime")
    assert list_runs(tracking_uri) == []
    names = {each.name for each in make_client(tracking_uri).search_experiments()}
    assert names == {"Default", "mine"}
