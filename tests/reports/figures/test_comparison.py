"""Curves over seeds: finite values, and no more lines in a panel than can be told apart."""

import math
from dataclasses import replace

from reports import figures
from reports.analysis.sections import group_into_sections
from tests.compared_runs import config, lines, record


def test_curves_need_two_epochs_and_leave_out_what_is_not_finite():
    arms = group_into_sections([record(config(seed=seed), {"fid": 5.0 + seed}) for seed in (0, 1)])[0][0].groups
    panels = (figures.Panel("curves", "generator_loss", "generator loss (nats)"),)
    drawn = figures.draw_curves(arms, panels)
    assert drawn == figures.draw_curves(arms, panels)
    assert drawn.startswith(b"<?xml")
    assert b"dc:date" not in drawn
    broken = record(config(), lines=tuple({"epoch": e, "curves": {"generator_loss": math.nan}} for e in (1, 2)))
    short = record(config(), lines=lines({})[:2])
    for run in (broken, short):
        assert figures.draw_curves([replace(arms[0], finished=(run,))], panels) is None


def test_arms_are_spread_over_panels_evenly():
    arms = group_into_sections([record(config(noise_size=size)) for size in range(1, 9)])[0][0].groups
    assert [len(part) for part in figures.split_evenly(arms)] == [4, 4]
    assert [len(part) for part in figures.split_evenly(arms[:6])] == [6]
