"""The command refuses what cannot be tuned or kept before the runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.tune import main as tune
from tests.conftest import Done

Called = Callable[..., Done]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--arms plian", "unknown arm 'plian'; did you mean 'plain'? (the preset quick has no such arm)"),
        (
            "--preset mnist --arms plain report",
            "the arm report has a rate of its own, which is not tuned; leave it out",
        ),
        ("--arms few", "the arm few takes the rate of conditional; leave it out"),
        ("--preset smoke --arms plain", "the preset smoke is not tuned"),
        ("--arms plain --out folder", "cannot write folder: Is a directory; give another --out FILE, and the same to"),
        ("--out file/tuned.json", "cannot write file/tuned.json: "),
        ("--arms plain --out half.json", "half.json is not JSON: "),
    ],
)
def test_what_cannot_be_tuned_or_kept_is_told_before_the_runs(called: Called, words: str, sentence: str) -> None:
    Path("folder").mkdir()
    Path("file").touch()
    Path("half.json").write_text('{"arms": ')
    done = called(tune, *words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {sentence}")
    assert not Path("runs").exists()
