"""Finding runs, by name, by folder and in MLflow."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from reports.build import build_report
from reports.reading.runs import FoundRuns, find_runs
from tests.compared_runs import config, on_disk, record
from variants.recipe import UserError


def test_runs_are_chosen_by_name_or_folder(tmp_path: Path):
    first, second = (on_disk(tmp_path / "runs", config(seed=seed), {"fid": 1.0}) for seed in (0, 1))
    assert [run.config.seed for run in find_runs([first.name], runs_dir="runs").runs] == [0]
    assert [run.config.seed for run in find_runs([str(second.path)]).runs] == [1]
    both = find_runs([first.name, f"runs/{first.name}", f"runs/{second.name}"], runs_dir="runs").runs
    assert [run.config.seed for run in both] == [0, 1]


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (
            ["cgan_mpl-mnist-s0"],
            r"there is no run 'cgan_mpl-mnist-s0' in runs; did you mean 'cgan_mlp-mnist-s0-\w{8}'\?",
        ),
        (["nowhere/at-all"], "is not a run folder"),
    ],
)
def test_a_run_that_does_not_exist_is_refused(tmp_path: Path, chosen: list[str], sentence: str):
    on_disk(tmp_path / "runs", config(), {"fid": 1.0})
    with pytest.raises(UserError, match=sentence):
        find_runs(chosen, runs_dir="runs")


def test_nothing_to_read_is_refused(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="there are no runs in runs"):
        find_runs(runs_dir="runs")
    with pytest.raises(UserError, match="there is no MLflow database"):
        find_runs()
    with pytest.raises(UserError, match="cannot write the report"):
        build_report(FoundRuns((record(config()),)), Path("/dev/null/out"))


def test_mlflow_and_the_folders_tell_the_same(tmp_path: Path, tracking_uri: str):
    from benchmarks.tracking.upload import sync

    runs_dir = tmp_path / "runs"
    folders = [
        on_disk(runs_dir, config("cgan_mlp", 0), {"fid": 10.0, "accuracy": math.inf}),
        on_disk(runs_dir, config("cgan_mlp", 1), {"fid": 12.0, "accuracy": 0.5}),
        on_disk(runs_dir, config("dcgan", 0), {"fid": 30.0}, state="FAILED"),
    ]
    ids = {folder.name: sync(folder, tracking_uri) for folder in folders}
    folders[1].clear()
    again = on_disk(runs_dir, config("cgan_mlp", 1), {"fid": 13.0, "accuracy": 0.5})
    old, ids[again.name] = ids[again.name], sync(again, tracking_uri)

    found = find_runs(tracking_uri=tracking_uri)
    assert [(run.id, run.why) for run in found.left_out] == [(old, "its config was trained again later")]
    assert {run.name: run.id for run in found.runs} == ids
    by_folder = find_runs(runs_dir=runs_dir).runs
    assert [replace(run, id=run.name) for run in found.runs] == list(by_folder)
    assert by_folder[0].metrics["accuracy"] == math.inf

    assert [run.name for run in find_runs([ids[again.name]], tracking_uri=tracking_uri).runs] == [again.name]
    with pytest.raises(UserError, match="there is no run 'dcgan'"):
        find_runs(["dcgan"], tracking_uri=tracking_uri)
