"""A person's own images, the whole way: found by their path from anywhere, trained, shown, resumed, reported."""

import json
import shlex
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import load
from benchmarks.questions.presets import SMOKE
from benchmarks.run import main as run
from benchmarks.run_folder.folder import CONFIG, ENVIRONMENT, RunFolder, list_run_folders
from benchmarks.sample import main as sample
from benchmarks.show import main as show
from benchmarks.suite import main as suite
from benchmarks.suites.plan import make_plan
from benchmarks.training.configure import add_classifier
from benchmarks.training.listener import ProgressListener
from reports.build import main as build
from reports.records import RECORDS
from tests.conftest import Done
from tests.datasets_on_disk import write_folder
from variants.recipe import UserError

Called = Callable[..., Done]
NAME = "zwei Größen"
SMALL = {"image_size": 4}
TINY = {"batch_size": 8, "epochs": 2, "epoch_updates": 2, "samples": 20, "thorough": False}
WORDS = "--image-size 4 --batch-size 8 --epochs 2 --epoch-updates 2 --samples 20 --quick-metrics".split()


@pytest.fixture(autouse=True)
def quick_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier of three updates, which is as often wrong as right."""
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes in a folder two levels down, its path with blanks and letters beyond ASCII."""
    folder = tmp_path / "meine Bilder" / NAME
    write_folder(folder, ("kleine", "große"), count=60, mode="L")
    return folder


def only_run(runs_dir: Path | str = "runs") -> RunFolder:
    (folder,) = list_run_folders(runs_dir)
    return folder


# ---- where they are


def test_the_name_is_shown_and_the_path_is_read(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = DatasetConfig(f"folder:meine Bilder/{NAME}")
    assert (nested.name, nested.path) == (f"folder:{NAME}", str(images))
    monkeypatch.chdir(images.parent)
    ways = [f"folder:{NAME}", f"folder:./{NAME}/", f"folder:../{images.parent.name}/{NAME}", f"folder:{images}"]
    for config in (nested, *map(DatasetConfig, ways)):
        assert (config.name, config.path) == (nested.name, nested.path)
        assert load(config).checksum == load(nested).checksum
    linked = images.parent / "link"
    linked.symlink_to(images)
    assert DatasetConfig(f"folder:{linked}").path == str(images)


def test_a_path_is_written_and_read_back_and_is_no_part_of_the_key(images: Path, tmp_path: Path) -> None:
    config = add_classifier(configure("vanilla_gan", DatasetConfig(f"folder:{images}", **SMALL), **TINY))
    again = RunConfig.from_dict(json.loads(json.dumps(config.as_dict())))
    assert again.dataset.path == str(images)
    assert "path" not in config.as_dict(neutral=False)["dataset"]
    # A run folder from before there were paths.
    old = config.as_dict()
    del old["dataset"]["path"]
    assert RunConfig.from_dict(old).key == config.key
    moved = tmp_path / "moved" / NAME
    shutil.copytree(images, moved)
    elsewhere = add_classifier(configure("vanilla_gan", DatasetConfig(f"folder:{moved}", **SMALL), **TINY))
    assert (elsewhere.key, elsewhere == config) == (config.key, True)
    assert elsewhere.dataset.path == str(moved)


def test_two_folders_of_one_name_are_two_datasets(images: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / NAME
    write_folder(other, ("a", "b", "c"), count=20)
    first, second = (
        configure("vanilla_gan", DatasetConfig(f"folder:{each}", **SMALL), **TINY) for each in (images, other)
    )
    assert first.dataset == second.dataset
    assert first.checksum != second.checksum


@pytest.mark.parametrize(
    "values",
    [
        {"name": "folder:cats", "path": "/elsewhere/dogs"},
        {"name": "folder:cats", "path": "cats"},
        {"name": "digits", "path": "/elsewhere/digits"},
        {"name": "folder:cats", "path": 3},
        {"name": 3},
        {"name": "folder:\0"},
        {"name": "folder:\udcff"},
    ],
)
def test_a_path_that_is_not_that_of_the_name_is_refused(values: dict) -> None:
    with pytest.raises(UserError):
        DatasetConfig(**values)


def test_it_is_trained_shown_run_again_resumed_and_sampled_from_anywhere(
    images: Path, tmp_path: Path, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--no-tracking", "--runs-dir", str(tmp_path / "runs")]
    done = called(run, "--variant", "vanilla_gan", "--dataset", f"folder:meine Bilder/{NAME}", *WORDS, *where)
    assert done.code == 0, done.err
    first = only_run(tmp_path / "runs")
    assert first.config().dataset.path == str(images)

    # The command that is shown, given in another folder, finds the run.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shown = called(show, str(first.path)).out.splitlines()
    line = shown[shown.index("to run it again") + 1].strip()
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "benchmarks.run"]
    again = called(run, *words[3:], *where, "--data-dir", str(tmp_path / "data"))
    assert again.code == 0, again.err
    assert "already trained" in again.out
    assert only_run(tmp_path / "runs").name == first.name

    assert called(sample, "--run", str(first.path), "--count", "4", "--out", "four.png").code == 0
    assert Path("four.png").is_file()

    # Its recipe, on the same images, with another seed.
    other = ["--recipe", str(first.path), "--seed", "1", *WORDS, *where, "--data-dir", str(tmp_path / "data")]
    done = called(run, "--variant", "vanilla_gan", "--dataset", f"folder:{images}", *other)
    assert done.code == 0, done.err
    assert {folder.config().recipe for folder in list_run_folders(tmp_path / "runs")} == {first.config().recipe}


class Stops(ProgressListener):
    """Presses Ctrl-C once the first epoch is written down."""

    def line(self, line: dict) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_from_its_config_in_another_folder(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    where = {"runs_dir": tmp_path / "runs", "data_dir": tmp_path / "data", "track": False, "pictures": "none"}
    config = configure("vanilla_gan", DatasetConfig(f"folder:meine Bilder/{NAME}", **SMALL), **TINY | {"epochs": 3})
    with pytest.raises(KeyboardInterrupt):
        train(config, **where, listener=Stops())
    folder = only_run(where["runs_dir"])
    assert folder.status()["state"] == "KILLED"
    monkeypatch.chdir("/")
    said: list[str] = []
    listener = ProgressListener()
    listener.say = said.append
    # As a worker, an executor, or a person reads it.
    finished = train(folder.config(), **where, listener=listener)
    assert "going on after epoch 1, from the last checkpoint" in said
    assert finished.folder.status()["state"] == "FINISHED"


@pytest.mark.long
@pytest.mark.parametrize("executor", ["--executor inline", "--executor processes --workers 2"])
def test_a_suite_a_report_and_its_records(
    executor: str, images: Path, tmp_path: Path, called: Called, tracking_uri: str
) -> None:
    asked = [*"--preset smoke --questions loss_curves --seeds 2 --dataset".split(), f"folder:meine Bilder/{NAME}"]
    how = [*executor.split(), "--device", "cpu", "--tracking-uri", tracking_uri]
    planned = called(suite, *asked, "--plan")
    assert (planned.code, "4 runs (0 already done)" in planned.out) == (0, True), planned.err
    assert not Path("data/extractors").exists()  # no classifier was trained to show a plan
    done = called(suite, *asked, *how)
    assert done.code == 0, done.out + done.err
    notes = [note for note in only_notes("runs") if NAME in note]
    assert len(notes) == 2
    for note in notes:
        assert done.out.count(note) == 1  # said once, and not by each run
    assert "4 runs (4 already done)" in called(suite, *asked, *how).out

    # Both kinds of report tell the notes, and neither the path, nor do the records and the params.
    assert called(build, *asked, "--runs-dir", "runs", "--out", "answered", "--records").code == 0
    assert called(build, "--runs-dir", "runs", "--out", "compared").code == 0
    for out in ("answered", "compared"):
        pages = "\n".join(page.read_text() for page in Path(out).rglob("*.md"))
        for note in notes:
            assert note[1:] in pages.replace("\\", ""), out
        assert str(images.parent) not in pages
    with tarfile.open(Path("answered", RECORDS)) as archive:
        texts = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(("json", "jsonl"))}
    assert not [name for name, text in texts.items() if images.parent.name.encode() in text]
    configs = [json.loads(text) for name, text in texts.items() if name.endswith(CONFIG)]
    assert {RunConfig.from_dict(each["config"]).key for each in configs} == {each["key"] for each in configs}
    commands = [json.loads(text)["command"] for name, text in texts.items() if name.endswith(ENVIRONMENT)]
    assert all(shlex.quote(f"folder:{NAME}") in command for command in commands)

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("gan-benchmark").experiment_id
    trained = client.search_runs([experiment], "tags.run_key != ''")
    assert len(trained) == 4
    for each in trained:
        assert all(note in each.data.tags["note"] for note in notes)
        assert each.data.params["dataset"] == f"folder:{NAME}"
        assert "dataset.path" not in each.data.params


def only_notes(runs_dir: str) -> list[str]:
    """The notes of all runs, which are the same."""
    (notes,) = {tuple(folder.notes()) for folder in list_run_folders(runs_dir)}
    return list(notes)


def test_the_plan_of_a_folder_does_not_know_its_path(images: Path) -> None:
    plans = [make_plan(SMOKE, ["loss_curves"], dataset=f"folder:{each}") for each in (images, Path("/other", NAME))]
    assert plans[0].hash == plans[1].hash
    arm = plans[0].arms[0]
    assert arm.config(0).dataset.path == str(images)
    assert plans[1].arms[0].matches(arm.config(0))
