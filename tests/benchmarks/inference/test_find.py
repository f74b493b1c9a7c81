"""A run is found by its folder, its name or its MLflow id, or refused with the nearest name."""

from pathlib import Path

import pytest
import torch

from benchmarks import Run, find_run
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.upload import sync
from variants import UserError


def test_a_run_is_found_by_its_folder_its_name_and_its_id(
    labelled: Run, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, runs_dir = labelled.path.name, labelled.path.parent
    assert find_run(str(labelled.path)).path == labelled.path
    assert find_run(name, runs_dir).path == labelled.path
    monkeypatch.chdir(runs_dir)
    assert find_run(name, "runs").path == Path(name)
    monkeypatch.chdir(tmp_path)

    run_id = sync(RunFolder(labelled.path), tracking_uri)
    assert find_run(run_id, runs_dir, tracking_uri).path == labelled.path
    for text in (run_id, name):
        fetched = find_run(text, "runs", tracking_uri)
        assert fetched.fetched
        assert fetched.path != labelled.path
        assert torch.equal(fetched.generate(labels=[7, 1]), labelled.generate(labels=[7, 1]))
        path = fetched.path
        del fetched
        assert not path.exists()
    assert not (tmp_path / "runs").exists()


def test_a_run_that_does_not_exist_is_refused_with_the_nearest_name(labelled: Run, tracking_uri: str) -> None:
    name, runs_dir = labelled.path.name, labelled.path.parent
    with pytest.raises(
        UserError, match=rf"there is no run '{name}x' in .* or in MLflow at .*; did you mean '{name}'\?"
    ):
        find_run(name + "x", runs_dir, tracking_uri)
    with pytest.raises(UserError, match=rf"did you mean '{name}'\?, and there is no MLflow database"):
        find_run(name + "x", runs_dir, "sqlite:///nowhere.db")
    with pytest.raises(UserError, match="is not a run folder: it has no config"):
        find_run("runs/nothing")
