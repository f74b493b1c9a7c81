"""Outcomes, effects and verdicts in the words of a student: factors and shares for logarithms, and what follows.

All of it is plain text in our own wording, about arms and outcomes in the words of their question.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.questions import Contrast, Outcome
from benchmarks.questions.outcomes import EARLY, LAST, LATE, count_epochs, count_evaluations
from benchmarks.suites.plan import Plan, PlannedContrast
from reports.analysis.answers import Answer, smallest_group
from reports.analysis.statistics import MOST_SEEDS
from reports.analysis.verdicts import (
    CONTRADICTED,
    DECIDING_SEEDS,
    FEWEST_SEEDS,
    IN_BETWEEN,
    NO_DIFFERENCE,
    NO_VERDICT,
    NOT_TESTED,
    SUPPORTED,
    UNDETERMINED,
    Effect,
    Verdict,
)

MINUS = "−"


def as_read(plan: Plan, part: PlannedContrast) -> tuple[str, ...]:
    """Tells what stands for a share of a run, where it is another share, as ends of sentences; () elsewhere.

    `the first 2 % of the updates are the first epoch, 5 % of them`. Journals have a line an epoch, and evaluations are
    few, so that a small share of a short run is none of them exactly.
    """
    said: dict[str, list[str]] = {}
    for arm, _, until in part.sides:
        count = len(plan.arm(arm.name).evaluated_epochs(until, part.reads_curves))
        said.setdefault(_share_read(part.contrast.outcome.reading, count), []).append(arm.label)
    if len(said) == 1:
        return tuple(sentence for sentence in said if sentence)
    return tuple(f"with {' and '.join(words)}, {sentence}" for sentence, words in said.items() if sentence)


def _share_read(reading: str, count: int) -> str:
    """What a reading takes of so many epochs, or evaluations, where it is not the share that its words name."""
    share = {"early": EARLY, "rise": EARLY, "change": LAST, "late": LATE}.get(reading)
    if share is None or not count:
        return ""
    read = count_evaluations(count) if reading == "late" else count_epochs(share, count)
    if abs(read / count - share) < 0.005:
        return ""
    if reading == "late":
        return f"the last quarter of training is the last{f' {read}' if read > 1 else ''} of {count} evaluations"
    named, place = ("the last tenth", "last") if reading == "change" else ("the first 2 %", "first")
    epochs = f"the {place} epoch" if read == 1 else f"the {place} {read} epochs"
    return f"{named} of the updates are {epochs}, {100 * read / count:.2g} % of them"


def kind(outcome: Outcome) -> Literal["ratio", "decades", "level"]:
    """How a difference is told: as a factor of natural logarithms, of logarithms to base 10, or as it is."""
    if outcome.scale or outcome.reading == "reaching" or outcome.unit == "ln":
        return "ratio"
    return "decades" if outcome.unit == "decades" else "level"


def unit(outcome: Outcome) -> str:
    """Of a level; "" for one that has none, and for a ratio."""
    return outcome.unit if kind(outcome) == "level" else ""


def is_level(contrast: Contrast) -> bool:
    """Whether its number is a level and no difference: that of one arm, held against a constant."""
    return contrast.control is None and not contrast.outcome.reference and kind(contrast.outcome) == "level"


def compared(outcome: Outcome) -> str:
    """What is compared, as a heading: `FID with the other noise fed in rather than with the run's own`."""
    return outcome.short_label.removeprefix("the ") + (f" rather than {outcome.reference}" if outcome.reference else "")


def figure(value: float, digits: int = 2) -> str:
    """Some significant digits, without an exponent, and with a real minus sign."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{min(places, 6)}f}"
    return text.replace("-", MINUS)


def p_value(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< .0001" if p < 1e-4 else f"{p:.4f}".lstrip("0") if p < 0.01 else f"{p:.2f}".lstrip("0") or "0"


def equals_p(p: float) -> str:
    """`p = .03`, `p < .0001`."""
    shown = p_value(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def raw(contrast: Contrast, value: float) -> float:
    """An oriented difference as one of the figure itself; of one arm against a constant, the figure itself."""
    turned = -value if contrast.outcome.better == "less" else value
    return turned + contrast.constant


@dataclass(frozen=True)
class Amount:
    """A figure and the words round it: ("", "23", " % lower")."""

    before: str
    figure: str
    after: str

    def __str__(self) -> str:
        return f"{self.before}{self.figure}{self.after}"


def amount(contrast: Contrast, value: float, factors: bool = False) -> Amount:
    """A raw difference in words. Of one arm against a constant it is the level itself.

    factors: tells a ratio as a factor even where it is small enough for a share of a hundred.
    """
    outcome, told = contrast.outcome, kind(contrast.outcome)
    side = " higher" if value > 0 else " lower"
    if is_level(contrast):
        return Amount("", figure(value), f" {unit(outcome)}".rstrip())
    if math.isinf(value):
        return Amount(f"{side.strip()} ", "without bound", "")
    if told == "level":
        return Amount("", figure(abs(value)), f" {unit(outcome)}".rstrip() + side)
    if told == "ratio" and not factors:
        share = 100 * abs(math.expm1(value))
        return Amount("", f"{share:.0f}" if share >= 9.5 else f"{share:.1f}", f" %{side}")
    factor = math.exp(min(abs(value), 700)) if told == "ratio" else 10 ** min(abs(value), 300)
    return Amount(f"{side.strip()} by a factor of ", _factor(factor), "")


def _factor(factor: float) -> str:
    return f"{factor:.1e}" if factor >= 1e4 else figure(factor, 3 if factor < 2 else 2)


def effect_amount(contrast: Contrast, effect: Effect) -> tuple[str, str]:
    """The shift and its 95 % interval in words: ("23 % lower", "15 to 30 % lower")."""
    ends = sorted(raw(contrast, end) for end in effect.interval)
    # Beyond a half or the double a share of a hundred misleads; all of an effect is told in one way.
    factors = any(math.log(2) <= abs(value) < math.inf for value in (*ends, raw(contrast, effect.shift)))
    first, second = (amount(contrast, end, factors) for end in ends)
    if math.isinf(ends[0]) and ends[0] == ends[1]:
        interval = str(first)
    elif (first.before, first.after) == (second.before, second.after):
        # The one that is nearer to none first.
        if "lower" in first.before + first.after:
            first, second = second, first
        interval = f"{first.before}{first.figure} to {second.figure}{second.after}"
    elif all(map(math.isinf, ends)):
        interval = "open on both sides"
    else:
        interval = f"{first} to {second}"
    shift = raw(contrast, effect.shift)
    return str(amount(contrast, shift, factors)) if math.isfinite(shift) else "not to be told", interval


def effect_sentence(contrast: Contrast, effect: Effect) -> str:
    """`FID is 23 % lower with packing than with the plain GAN (95 % interval: 15 to 30 % lower).`"""
    noun, than = contrast.outcome.short_label, contrast.outcome.reference
    shift, interval = effect_amount(contrast, effect)
    arm, why = contrast.treatment.label, "because too many runs failed or never got there"
    if contrast.control is not None:
        control = "the same with other seeds" if contrast.other_seeds else f"with {contrast.control.label}"
        said = f"{noun} is " + (
            f"{shift} with {arm} than {control}" if effect.shift else f"the same with {arm} as {control}"
        )
        unknown = f"how much lower or higher {noun} is with {arm} than {control} cannot be told, {why}"
    else:
        said = f"{noun} is {shift}" + (f" than {than}" if than else "") + f" ({arm})"
        unknown = f"how far {noun} is shifted cannot be told, {why} ({arm})"
    said = said if math.isfinite(effect.shift) else unknown
    return f"{said[:1].upper()}{said[1:]}; 95 % interval: {interval}."


def short_effects(answer: Answer) -> str:
    """For a table: `FID: 23 % lower (15 to 30 % lower)`; of several parts each with its arms."""
    said = []
    for part, effect in zip(answer.planned.contrasts, answer.verdict.effects, strict=True):
        contrast = part.contrast
        shift, interval = effect_amount(contrast, effect)
        noun = contrast.outcome.short_label.removeprefix("the ")
        if len(answer.planned.contrasts) > 1:
            control = f" against {contrast.control.label}" if contrast.control is not None else ""
            noun += f" ({contrast.treatment.label}{control})"
        said.append(f"{noun}: {shift} ({interval})")
    return "; ".join(said)


def margin(contrast: Contrast) -> str:
    """How much is held to matter, in the unit of the effect."""
    told = kind(contrast.outcome)

    def size(value: float) -> str:
        if told == "level":
            return f"{figure(abs(value))} {unit(contrast.outcome)}".rstrip()
        return f"a factor of {_factor(math.exp(abs(value)) if told == 'ratio' else 10 ** abs(value))}"

    low, high = contrast.low, contrast.high
    if is_level(contrast):
        ends = sorted({raw(contrast, low), raw(contrast, high)})
        return " and ".join(figure(end) for end in ends)
    if low == high:
        return size(low) if low else "any difference at all"
    return size(high) if low == -high else f"{size(high)}, and {size(low)} below which there is none of it"


def conclusion(answer: Answer) -> str:
    """What follows from a verdict, in one or two sentences."""
    verdict, contrasts = answer.verdict, answer.planned.decision.contrasts
    if answer.outcome == NOT_TESTED:
        return f"Not tested: {answer.why_not}."
    if verdict is None:
        return f"There is no verdict: {answer.why_not}."
    outcome, first = verdict.outcome, contrasts[0]
    size = margin(first)
    turned = f"; {reversal(verdict)}" if verdict.reversed_by else ""
    # Of several necessary parts the margin of one says little, and any one of them can bring the claim down.
    if len(contrasts) > 1 and outcome in (SUPPORTED, CONTRADICTED, NO_DIFFERENCE, IN_BETWEEN):
        fallen = {
            SUPPORTED: f"So all that the claim needs holds here{turned}.",
            CONTRADICTED: f"One of the parts that it needs does not hold, so the claim is contradicted here{turned}.",
        }
        return fallen.get(outcome, f"Of one of the parts that it needs there is {outcome}.")
    not_worse = first.low == first.high < 0 and first.control is not None
    if outcome == NO_VERDICT:
        return f"There is no verdict: fewer than {FEWEST_SEEDS} seeds an arm have run."
    if outcome == SUPPORTED:
        if verdict.better:
            return f"So they differ by more than what was held to matter ({size}): better is {verdict.better}{turned}."
        if first.claims == "inside":
            return f"So it stays within what was held not to matter ({size})."
        if not_worse:
            return f"So it is not worse by as much as was held to matter ({size}){turned}."
        return f"So the claim holds here, by more than what was held to matter ({size}){turned}."
    if outcome == CONTRADICTED:
        if first.claims == "inside":
            return f"So it lies outside of what was held not to matter ({size})."
        if first.low > 0:
            return f"So there is none of it here, or next to none ({size}){turned}."
        if not_worse:
            return f"So it is worse, by more than what was held to matter ({size}){turned}."
        return f"So the opposite of the claim holds here, by more than what was held to matter ({size}){turned}."
    if outcome == NO_DIFFERENCE:
        return f"So what difference there is, is smaller than what was held to matter ({size})."
    if outcome == IN_BETWEEN:
        return f"So there is less of it than was claimed ({size})."
    return f"So these runs cannot tell. {settling(answer)}"


def settling(answer: Answer) -> str:
    """How many seeds would settle what is undetermined."""
    verdict = answer.verdict
    if verdict is None or verdict.seeds_to_settle is None:
        return ""
    if math.isnan(verdict.seeds_to_settle):
        return "Runs that failed forbid to say how many seeds would settle it."
    if math.isinf(verdict.seeds_to_settle):
        return f"It would take more than {MOST_SEEDS} seeds an arm to settle it, if the effect is what it looks like."
    return (
        f"About {verdict.seeds_to_settle:.0f} seeds an arm would settle it, if the effect is what it looks like; "
        f"these are {smallest_group(verdict)}."
    )


def certainty(answer: Answer, tests: int) -> str:
    """How sure the verdict is: seeds, p, correction, and what makes it fragile."""
    verdict = answer.verdict
    if verdict is None or verdict.outcome == NO_VERDICT:
        return ""
    parts = []
    if verdict.deciding:
        parts.append(
            f"{smallest_group(verdict)} seeds an arm; {equals_p(verdict.adjusted)} after the correction for all "
            f"{tests} tests of the report ({p_value(verdict.p)} before it)"
        )
        if verdict.raw not in (verdict.outcome, UNDETERMINED):
            parts.append(f"taken alone, the numbers would say: {verdict.raw}")
    else:
        parts.append(
            f"a raw verdict: with {smallest_group(verdict)} seeds an arm, fewer than {DECIDING_SEEDS}, it takes no "
            f"part in the correction ({equals_p(verdict.p)})"
        )
    if verdict.fragile_by:
        parts.append(f"fragile: it would be {fragile_by(verdict)}")
    else:
        parts.append("not fragile: no other way to decide changes it")
    if verdict.unchecked:
        parts.append("not tried: " + "; ".join(f"{way} ({why})" for way, why in verdict.unchecked))
    said = ". ".join(part[:1].upper() + part[1:] for part in parts)
    return f"{said}."


def fragile_by(verdict: Verdict) -> str:
    """`undetermined with half the margin or with the last checkpoint; supported with classifier 1 alone`.

    Where the verdict names a better arm, another way that names one too is told with it.
    """
    ways: dict[str, list[str]] = {}
    for other in verdict.fragile_by:
        better = f" (better: {other.better})" if other.better else ""
        ways.setdefault(other.outcome + better, []).append(f"with {other.way}")
    return "; ".join(f"{outcome} {' or '.join(found)}" for outcome, found in ways.items())


def reversal(verdict: Verdict) -> str:
    """By what the opposite would be decided: `with pixels, without a classifier, the other arm is the better one`."""
    ways = " or ".join(f"with {other.way}" for other in verdict.reversed_by)
    if not ways:
        return ""
    said = "the other arm is the better one" if verdict.better else f"it is {verdict.reversed_by[0].outcome}"
    return f"{ways}, {said}"


def failures_differ(effects: Sequence[Effect]) -> str:
    """Where one side fails more often than the other, by Fisher's test at 5 %; "" elsewhere."""
    for effect in effects:
        if effect.failure_p is not None and effect.failure_p <= 0.05:
            failed = " and ".join(
                f"{count} of {seeds}" for count, seeds in zip(effect.failed, effect.seeds, strict=True)
            )
            return (
                f"{failed} of the runs of {effect.contrast.treatment} and of {effect.contrast.control} failed or "
                f"never got there: the rates differ (Fisher, {equals_p(effect.failure_p)})."
            )
    return ""
