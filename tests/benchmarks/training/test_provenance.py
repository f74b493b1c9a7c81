"""Results of other code, data, judges or protocol never pass for those of these: another key, or a mark on the run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.config import RunConfig
from benchmarks.training.listener import ProgressListener
from benchmarks.training.train import BEGUN_BY_OTHER_CODE
from tests.conftest import ROOT, Done
from variants import UserError

TINY = {"epochs": 2, "epoch_updates": 2, "samples": 60, "thorough": False, "probes": ()}


def tiny(**changes: object) -> RunConfig:
    return configure("cgan_mlp", "digits", **{**TINY, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"checksum": "00" * 32},
        {"extractor": "00" * 32},
        {"samples": 61},
        {"evaluate_every": 2},
        {"thorough": True},
        {"precision": "bfloat16"},
        {"seed": 1},
        {"plugins": ("mine:" + "0" * 64,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_data_judges_or_protocol_are_another_run(change: dict[str, object]) -> None:
    config = tiny()
    other = replace(config, **change)
    assert other.key != config.key
    assert other.name != config.name


def test_a_judge_that_changes_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tiny()
    monkeypatch.setattr("benchmarks.training.configure.classifiers_sha256", lambda data: "11" * 32)
    assert tiny().key != before.key


def test_data_that_are_not_those_of_the_config_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not what this config was made for"):
        train(replace(tiny(), checksum="00" * 32), runs_dir=tmp_path, track=False)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A room of deciding code in a house of its own."""
    from benchmarks.training import provenance

    monkeypatch.setattr(provenance, "HOUSE", tmp_path)
    (made := tmp_path / "benchmarks" / "algorithm" / "inner").mkdir(parents=True)
    yield made.parent
    monkeypatch.undo()
    provenance.fingerprint.cache_clear()


def printed() -> str:
    from benchmarks.training import provenance

    provenance.fingerprint.cache_clear()
    return provenance.fingerprint()


def test_a_changed_source_changes_the_fingerprint_and_a_changed_comment_does_not(room: Path) -> None:
    def of(text: str) -> str:
        (room / "steps.py").write_text(text)
        return printed()

    first = of('"""A."""\nRATE = 1\n')
    assert of('"""Another text."""\n\n# a comment\nRATE = 1\n') == first
    assert of('"""A."""\nRATE = 2\n') != first


def test_a_file_that_moves_within_its_room_leaves_the_fingerprint_and_one_that_leaves_it_does_not(room: Path) -> None:
    (room / "steps.py").write_text("from benchmarks.adam import Adam\n")
    first = printed()
    (room / "steps.py").rename(room / "inner" / "updates.py")
    assert printed() == first
    (room / "inner" / "updates.py").write_text("from benchmarks.algorithm.adam import Adam\n")
    assert printed() == first
    (room / "inner" / "updates.py").write_text("from benchmarks.algorithm.adam import Other\n")
    assert printed() != first
    (room / "inner" / "updates.py").unlink()
    assert printed() != first


# They draw, write down, show, plan or read: a change there leaves every figure of a run as it is.
NOT_DECIDING = {
    *("cli", "executors", "inference", "pictures", "questions", "run_folder"),
    *("statistics", "suites", "timing", "tracking"),
}


def test_every_room_decides_or_is_known_not_to() -> None:
    from benchmarks.training.provenance import DECIDING

    rooms = {path.parent.name for path in (ROOT / "benchmarks").glob("*/__init__.py")}
    deciding = {Path(room).name for room in DECIDING.values() if room.startswith("benchmarks/")}
    assert deciding | NOT_DECIDING == rooms
    assert not deciding & NOT_DECIDING


class Heard(ProgressListener):
    def __init__(self, stop: int = 0) -> None:
        self.stop, self.said = stop, []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def update(self, epoch: int, updates: int) -> None:
        if epoch == self.stop:
            raise KeyboardInterrupt


def test_a_run_that_other_code_began_says_so_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        for module in ("train", "cache", "provenance"):
            patched.setattr(f"benchmarks.training.{module}.fingerprint", lambda: "other code")
        with pytest.raises(KeyboardInterrupt):
            train(tiny(), runs_dir=tmp_path, track=False, listener=Heard(stop=2))
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), runs_dir=tmp_path, track=False, listener=(heard := Heard(stop=2)))
    assert heard.said.count(BEGUN_BY_OTHER_CODE) == 1
    run = train(tiny(), runs_dir=tmp_path, track=False)
    assert run.folder.environment()["notes"] == [BEGUN_BY_OTHER_CODE]
    anew = train(tiny(), runs_dir=tmp_path, track=False, retrain=True)
    assert anew.folder.environment()["notes"] == []


def test_a_finished_run_of_other_code_is_found_and_said_to_be_stale(tmp_path: Path, called, monkeypatch) -> None:
    from benchmarks.run import main as command

    words = ["--variant", "cgan_mlp", "--dataset", "digits", "--epochs", "1", "--epoch-updates", "1", "--samples", "60"]
    words += ["--quick-metrics", "--no-tracking", "--pictures", "none", "--probes", "none"]
    first: Done = called(command, *words)
    assert (first.code, "stale" in first.out) == (0, False)
    again: Done = called(command, *words)
    assert "already trained" in again.out
    assert "stale" not in again.out
    monkeypatch.setattr("benchmarks.cli.tables.fingerprint", lambda: "other code")
    assert "stale: the code that decides results has changed" in called(command, *words).out
