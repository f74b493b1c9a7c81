"""Curves over seeds: finite values, and no more lines in a panel than can be told apart."""

import math

from reports.figures.training import Curve, Line, band, draw_training, drawable, split_evenly
from tests.compared_runs import config, lines, record

LOSS = Curve("curves/generator_loss", "generator loss (nats)")


def test_curves_need_two_epochs_and_leave_out_what_is_not_finite():
    line = Line("one", [record(config(seed=seed), {"fid": 5.0 + seed}) for seed in (0, 1)])
    assert drawable([line], LOSS) == [[line]]
    drawn = draw_training([(LOSS, [line])])
    assert drawn == draw_training([(LOSS, [line])])
    assert drawn.startswith(b"<?xml")
    assert b"dc:date" not in drawn
    broken = record(config(), lines=tuple({"epoch": e, "curves": {"generator_loss": math.nan}} for e in (1, 2)))
    short = record(config(), lines=lines({})[:2])
    for run in (broken, short):
        assert band(Line("none", [run]), LOSS.figure) is None
        assert drawable([Line("none", [run])], LOSS) == []


def test_a_band_lies_between_the_quartiles_at_the_updates_of_each_epoch():
    runs = [record(config(seed=seed), lines=lines({}, offset=seed)) for seed in range(5)]
    found = band(Line("five", runs), LOSS.figure)
    assert found.updates.tolist() == [10, 20, 30]
    assert found.median.tolist() == [3.75, 3.5, 3.25]
    assert (found.median - found.low).tolist() == (found.high - found.median).tolist() == [1.0] * 3


def test_lines_are_spread_over_panels_evenly():
    assert [len(part) for part in split_evenly(range(8))] == [4, 4]
    assert [len(part) for part in split_evenly(range(6))] == [6]
