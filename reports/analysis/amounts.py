"""Writes effects, margins and p-values in plain units: factors and percentages for logarithms, levels as they are.

The text is plain and contains nothing of a run; arms and outcomes are named by the labels of their question.
"""

import math
from typing import Literal, NamedTuple

from benchmarks.questions import Contrast, Outcome
from benchmarks.statistics.verdicts import Effect

_MINUS = "−"


def effect_scale(outcome: Outcome) -> Literal["ratio", "decades", "level"]:
    """Returns the scale of differences: natural logarithms (ratio), logarithms to base 10 (decades), or neither."""
    if outcome.scale or outcome.reading == "reaching" or outcome.unit == "ln":
        return "ratio"
    return "decades" if outcome.unit == "decades" else "level"


def level_unit(outcome: Outcome) -> str:
    """Returns the unit of a level; "" for a level without one, and for a ratio."""
    return outcome.unit if effect_scale(outcome) == "level" else ""


def is_level(contrast: Contrast) -> bool:
    """Returns whether the number is the level of one arm, compared with a constant, and not a difference."""
    return contrast.control is None and not contrast.outcome.reference and effect_scale(contrast.outcome) == "level"


def describe_outcome(outcome: Outcome) -> str:
    """Returns a heading: `FID with the other noise fed in rather than with the run's own`."""
    return outcome.short_label.removeprefix("the ") + (f" rather than {outcome.reference}" if outcome.reference else "")


def format_figure(value: float, digits: int = 2) -> str:
    """Returns some significant digits, without an exponent, and with a real minus sign."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else _MINUS + "∞"
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{min(places, 6)}f}".replace("-", _MINUS)


def format_p(p: float) -> str:
    """Returns `.03` or `< .0001`; "–" for NaN."""
    if math.isnan(p):
        return "–"
    return "< .0001" if p < 1e-4 else f"{p:.4f}".lstrip("0") if p < 0.01 else f"{p:.2f}".lstrip("0") or "0"


def format_p_equation(p: float) -> str:
    """Returns `p = .03` or `p < .0001`."""
    shown = format_p(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def describe_effect(contrast: Contrast, effect: Effect) -> tuple[str, str]:
    """Returns the shift and its 95 % interval: ("23 % lower", "15 to 30 % lower")."""
    ends = sorted(_unorient(contrast, end) for end in effect.interval)
    shift = _unorient(contrast, effect.shift)
    # Beyond a half or the double, percentages mislead; shift and interval are written in one way.
    factors = any(math.log(2) <= abs(value) < math.inf for value in (*ends, shift))
    first, second = (_make_amount(contrast, end, factors) for end in ends)
    if math.isinf(ends[0]) and ends[0] == ends[1]:
        interval = "".join(first)
    elif (first.before, first.after) == (second.before, second.after):
        # The end nearer to no effect comes first.
        if "lower" in first.before + first.after:
            first, second = second, first
        interval = f"{first.before}{first.figure} to {second.figure}{second.after}"
    elif all(map(math.isinf, ends)):
        interval = "open on both sides"
    else:
        interval = f"{''.join(first)} to {''.join(second)}"
    return "".join(_make_amount(contrast, shift, factors)) if math.isfinite(shift) else "not to be told", interval


def describe_margin(contrast: Contrast) -> str:
    """Returns the smallest difference that matters, in the unit of the effect."""
    scale = effect_scale(contrast.outcome)

    def size(value: float) -> str:
        if scale == "level":
            return f"{format_figure(abs(value))} {level_unit(contrast.outcome)}".rstrip()
        return f"a factor of {_format_factor(math.exp(abs(value)) if scale == 'ratio' else 10 ** abs(value))}"

    low, high = contrast.low, contrast.high
    if is_level(contrast):
        return " and ".join(format_figure(end) for end in sorted({_unorient(contrast, end) for end in (low, high)}))
    if low == high:
        return size(low) if low else "any difference at all"
    return size(high) if low == -high else f"{size(high)}, and {size(low)} below which there is none of it"


class _Amount(NamedTuple):
    """Holds a figure and the words around it: ("", "23", " % lower")."""

    before: str
    figure: str
    after: str


def _make_amount(contrast: Contrast, value: float, factors: bool) -> _Amount:
    """Returns a difference, or a level, in words. factors: writes even a small ratio as a factor."""
    outcome, scale = contrast.outcome, effect_scale(contrast.outcome)
    side = "higher" if value > 0 else "lower"
    unit = f" {level_unit(outcome)}".rstrip()
    if is_level(contrast):
        return _Amount("", format_figure(value), unit)
    if math.isinf(value):
        return _Amount(f"{side} ", "without bound", "")
    if scale == "level":
        return _Amount("", format_figure(abs(value)), f"{unit} {side}")
    if scale == "ratio" and not factors:
        percent = 100 * abs(math.expm1(value))
        return _Amount("", f"{percent:.0f}" if percent >= 9.5 else f"{percent:.1f}", f" % {side}")
    factor = math.exp(min(abs(value), 700)) if scale == "ratio" else 10 ** min(abs(value), 300)
    return _Amount(f"{side} by a factor of ", _format_factor(factor), "")


def _format_factor(factor: float) -> str:
    return f"{factor:.1e}" if factor >= 1e4 else format_figure(factor, 3 if factor < 2 else 2)


def _unorient(contrast: Contrast, value: float) -> float:
    """Returns an oriented difference in the direction of the figure; of a level, the figure itself."""
    return (-value if contrast.outcome.better == "less" else value) + contrast.constant
