"""Results of other code, data, judges or protocol never pass for those of these: another key, or a mark on the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.config import RunConfig
from benchmarks.training.listener import ProgressListener
from benchmarks.training.train import BEGUN_BY_OTHER_CODE
from tests.conftest import Done
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


def test_a_changed_source_changes_the_fingerprint_and_a_changed_comment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.training import provenance

    (tmp_path / "benchmarks").mkdir()
    source = tmp_path / "benchmarks" / "steps.py"
    monkeypatch.setattr(provenance, "HOUSE", tmp_path)

    def printed(text: str) -> str:
        source.write_text(text)
        provenance.fingerprint.cache_clear()
        return provenance.fingerprint()

    try:
        first = printed('"""A."""\nRATE = 1\n')
        assert printed('"""Another text."""\n\n# a comment\nRATE = 1\n') == first
        assert printed('"""A."""\nRATE = 2\n') != first
    finally:
        monkeypatch.undo()
        provenance.fingerprint.cache_clear()


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
