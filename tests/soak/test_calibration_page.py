"""The page of the calibration is made of its figures, and these keep what is promised."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.statistics.looks import ALPHA
from benchmarks.statistics.ranks import studentised_tails, two_groups
from tests.soak import calibration as c
from tests.soak import calibration_page as page
from tests.soak import looks, shapes

FIGURES: dict[str, Any] = json.loads((page.DOCS / "calibration.json").read_text())


def limit(share: float, draws: int) -> float:
    """Three standard errors above a promised share."""
    return share + 3 * (share * (1 - share) / draws) ** 0.5


@pytest.mark.long
def test_a_small_size_writes_the_same_page_and_figures_again_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c, "SEEDS", (5, 6, 7, 8))
    monkeypatch.setattr(c, "DISTANCES", (1.5,))
    monkeypatch.setattr(looks, "SUITES", {1: 2000, 10: 2000})
    monkeypatch.setattr(shapes, "SIZES", ((5, 6),))
    said: list[str] = []
    found = [page.calibration(tmp_path / place, 0.001, said.append) for place in ("a", "b")]
    assert found[0] == found[1]
    assert found[0]["suites"] == 4
    first, second = ((tmp_path / place / "calibration.json").read_text() for place in ("a", "b"))
    assert first == second
    figures = json.loads(first)
    assert (tmp_path / "a" / "calibration.md").read_text() == page.render_page(figures)
    assert figures["fewest_seeds"]["40"] == {"two groups": 7, "one group": 11}
    assert all(0 <= share <= 1 for shares in figures["coverage"].values() for share in shares)
    said.clear()
    assert page.calibration(tmp_path / "a", 0.001, said.append) == found[0]
    assert [line.partition(" ")[0] for line in said] == ["wrote", "wrote"]


def test_figures_of_one_part_leave_those_of_another(tmp_path: Path) -> None:
    page.write_figures({**FIGURES, "looks": []}, tmp_path, lambda line: None)
    page.write_figures({"shapes": FIGURES["shapes"][:1]}, tmp_path, lambda line: None)
    kept = json.loads((tmp_path / "calibration.json").read_text())
    assert kept == {**FIGURES, "looks": [], "shapes": FIGURES["shapes"][:1]}


def test_the_committed_page_is_made_of_the_committed_figures() -> None:
    assert (page.DOCS / "calibration.md").read_text() == page.render_page(FIGURES)


def test_single_looks_keep_what_is_promised() -> None:
    suites = FIGURES["plan"]["suites"]
    assert suites >= 4000
    for by_shape in FIGURES["wrong_suites"].values():
        assert all(share <= limit(ALPHA, suites) for shape in c.SHAPES for share in by_shape[shape].values())
    tied = limit(ALPHA, FIGURES["plan"]["tied_comparisons"])
    assert all(found["wrong"] <= tied for by_outcome in FIGURES["tied"].values() for found in by_outcome.values())
    assert all(0.93 <= share <= 0.98 for shape in c.SHAPES for share in FIGURES["coverage"][shape])


def test_looks_keep_what_is_promised_for_every_truth_design_and_number_of_tests() -> None:
    rows = FIGURES["looks"]
    assert [(row["tests"], row["truth"], row["shape"], row["design"]) for row in rows] == [
        (row.tests, row.truth, row.shape, row.design) for row in looks.list_rows()
    ]
    for row in rows:
        assert row["suites"] >= looks.SUITES[row["tests"]]
        assert max(row["wrong"], row["wrong_signs"]) <= limit(ALPHA, row["suites"]), row
        assert row["either"] <= row["wrong"] + row["wrong_signs"] + 1e-9
    # They settle what can be settled: more than as many seeds at one look, where there are many tests.
    at = {(row["tests"], row["truth"], row["shape"], row["design"]): row for row in rows}
    for truth in ("no effect", "mixed: none, at a margin, twice it"):
        fixed, looked = (at[60, truth, "normal", name] for name in ("fixed, 20 seeds", "looks at 10, 20, 40, 80"))
        assert looked["settled"] > fixed["settled"]


def test_equal_shapes_keep_what_is_promised_whatever_the_sizes_and_ties() -> None:
    rows = FIGURES["shapes"]
    assert {row["pair"] for row in rows} == {pair.name for pair in shapes.PAIRS}
    for row in rows:
        if row["pair"] in ("equal shapes", "modes of 8 in both"):
            assert row["ranks"] <= limit(ALPHA, row["comparisons"]), row
    # The page says which is nearer to 5 % where the smaller group spreads more.
    (worst,) = [
        row
        for row in rows
        if row["pair"] == "the treatment spreads 3 times as much" and (row["treatment"], row["control"]) == (10, 20)
    ]
    assert worst["ranks"] > worst["studentised"] > ALPHA


def test_many_comparisons_at_once_have_the_p_of_the_functions_that_decide() -> None:
    random = np.random.default_rng(5)
    treatment, control = random.normal(0.8, 2, (12, 8)), random.normal(0, 1, (12, 11))
    ranks, studentised = shapes.rank_sum_p(treatment, control), shapes.studentised_p(treatment, control)
    for place in range(12):
        exact = two_groups(treatment[place], control[place]).tails(0.0)
        assert ranks[place] == pytest.approx(min(1.0, 2 * min(exact)))
        drawn = studentised_tails(treatment[place], control[place])(0.0)
        # Both draw permutations, 200,000 and 9,999 of them.
        assert studentised[place] == pytest.approx(min(1.0, 2 * min(drawn)), abs=0.025)
    assert ranks.min() < 0.1 < ranks.max()


@pytest.mark.parametrize("pair", shapes.PAIRS, ids=lambda pair: pair.name)
def test_the_true_shift_is_the_median_difference(pair: shapes.Pair) -> None:
    shift = shapes.true_shift(pair, np.random.default_rng(0))
    random = np.random.default_rng(1)
    above = pair.treatment(random, (200_000,)) - pair.control(random, (200_000,)) - shift
    assert np.mean(above > 0) + np.mean(above == 0) / 2 == pytest.approx(0.5, abs=0.01 if not pair.tied else 0.05)
