"""Other methods: what they tell is read rightly, and the command refuses to go without their packages."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Done
from tests.soak import calibration_page, looks, peers
from tests.soak.__main__ import main

FIGURES = json.loads((calibration_page.DOCS / "calibration.json").read_text()).get("peers", {})


@pytest.mark.parametrize(
    ("interval", "margin", "word"),
    [
        ((0.1, 3.0), 0.0, peers.DIFFERS),
        ((-3.0, -0.1), 0.0, peers.DIFFERS),
        ((-0.1, 0.1), 0.0, peers.OPEN),
        ((1.6, 3.0), 1.5, peers.BEYOND),
        ((-3.0, -1.6), 1.5, peers.BEYOND),
        ((-1.4, 1.4), 1.5, peers.EQUAL),
        ((0.1, 1.6), 1.5, peers.OPEN),
    ],
)
def test_an_interval_tells_what_lies_outside_of_it(interval: tuple[float, float], margin: float, word: str) -> None:
    assert peers.by_interval(*interval, margin) == word


def test_welch_tells_a_large_difference_and_of_twice_the_margin_that_it_is_beyond_it() -> None:
    report = peers.make_report(6 * peers.MARGIN, 0)
    assert peers.welch(report, 0).words == (peers.DIFFERS,) * peers.TREATMENTS
    assert peers.welch(report, 0, margin=peers.MARGIN).words == (peers.BEYOND,) * peers.TREATMENTS
    even = np.tile(np.linspace(-1, 1, 40), (1 + peers.TREATMENTS, 1))
    assert peers.welch(even, 0).words == (peers.OPEN,) * peers.TREATMENTS
    assert peers.welch(even, 0, margin=peers.MARGIN).words == (peers.EQUAL,) * peers.TREATMENTS


def test_figures_count_reports_with_a_wrong_word_and_shares_of_right_ones() -> None:
    def told(*words: str) -> list[peers.Told]:
        return [peers.Told((word, peers.OPEN)) for word in words]

    by_truth = {
        "no effect": told(peers.BEYOND, peers.EQUAL, peers.OPEN, peers.LESS),
        "margin": told(peers.BEYOND, peers.EQUAL, peers.LESS, peers.DIFFERS),
        "twice": told(peers.BEYOND, peers.DIFFERS, peers.OPEN, peers.OPEN),
    }
    assert peers.describe(by_truth, has_margin=True) == {
        "reports": 4,
        "wrong_at_no_effect": 0.25,
        "wrong_at_the_margin": 0.75,
        "equal_at_no_effect": 0.125,
        "found_at_twice": 0.125,
        "seeds": [10.0] * 3,
    }
    without = peers.describe(by_truth, has_margin=False)
    assert (without["wrong_at_the_margin"], without["equal_at_no_effect"]) == (None, None)
    assert without["found_at_twice"] == 0.125


def test_the_figures_of_this_project_are_those_of_its_looks() -> None:
    found = peers.measure_ours(looks.DESIGNS["fixed, 10 seeds"], 60)
    assert found["reports"] == 60
    assert found["seeds"] == [10.0] * 3
    assert found["wrong_at_the_margin"] <= 0.15
    assert 0.2 < found["equal_at_no_effect"] < 0.8


def test_the_kept_figures_are_of_every_method_and_ours_are_as_promised() -> None:
    ours, others = FIGURES["rows"][:2], FIGURES["rows"][2:]
    assert [row["name"] for row in others] == [peer.name for peer in peers.PEERS]
    assert [row["reports"] for row in others] == [peer.reports for peer in peers.PEERS]
    for row in ours:
        assert max(row["wrong_at_no_effect"], row["wrong_at_the_margin"]) <= 0.05 + 3 * (0.05 / row["reports"]) ** 0.5
    assert set(FIGURES["versions"]) == set(peers.PACKAGES)


def test_without_the_packages_one_sentence_says_where_they_are_named(
    called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "PACKAGES", ("no-such-package",))
    done = called(main, "peers", "--size", "0.1", "--work", str(tmp_path))
    assert done.code == 2
    assert done.err == "error: no-such-package is not installed; tests/soak/peers.py says how to add it for this\n"
