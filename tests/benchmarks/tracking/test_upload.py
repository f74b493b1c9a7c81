"""A run folder arrives in MLflow: everything, each value once, whatever happens in between."""

import math
import re
import shlex
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import EXPERIMENT, NOTE, Busy, make_client, resolve_uri
from benchmarks.tracking.download import fetch_run, list_runs
from benchmarks.tracking.upload import find_page, mark_lost, sync, sync_when_free, write_memory
from tests.run_folders import BEGAN, CONFIG, finish, images, stored, train
from variants.recipe import UserError


def test_a_run_arrives_whole(folder: RunFolder, tracking_uri: str):
    train(folder, range(5))
    finish(folder, epoch=4)
    run_id = sync(folder, tracking_uri)
    client = make_client(tracking_uri)
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == (CONFIG.name, "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_250 - 500, 1_700_000_004_250)
    assert client.get_experiment(run.info.experiment_id).name == EXPERIMENT

    recipe = {name: str(value) for name, value in CONFIG.recipe.as_dict().items()}
    assert recipe.items() <= run.data.params.items()
    others = {
        "variant": "cgan_mlp",
        "dataset": "digits",
        "seed": "3",
        "samples": "10000",
        "parameters.generator": "1000",
    }
    assert others.items() <= run.data.params.items()
    tags = {
        "variant": "cgan_mlp",
        "dataset": "digits",
        "seed": "3",
        "device": "cpu",
        "recipe": "default",
        "extractor": "digits cdcdcdcd",
        "code": "c0de",
        "note": "no network: 8×8 digits instead of MNIST",
        "run_key": CONFIG.key,
        "folder": CONFIG.name,
        "state": "FINISHED",
        "epoch": "4",
    }
    assert tags.items() <= run.data.tags.items()
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", CONFIG.checksum[:36])

    times = [1_700_000_000_250 + 1000 * epoch for epoch in range(5)]
    points = stored(tracking_uri, run_id)
    assert points["fid"] == [(epoch, 64.0 / (epoch + 1), times[epoch]) for epoch in range(5)]
    assert points["training/generator_loss"] == [(epoch, 2.0 - epoch / 8, times[epoch]) for epoch in range(5)]
    assert run.data.tags["reference.fid"] == "0.25"
    assert "timing/time" not in points

    names = {file.path for file in client.list_artifacts(run_id)}
    results = {"config.json", "metrics.jsonl", "environment.json", "reference.json", "facts.json", "status.json"}
    assert names == results | {"images", "losses.png", "samples.gif", "generator.safetensors"}


def test_a_run_that_ended_is_described_once_and_the_text_then_belongs_to_its_readers(
    folder: RunFolder, tracking_uri: str
) -> None:
    train(folder, range(3))
    client = make_client(tracking_uri)
    run_id = sync(folder, tracking_uri)
    assert NOTE not in client.get_run(run_id).data.tags
    train(folder, range(3, 5))
    finish(folder, epoch=4)
    sync(folder, tracking_uri)
    run = client.get_run(run_id)
    said = run.data.tags[NOTE]
    assert f"| epoch {folder.lines()[-1]['epoch']} | this run | real data |" in said
    for name, value in folder.lines()[-1]["metrics"].items():
        assert f"| {name} | {value:.4g} | " in said
    assert "To train it again" not in said
    assert "tags.variant" in client.get_experiment(run.info.experiment_id).tags[NOTE]

    client.set_tag(run_id, NOTE, "the best so far")
    sync(folder, tracking_uri)
    assert client.get_run(run_id).data.tags[NOTE] == "the best so far"


def test_the_pictures_are_a_series_that_mlflow_shows(folder: RunFolder, tracking_uri: str):
    """Checks the rule by which the user interface of MLflow 3.17 reads names, and names that MLflow makes itself."""

    def parsed(path: str) -> tuple[str, int, int, bool]:
        stem, _, extension = path.removeprefix("images/").rpartition(".")
        key, step, number, timestamp, milliseconds, _, *compressed = stem.split("+")
        assert (step, timestamp, extension in ("png", "webp")) == ("step", "timestamp", True)
        return key, int(number), int(milliseconds), compressed == ["compressed"]

    train(folder, range(3))
    run_id = sync(folder, tracking_uri)
    series = {(key, step, small) for key, step, _, small in map(parsed, images(tracking_uri, run_id))}
    assert series == {("samples", 1, False), ("samples", 1, True), ("samples", 2, False), ("samples", 2, True)}
    client = make_client(tracking_uri)
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    client.log_image(run_id, Image.new("L", (8, 8)), key="theirs", step=7)
    theirs = {parsed(path) for path in images(tracking_uri, run_id) if "theirs" in path}
    assert {(key, step, small) for key, step, _, small in theirs} == {("theirs", 7, False), ("theirs", 7, True)}


def test_what_is_not_finite_is_said_and_comes_back_exactly(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    train(folder, range(2), kid=math.inf)
    train(folder, range(2, 3), accuracy=math.nan)
    finish(folder, "FAILED", epoch=2, cause="generator_loss is nan in epoch 2")
    run_id = sync(folder, tracking_uri)
    assert [value for _, value, _ in stored(tracking_uri, run_id)["kid"]] == [1.7976931348623157e308] * 2
    ((_, tags, status),) = list_runs(tracking_uri)
    assert tags["not_finite"] == "kid is inf in epoch 0, 1; accuracy is nan in epoch 2"
    assert (status, tags["cause"]) == ("FAILED", "generator_loss is nan in epoch 2")
    lines = RunFolder(fetch_run(run_id, tracking_uri, tmp_path / "fetched")).lines()
    assert [line["metrics"].get("kid") for line in lines] == [math.inf, math.inf, None]
    assert math.isnan(lines[2]["metrics"]["accuracy"])


def test_a_run_that_older_code_called_failed_though_the_machine_ended_it_is_sent_as_killed(
    folder: RunFolder, tracking_uri: str
):
    train(folder, range(2))
    finish(folder, "FAILED", epoch=1, cause="[Errno 28] No space left on device")
    sync(folder, tracking_uri)
    ((_, tags, status),) = list_runs(tracking_uri)
    assert (status, tags["state"], tags["cause"]) == ("KILLED", "KILLED", "[Errno 28] No space left on device")


def test_a_run_is_sent_as_it_grows_and_never_twice(folder: RunFolder, tracking_uri: str):
    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        train(folder, range(2))
        run_id = sync(folder, tracking_uri)
        assert make_client(tracking_uri).get_run(run_id).info.status == "RUNNING"
        early = stored(tracking_uri, run_id)
        assert sync(folder, tracking_uri) == run_id
        assert stored(tracking_uri, run_id) == early
        train(folder, range(2, 5))
        assert sync(folder, tracking_uri) == run_id
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3, 4]
    assert len(images(tracking_uri, run_id)) == 2 * 4


@pytest.mark.parametrize("lost", ["memory", "memory and journal", "journal"])
def test_what_is_lost_here_is_not_sent_again(folder: RunFolder, tracking_uri: str, lost: str):
    train(folder, range(4))
    run_id = sync(folder, tracking_uri)
    before, pictures = stored(tracking_uri, run_id), images(tracking_uri, run_id)
    if "memory" in lost:
        folder.file("mlflow.json").unlink()
    if "journal" in lost:
        folder.truncate(1)
        train(folder, range(2, 5), began=BEGAN + 5000)
    else:
        train(folder, range(4, 5))
    finish(folder)
    assert sync(folder, tracking_uri) == run_id
    after = stored(tracking_uri, run_id)
    assert {key: points[:4] for key, points in after.items()} == before
    assert [step for step, _, _ in after["fid"]] == [0, 1, 2, 3, 4]
    assert len(images(tracking_uri, run_id)) == len(pictures) + 2


def test_a_sync_that_broke_off_is_completed(folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch):
    """Breaks off at each call in turn; in the end everything is there once."""
    from mlflow import MlflowClient

    train(folder, range(4))
    finish(folder)
    calls = ("create_run", "log_batch", "log_inputs", "log_artifacts", "log_artifact", "set_terminated")
    for name in calls:
        whole = getattr(MlflowClient, name)

        def broken(client: MlflowClient, *args: object, whole=whole, **kwargs: object) -> None:
            whole(client, *args, **kwargs)
            raise ConnectionError("the answer was lost")

        monkeypatch.setattr(MlflowClient, name, broken)
        with pytest.raises(UserError, match="the answer was lost"):
            sync(folder, tracking_uri)
        monkeypatch.undo()
    run_id = sync(folder, tracking_uri)
    assert [run.run_id for run in list_runs(tracking_uri)] == [run_id]
    points = stored(tracking_uri, run_id)
    assert [step for step, _, _ in points["fid"]] == [0, 1, 2, 3]
    assert {len(series) for key, series in points.items()} == {4}
    assert len(images(tracking_uri, run_id)) == 2 * 3


def test_what_a_checkpoint_does_not_cover_waits(folder: RunFolder, tracking_uri: str):
    import torch

    with folder.lock():
        folder.set_status("RUNNING", epoch=0)
        train(folder, range(5))
        folder.save_checkpoint({"w": torch.zeros(1)}, {}, 2)
        run_id = sync(folder, tracking_uri)
        assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2]
        assert len(images(tracking_uri, run_id)) == 2 * 2
        finish(folder)
        sync(folder, tracking_uri)
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1, 2, 3, 4]


def test_a_killed_run_reads_as_killed_and_goes_on_in_the_same_run(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    folder.set_status("RUNNING", epoch=1)
    run_id = sync(folder, tracking_uri)
    client = make_client(tracking_uri)
    assert client.get_run(run_id).info.status == "KILLED"
    assert client.get_run(run_id).data.tags["cause"] == "the process ended without recording a cause"
    with folder.lock():
        folder.set_status("RUNNING", epoch=1)
        assert sync(folder, tracking_uri) == run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        finish(folder)
        sync(folder, tracking_uri)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_run(run_id).data.tags["cause"] == ""


def test_a_run_that_is_done_again_is_another_one_and_the_old_one_is_marked(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    finish(folder)
    old = sync(folder, tracking_uri)
    folder.clear()
    train(folder, range(3))
    finish(folder)
    new = sync(folder, tracking_uri)
    assert new != old
    tags = {run.run_id: run.tags for run in list_runs(tracking_uri)}
    assert tags[old]["superseded"] == new
    assert "superseded" not in tags[new]
    assert len(stored(tracking_uri, old)["fid"]) == 2


def test_whose_process_is_known_to_be_gone_is_marked_as_killed_and_nothing_else_is(tmp_path: Path, tracking_uri: str):
    folders = [
        RunFolder.create(tmp_path / name, replace(CONFIG, seed=seed), prefix)
        for name, seed, prefix in (("gone", 3, "0123abcd"), ("others", 3, "0123abce"), ("seed", 4, "0123abcd"))
    ]
    ids = {}
    for folder in folders:
        with folder.lock():
            folder.set_status("RUNNING", epoch=0)
            ids[folder.path.parent.name] = sync(folder, tracking_uri)
    mark_lost(CONFIG.key, "0123abcd", tracking_uri)
    found = {run.run_id: (run.status, run.tags["state"], run.tags.get("cause")) for run in list_runs(tracking_uri)}
    assert found == {
        ids["gone"]: ("KILLED", "KILLED", "the process ended without recording a cause"),
        ids["others"]: ("RUNNING", "RUNNING", None),
        ids["seed"]: ("RUNNING", "RUNNING", None),
    }
    finish(folders[0])
    sync(folders[0], tracking_uri)
    mark_lost(CONFIG.key, "0123abcd", tracking_uri)
    assert [run.status for run in list_runs(tracking_uri) if run.run_id == ids["gone"]] == ["FINISHED"]


def test_a_run_that_was_deleted_in_mlflow_is_made_again(folder: RunFolder, tracking_uri: str):
    train(folder, range(2))
    finish(folder)
    old = sync(folder, tracking_uri)
    make_client(tracking_uri).delete_run(old)
    new = sync(folder, tracking_uri)
    assert new != old
    assert [step for step, _, _ in stored(tracking_uri, new)["fid"]] == [0, 1]
    assert len(images(tracking_uri, new)) == 2


def test_each_address_has_its_own_memory(folder: RunFolder, tracking_uri: str, tmp_path: Path):
    other = tmp_path / "other.db"
    shutil.copy(resolve_uri(tracking_uri).removeprefix("sqlite:///"), other)
    train(folder, range(2))
    first, second = sync(folder, tracking_uri), sync(folder, f"sqlite:///{other}")
    assert first != second
    assert stored(f"sqlite:///{other}", second)["fid"] == stored(tracking_uri, first)["fid"]
    assert sync(folder, tracking_uri) == first


def test_a_store_that_another_process_holds_is_tried_again(
    folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
):
    import sqlalchemy

    train(folder, range(2))
    finish(folder)
    said: list[str] = []
    other = sqlite3.connect(resolve_uri(tracking_uri).removeprefix("sqlite:///"), check_same_thread=False)
    # Otherwise SQLite itself waits for the 20 seconds that MLflow asks of it in each session.
    at_once = (
        sqlalchemy.Engine,
        "before_cursor_execute",
        lambda _, cursor, asked, *rest: (asked.replace("busy_timeout = 20000", "busy_timeout = 0"), rest[0]),
    )
    sqlalchemy.event.listen(*at_once, retval=True)
    # MLflow opens a store once, and tries that again for minutes, longer each time.
    list_runs(tracking_uri)

    def told(sentence: str) -> None:
        said.append(sentence)
        other.rollback()

    monkeypatch.setattr("benchmarks.tracking.upload._BUSY_SECONDS", 0.0)
    try:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="is busy: another process writes to it"):
            sync(folder, tracking_uri)
        run_id = sync_when_free(folder, tracking_uri, say=told)
    finally:
        sqlalchemy.event.remove(*at_once)
        other.close()
    assert said == [f"MLflow at {resolve_uri(tracking_uri)} is busy: another process writes to it; waiting for it"]
    assert [step for step, _, _ in stored(tracking_uri, run_id)["fid"]] == [0, 1]


def test_each_experiment_gets_a_run_whole_and_is_remembered(
    folder: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
):
    train(folder, range(2))
    finish(folder)
    first, second = sync(folder, tracking_uri), sync(folder, tracking_uri, "my own")
    assert (sync(folder, tracking_uri), sync(folder, tracking_uri, "my own")) == (first, second)
    assert stored(tracking_uri, first) == stored(tracking_uri, second)
    assert [run.run_id for run in list_runs(tracking_uri)] == [first]
    assert [run.run_id for run in list_runs(tracking_uri, "my own")] == [second]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "my own")
    assert [run.run_id for run in list_runs(tracking_uri)] == [second]
    assert sync(folder, tracking_uri) == second
    assert [run.run_id for run in list_runs(tracking_uri, EXPERIMENT)] == [first]


def test_one_is_told_where_to_look(folder: RunFolder, tmp_path: Path, tracking_uri: str):
    assert find_page(folder, tracking_uri) == ""
    assert find_page(folder, "http://me:pw@host:5000/") == ""
    train(folder, range(2))
    folder.set_status("KILLED", epoch=1)
    uri = f"sqlite:///{tmp_path / 'my own.db'}"
    sync(folder, uri)
    command = ["mlflow", "ui", "--backend-store-uri", uri]
    assert shlex.split(find_page(folder, uri)) == command
    train(folder, range(2, 3))
    assert find_page(folder, uri).endswith(" (a part of it; python -m benchmarks.sync sends the rest)")
    finish(folder)
    sync(folder, uri)
    assert shlex.split(find_page(folder, uri)) == command
    folder.write_bytes("losses.png", b"others")
    assert "a part of it" in find_page(folder, uri)

    sent = {"run_id": "r", "experiment_id": "7", "epoch": 2, "files": {}}
    write_memory(folder, "http://me:pw@host:5000/", None, sent)
    assert find_page(folder, "http://me:other@host:5000/").startswith("http://host:5000/#/experiments/7/runs/r (a ")
    assert not re.search("me:|pw", folder.file("mlflow.json").read_text())
