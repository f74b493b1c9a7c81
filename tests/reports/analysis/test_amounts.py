"""Effects and margins in words: plain units, on the side that is meant."""

import math
from dataclasses import replace

import pytest

from benchmarks.questions import QUESTIONS, load_question
from reports.analysis.amounts import describe_effect, describe_margin, effect_scale
from tests.made_runs import decided, effect, fid, made, page, smoke


@pytest.mark.parametrize(
    ("better", "scale", "shift", "interval", "said"),
    [
        ("less", "ln", math.log(1.25), (math.log(1.1), math.log(1.6)), ("20 % lower", "9.1 to 38 % lower")),
        ("less", "ln", -0.1, (-0.2, 0.1), ("11 % higher", "10 % lower to 22 % higher")),
        ("less", "ln", math.log(4), (0.1, 2.0), ("lower by a factor of 4.0", "lower by a factor of 1.11 to 7.4")),
        ("more", "", 0.12, (-0.034, 0.2), ("0.12 higher", "0.034 lower to 0.20 higher")),
        ("more", "", 0.12, (-math.inf, 0.2), ("0.12 higher", "lower without bound to 0.20 higher")),
    ],
)
def test_effects_are_told_in_plain_units(better: str, scale: str, shift: float, interval: tuple, said: tuple):
    plan = smoke("mode_collapse")
    contrast = plan.decisions[0].contrasts[0].contrast
    told = replace(contrast.outcome, better=better, scale=scale, figures=("metrics/of_a_plugin",))
    contrast = replace(contrast, outcome=told)
    found = replace(effect(decided(plan, made(plan)), "B1-eight"), shift=shift, interval=interval)
    assert describe_effect(contrast, found) == said


def test_an_effect_that_cannot_be_told_names_both_arms():
    """The runs that failed may be of either."""
    plan = smoke("discriminator_layers")
    runs = made(plan, {"conditional": fid(10), "conv-discriminator": fid(30)})
    arm = plan.arm("conv-discriminator")
    runs = [replace(run, state="FAILED") if arm.matches(run.config) and run.config.seed < 7 else run for run in runs]
    told = page(decided(plan, runs), "discriminator_layers")
    assert "How much lower or higher FID is with conditional GAN, linear layers than with" in told
    assert "cannot be told, because too many runs failed or never got there; 95 % interval: lower without bound" in told
    runs = [replace(run, state="FAILED") if arm.matches(run.config) else run for run in runs]
    assert "95 % interval: lower without bound." in page(decided(plan, runs), "discriminator_layers")


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_outcome_of_our_questions_has_words(name: str):
    for decision in load_question(name).decisions:
        for contrast in decision.contrasts:
            outcome = contrast.outcome
            assert "ln" not in outcome.short_label.split()
            assert describe_margin(contrast)
            # A change within runs says what it is held against, and so does a ratio.
            assert contrast.control is not None or outcome.reference or effect_scale(outcome) == "level"
