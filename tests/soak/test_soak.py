"""The long checks themselves: their steps can be stopped, their mutants are mutants, their page shows their figures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Done
from tests.soak import endurance, figures, mutants
from tests.soak.__main__ import PARTS, main

SOURCE = '''
"""A text."""
LIMIT = 3


def clipped(x: float, least: float = 0.0) -> float:
    """Says 1 + 1."""
    if x < least and x != LIMIT:
        raise ValueError(f"{x + 1} is too small")
    return max(-x, least * 2)
'''


def test_mutants_are_small_changes_of_what_is_computed_and_each_is_another() -> None:
    made = list(mutants.make_mutants(SOURCE))
    texts = [text for *_, text in made]
    assert len(set(texts)) == len(texts)
    for expected in (
        "LIMIT = 4",
        "least: float=1.0",
        "x <= least and x != LIMIT",
        "x < least or x != LIMIT",
        "x < least and x == LIMIT",
        "if False:",
        "min(-x, least * 2)",
        "max(x, least * 2)",
        "max(-x, least / 2)",
        "max(-x, least * 3)",
        "return None",
    ):
        assert sum(expected in text for text in texts) == 1, expected
    assert all("{x + 1} is too small" in text for text in texts)
    assert all("Says 1 + 1." in text for text in texts)
    for line, kind, what, text in made:
        assert 1 <= line <= len(SOURCE.splitlines())
        assert kind
        assert " -> " in what
        compile(text, "mutant", "exec")


def test_every_file_that_is_mutated_is_there_with_its_tests() -> None:
    for path, names in mutants.TESTS.items():
        assert (figures.ROOT / path).is_file()
        assert [name for name in names if not (figures.ROOT / "tests" / f"{name}.py").is_file()] == []
    metrics = {path.relative_to(figures.ROOT).as_posix() for path in (figures.ROOT / "metrics").glob("*.py")}
    assert metrics - set(mutants.TESTS) == {"metrics/__init__.py", "metrics/base.py"}


@pytest.mark.long
def test_a_mutant_is_killed_by_a_test_that_notices_it_and_survives_one_that_does_not(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("")
    (tmp_path / "metrics" / "twice.py").write_text("def twice(x):\n    return x + x\n")
    (tmp_path / "tests" / "test_good.py").write_text(
        "from metrics.twice import twice\n\n\ndef test_it():\n    assert twice(3) == 6\n"
    )
    (tmp_path / "tests" / "test_weak.py").write_text(
        "from metrics.twice import twice\n\n\ndef test_it():\n    assert twice(0) == 0\n"
    )
    with mutants.Tester(tmp_path) as tester:
        assert tester.run(["test_good"], 300)[0] == "passed"
        (tmp_path / "metrics" / "twice.py").write_text("def twice(x):\n    return x - x\n")
        assert tester.run(["test_good"], 300)[0] == "failed"
        assert tester.run(["test_weak"], 300)[0] == "passed"
        (tmp_path / "metrics" / "twice.py").write_text("def twice(x):\n    while True:\n        pass\n")
        assert tester.run(["test_good"], 5.0)[0] == "hung"


def test_steps_are_kept_over_a_kill_and_not_over_a_change_of_code(tmp_path: Path) -> None:
    steps = figures.Steps(tmp_path / "part.jsonl", "a")
    steps.add({"n": 1})
    steps.add({"n": 2})
    with open(tmp_path / "part.jsonl", "a") as file:
        file.write('{"n": 3, "co')
    assert figures.Steps(tmp_path / "part.jsonl", "a").done == [{"n": 1}, {"n": 2}]
    assert figures.Steps(tmp_path / "part.jsonl", "b").done == []
    assert figures.Steps(tmp_path / "part.jsonl", "a").done == []


def test_growth_is_of_the_last_tenth_over_the_second() -> None:
    flat = [{"mib": 100.0, "files": 9.0}] * 100
    assert endurance.measure_growth(flat, "mib") == 0
    rising = [{"mib": 100.0 + n} for n in range(100)]
    assert endurance.measure_growth(rising, "mib") == pytest.approx((100 + 94.5) / (100 + 14.5) - 1)
    assert endurance.measure_process()["mib"] > 10


def test_the_page_shows_the_figures_that_are_kept() -> None:
    page = figures.PAGE.read_text()
    assert figures.fill_page(page, figures.load_figures()) == page
    some = {"kills": {"kills": 1234, "kills_survived": 1234, "wrong": ["no"]}}
    told = figures.fill_page(page, some)
    assert "| kills | kills survived | 1,234 |" in told
    assert '"no"' not in told
    assert figures.fill_page(told, figures.load_figures()) == page
    json.dumps(figures.load_figures())


def test_a_part_that_is_not_there_is_refused(called: Callable[..., Done]) -> None:
    done = called(main, "kill")
    assert done.code == 2
    assert done.err.startswith("error: unknown part 'kill'; did you mean 'kills'?")
    assert called(main, "--size", "0").code == 2
    parts = {
        "kills",
        "fuzzing",
        "metrics",
        "mutants",
        "endurance",
        "repetitions",
        "coverage",
        "calibration",
        "null",
        "peers",
    }
    assert set(PARTS) == parts


def test_a_part_works_where_it_was_told_to_whatever_folder_it_goes_into(
    called: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(work: Path, *_: object) -> dict[str, Any]:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        work.mkdir()
        return {}

    monkeypatch.setitem(PARTS, "kills", elsewhere)
    assert called(main, "kills", "--size", "0.5").code == 0
    assert (tmp_path / ".soak").is_dir()
