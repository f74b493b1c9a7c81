"""Decides tests from the numbers of runs, corrects them for their number, and tries other ways to decide.

A `DecidingTest` is one thing that a claim says: one contrast, or several that are all necessary. Its margins, its
direction and the number of all tests are fixed before there are any numbers. docs/method.md has the reasons.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from benchmarks.statistics.blocks import stratified
from benchmarks.statistics.looks import ALPHA, CONFIDENCE, Looks, bonferroni, holm, is_hopeless
from benchmarks.statistics.ranks import (
    MOST_SEEDS,
    Interval,
    Shift,
    ThreeSided,
    deviation_within,
    failure_p,
    one_group,
    seeds_to_settle,
    studentised_tails,
    three_sided,
    two_groups,
    welch_tails,
)

SUPPORTED, CONTRADICTED, UNDETERMINED = "supported", "contradicted", "undetermined"
NO_DIFFERENCE, IN_BETWEEN, NO_VERDICT = "no practical difference", "less than claimed", "no verdict"
BETTER = "better; whether by more than what matters is open"
WORSE = "worse; whether by more than what matters is open"
"""Outcomes of tests that are judged at looks and stay open: the interval says the sign, and not the size."""
NOT_TESTED = "not tested"
"""Outcome where a construct check fails, so that the numbers are not about the claim."""

OUTCOMES = (
    SUPPORTED,
    CONTRADICTED,
    NO_DIFFERENCE,
    IN_BETWEEN,
    BETTER,
    WORSE,
    UNDETERMINED,
    NOT_TESTED,
    NO_VERDICT,
)
"""In the order in which a page lists them."""

FEWEST_SEEDS = 5
"""Fewer seeds an arm give no verdict."""
DECIDING_SEEDS = 10
"""Fewer seeds an arm give a raw verdict, which is marked and takes no part in the correction."""

HALF_MARGIN, DOUBLE_MARGIN, WELCH = "half the margin", "double the margin", "Welch's test instead of ranks"
STUDENTISED = "a permutation test for unequal shapes"


@dataclass(frozen=True)
class DecidingContrast:
    """Defines a treatment against a control, or one group against zero, on one metric, with margins."""

    name: str
    metric: str
    """Description of a run's number."""
    treatment: str
    control: str
    """"" for contrasts within runs, and for differences from a constant."""
    low: float
    """Lower margin in the unit of the metric: −δ as a rule and for "not worse by δ", 0 for "at all"."""
    high: float
    """Upper margin: δ as a rule, −δ for "not worse by δ", 0 for "at all"."""
    claims: Literal["above", "inside", "different"] = "above"
    """Place of the claimed shift: above both margins, between them, or outside on either side."""

    @property
    def neither(self) -> str:
        """Outcome of a shift between the margins, where the claim is that it lies outside."""
        return NO_DIFFERENCE if self.low <= 0 <= self.high else IN_BETWEEN


@dataclass(frozen=True)
class Numbers:
    """Holds one number a run: larger is better, a failed run is −∞.

    Raises ValueError for blocks that are not those of the values.
    """

    treatment: tuple[float, ...]
    control: tuple[float, ...] | None = None
    """None for a single group."""
    treatment_blocks: tuple[int, ...] = ()
    """Block of each value, such as the place of its learning rate; () where there are no blocks."""
    control_blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for group, blocks in ((self.treatment, self.treatment_blocks), (self.control or (), self.control_blocks)):
            if len(blocks) not in (0, len(group)):
                raise ValueError(f"{len(group)} values have {len(blocks)} blocks")

    @property
    def seeds(self) -> int:
        """Number of seeds of the smaller group."""
        return min(len(group) for group in self.groups)

    @property
    def groups(self) -> tuple[tuple[float, ...], ...]:
        return (self.treatment,) if self.control is None else (self.treatment, self.control)

    @property
    def by_block(self) -> tuple[tuple[tuple[float, ...], ...], ...]:
        """The groups of each block, in the order of blocks; one block where there are none."""
        blocks = (self.treatment_blocks, self.control_blocks)
        labels = sorted({label for each in blocks for label in each})
        if not labels:
            return (self.groups,)
        return tuple(
            tuple(
                tuple(value for value, own in zip(group, each, strict=True) if own == label)
                for group, each in zip(self.groups, blocks, strict=False)
            )
            for label in labels
        )

    @property
    def without_blocks(self) -> "Numbers":
        """The same numbers less the mean of their block, in one block; a block with a failed run keeps its mean."""
        if not self.treatment_blocks or self.control is None:
            return self
        centred: tuple[list[float], list[float]] = ([], [])
        for block in self.by_block:
            finite = [[value for value in group if math.isfinite(value)] for group in block]
            middle = fmean(fmean(group) for group in finite) if all(finite) else 0.0
            for values, group in zip(centred, block, strict=True):
                values += [value - middle for value in group]
        return Numbers(*map(tuple, centred))


@dataclass(frozen=True)
class DecidingTest:
    """Defines one of the report's deciding tests: contrasts that are all necessary, with their numbers."""

    name: str
    claim: str
    parts: tuple[tuple[DecidingContrast, Numbers], ...]
    alternatives: Mapping[str, Mapping[str, Numbers]] = field(default_factory=dict)
    """Numbers by other ways to decide, such as "the other extractor", and by the name of the contrast."""

    @property
    def seeds(self) -> int:
        """Number of seeds of the smallest group."""
        return min(numbers.seeds for _, numbers in self.parts)


@dataclass(frozen=True)
class Effect:
    """Holds what the numbers of one contrast say."""

    contrast: DecidingContrast
    shift: float
    """Hodges–Lehmann estimate."""
    interval: Interval
    """At 95 %; of tests that are judged at looks the repeated interval, which holds whenever they stop."""
    wide: Interval
    """Corrected for the number of tests; of tests that are judged at looks, the repeated interval."""
    p: ThreeSided
    """For a shift above, inside and below the margins."""
    seeds: tuple[int, ...]
    """Numbers of runs of the treatment, and of the control if there is one."""
    failed: tuple[int, ...]
    """Numbers of failed runs among them."""
    failure_p: float | None
    """For both failing at the same rate."""

    @property
    def failures(self) -> tuple[tuple[int, int], ...]:
        """Failed runs and all runs, of each group."""
        return tuple(zip(self.failed, self.seeds, strict=True))

    @property
    def failures_differ(self) -> bool:
        """Whether one group fails more often than the other, by Fisher's test at 5 %."""
        return self.failure_p is not None and self.failure_p <= 0.05


@dataclass(frozen=True)
class Alternative:
    """Holds the outcome of another way to decide."""

    way: str
    outcome: str
    better: str = ""
    """Arm that it finds better, as in a Verdict."""


@dataclass(frozen=True)
class Verdict:
    """Holds the decision of one test."""

    test: str
    claim: str
    effects: tuple[Effect, ...]
    raw: str
    """Outcome of the numbers alone."""
    outcome: str
    """Outcome after the correction over all tests."""
    deciding: bool
    """Whether the test had the seeds to take part in the correction; else the outcome is the raw one."""
    p: float
    """NaN without one."""
    adjusted: float
    """p after the correction; NaN without one."""
    better: str = ""
    """Arm for which a claim of a difference is supported."""
    seeds_to_settle: float | None = None
    """Seeds an arm that would settle an undetermined verdict: infinite for more than 100, NaN where failed runs forbid
    an estimate, None for a settled verdict."""
    fragile_by: tuple[Alternative, ...] = ()
    """Other ways to decide that change the outcome or the better arm."""
    unchecked: tuple[tuple[str, str], ...] = ()
    """Other ways to decide that could not be tried, with the reason."""
    look: int = 0
    """Look that the verdict comes from, counted from 1; 0 where there is only one."""

    @property
    def seeds(self) -> int:
        """Number of seeds of the smallest group that decides."""
        return min((seeds for effect in self.effects for seeds in effect.seeds), default=0)

    @property
    def shown_p(self) -> float:
        """The p that a table shows: corrected where the verdict is in the correction, else raw."""
        return self.p if math.isnan(self.adjusted) else self.adjusted

    @property
    def fragile(self) -> bool:
        return bool(self.fragile_by)

    @property
    def fragile_findings(self) -> list[tuple[tuple[str, str], list[Alternative]]]:
        """Other ways to decide, grouped by their outcome and the arm that they find better."""
        found: dict[tuple[str, str], list[Alternative]] = {}
        for other in self.fragile_by:
            found.setdefault((other.outcome, other.better), []).append(other)
        return list(found.items())

    @property
    def reversed_by(self) -> tuple[Alternative, ...]:
        """Other ways to decide that find the opposite: the other arm better, or contradicted instead of supported.

        Another margin reverses no sign, and a claim of no difference has none.
        """
        if any(effect.contrast.claims == "inside" for effect in self.effects):
            return ()
        opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(self.outcome)
        return tuple(
            other
            for other in self.fragile_by
            if other.way not in (HALF_MARGIN, DOUBLE_MARGIN)
            and (other.outcome == opposite or (self.better and other.better and other.better != self.better))
        )


@dataclass(frozen=True)
class RawVerdict:
    """Holds the outcome of a test before the correction."""

    outcome: str
    p: float
    better: str = ""


def decide(
    tests: Sequence[DecidingTest],
    planned: int = 0,
    *,
    level: float = ALPHA,
    fewest: int = DECIDING_SEEDS,
    look: int = 0,
    others: bool = True,
) -> tuple[Verdict, ...]:
    """Decides tests that share an error: by Holm's correction, and at one of several looks by Bonferroni's.

    planned: number of tests that the correction counts; missing ones take their share and decide nothing. level: the
    error. fewest: seeds without which a test takes no part in the correction. look: number of the look, whose open
    tests get words from their intervals; see `statistics.looks`. others: try other ways to decide. Raises ValueError
    where two tests have one name, and for a value that is NaN.
    """
    if len({test.name for test in tests}) < len(tests):
        raise ValueError("two tests have the same name")
    # The number of tests is fixed before the runs, so those with too few seeds by now count as well.
    family = max(len(tests), planned)
    raws = {test.name: raw_verdict(_three_sided(test.parts)) for test in tests if test.seeds >= FEWEST_SEEDS}
    deciding = [test.name for test in tests if test.seeds >= fewest]
    correct = bonferroni if look else holm
    confidence = 1 - level / max(family, 1)

    def corrected(name: str, raw: RawVerdict) -> tuple[str, float]:
        """Returns the outcome and the adjusted p of a test with this raw verdict."""
        if name not in deciding:
            return raw.outcome, math.nan
        p_values = [raw.p if other == name else raws[other].p for other in deciding]
        adjusted = correct(p_values, family)[deciding.index(name)]
        return (raw.outcome if adjusted <= level else UNDETERMINED), adjusted

    verdicts = []
    for test in tests:
        effects = tuple(_effect(contrast, numbers, confidence, look) for contrast, numbers in test.parts)
        if test.name not in raws:
            verdicts.append(
                Verdict(test.name, test.claim, effects, NO_VERDICT, NO_VERDICT, False, math.nan, math.nan, look=look)
            )
            continue
        raw = raws[test.name]
        outcome, adjusted = corrected(test.name, raw)
        ways, unchecked = _alternatives(test, shapes=look > 0) if others else ({}, {})
        better = raw.better if outcome == SUPPORTED else ""
        found = [Alternative(name, corrected(test.name, other)[0], other.better) for name, other in ways.items()]
        found = [way if way.outcome == SUPPORTED else replace(way, better="") for way in found]
        verdicts.append(
            Verdict(
                test.name,
                test.claim,
                effects,
                raw.outcome,
                describe_open(effects) if look and outcome == UNDETERMINED else outcome,
                test.name in deciding,
                raw.p,
                adjusted,
                better,
                _seeds_to_settle(test, effects, family, level, look > 0) if outcome == UNDETERMINED else None,
                tuple(way for way in found if (way.outcome, way.better) != (outcome, better)),
                tuple(unchecked.items()),
                look,
            )
        )
    return tuple(verdicts)


def describe_open(effects: Sequence[Effect]) -> str:
    """Returns what the corrected interval of an open test still says: which side of zero its shift lies on.

    The verdict is read from the same interval, so that the sign costs no error of its own (`statistics.looks`). Only a
    test of one contrast with margins on both sides of zero has such words.
    """
    if len(effects) == 1 and effects[0].contrast.low < 0 < effects[0].contrast.high:
        if effects[0].wide.low > 0:
            return BETTER
        if effects[0].wide.high < 0:
            return WORSE
    return UNDETERMINED


SETTLED = (SUPPORTED, CONTRADICTED, NO_DIFFERENCE, IN_BETWEEN)
"""Outcomes after which a test needs no more seeds."""


@dataclass(frozen=True)
class Numbered:
    """Holds what is known of open tests at a look."""

    tests: tuple[DecidingTest, ...]
    dropped: tuple[str, ...] = ()
    """Tests that will not be judged, such as those whose construct checks fail: given up, and counted."""


@dataclass(frozen=True)
class JudgedLook:
    """Holds the state of all tests after one look."""

    number: int
    """Counted from 1."""
    seeds: int
    """Seeds of an arm so far."""
    level: float
    verdicts: tuple[Verdict, ...]
    """Of the tests that were open before it and could be judged."""
    settled: tuple[str, ...]
    given_up: tuple[str, ...]
    open: tuple[str, ...]
    """Tests that are still open after it."""


def decide_at_looks(
    names: Sequence[str],
    looks: Looks,
    ask: Callable[[int, tuple[str, ...]], Numbered],
    *,
    others: bool = True,
) -> Iterator[JudgedLook]:
    """Judges tests at each look until all are settled or given up; yields each look. See `statistics.looks`.

    names: of all planned tests, all of which the correction counts at every look. ask: (seeds, names of the open
    tests) -> their numbers with so many seeds an arm; a test that it leaves out stays open. others: try other ways to
    decide.
    """
    left = tuple(names)
    for number, (seeds, level) in enumerate(zip(looks.seeds, looks.levels, strict=True), start=1):
        known = ask(seeds, left)
        verdicts = decide(known.tests, len(names), level=level, fewest=FEWEST_SEEDS, look=number, others=others)
        settled = tuple(v.test for v in verdicts if v.deciding and v.outcome in SETTLED)
        needed = {v.test: v.seeds_to_settle for v in verdicts if v.test not in settled}
        hopeless = tuple(name for name, more in needed.items() if more is not None and is_hopeless(more, looks))
        gone = (*known.dropped, *hopeless)
        left = tuple(name for name in left if name not in (*settled, *gone))
        yield JudgedLook(number, seeds, level, verdicts, settled, gone, left)
        if not left:
            return


def raw_verdict(parts: Sequence[tuple[DecidingContrast, ThreeSided]]) -> RawVerdict:
    """Returns what contrasts that are all necessary say together.

    The claim is supported if each contrast supports it, so the largest p counts (intersection–union, Berger 1982). It
    is contradicted, or its effect is nil, if any one contrast says so: the smallest p counts, times their number.
    """
    supported, contradicted, neither = [], [], []
    for contrast, p in parts:
        outside = min(p.above, p.below)
        supports, contradicts, nil = {
            "above": (p.above, p.below, p.inside),
            "inside": (p.inside, outside, 1.0),
            "different": (outside, 1.0, p.inside),
        }[contrast.claims]
        supported.append(supports)
        contradicted.append(contradicts)
        neither.append((nil, contrast.neither))
    least, nil = min(neither)
    outcomes = {
        SUPPORTED: max(supported),
        CONTRADICTED: min(contradicted) * len(parts),
        nil: least * len(parts),
    }
    outcome = min(outcomes, key=outcomes.__getitem__)
    # Two-sided, as ThreeSided.p.
    p_value = min(1.0, 2 * outcomes[outcome])
    if p_value > ALPHA:
        return RawVerdict(UNDETERMINED, p_value)
    contrast, p = parts[0]
    named = outcome == SUPPORTED and contrast.claims == "different" and len(parts) == 1
    return RawVerdict(
        outcome, p_value, (contrast.treatment if p.above < p.below else contrast.control) if named else ""
    )


def _shift(contrast: DecidingContrast, numbers: Numbers) -> Shift:
    if numbers.control is None:
        return one_group(numbers.treatment)
    if numbers.treatment_blocks:
        return stratified(numbers.by_block)
    return two_groups(numbers.treatment, numbers.control)


def _three_sided(parts: Sequence[tuple[DecidingContrast, Numbers]]) -> list[tuple[DecidingContrast, ThreeSided]]:
    return [(c, three_sided(_shift(c, numbers).tails, c.low, c.high)) for c, numbers in parts]


def _effect(contrast: DecidingContrast, numbers: Numbers, confidence: float, look: int) -> Effect:
    shift = _shift(contrast, numbers)
    seeds = tuple(len(group) for group in numbers.groups)
    failed = tuple(sum(value == -math.inf for value in group) for group in numbers.groups)
    return Effect(
        contrast,
        shift.estimate,
        shift.interval(confidence if look else CONFIDENCE),
        shift.interval(confidence),
        three_sided(shift.tails, contrast.low, contrast.high),
        seeds,
        failed,
        failure_p(failed, seeds) if len(seeds) == 2 else None,
    )


def _alternatives(test: DecidingTest, shapes: bool) -> tuple[dict[str, RawVerdict], dict[str, str]]:
    """Returns the raw verdicts by other ways to decide, and the ways that cannot be tried, with the reason.

    shapes: try also a test that holds where the groups differ in their shapes, as where one arm collapses at times.
    """
    ways, closed = {}, {}
    for name, factor in ((HALF_MARGIN, 0.5), (DOUBLE_MARGIN, 2.0)):
        scaled = [(replace(c, low=factor * c.low, high=factor * c.high), numbers) for c, numbers in test.parts]
        if any(c.low or c.high for c, _ in scaled):
            ways[name] = raw_verdict(_three_sided(scaled))
    together = [(c, numbers.without_blocks) for c, numbers in test.parts]
    welch = [(c, welch_tails(numbers.treatment, numbers.control)) for c, numbers in together]
    if any(tails is None for _, tails in welch):
        closed[WELCH] = "a run failed, or nothing varies"
    else:
        ways[WELCH] = raw_verdict([(c, three_sided(tails, c.low, c.high)) for c, tails in welch])
    if shapes and all(numbers.control is not None for _, numbers in together):
        studentised = [(c, studentised_tails(numbers.treatment, numbers.control)) for c, numbers in together]
        ways[STUDENTISED] = raw_verdict([(c, three_sided(tails, c.low, c.high)) for c, tails in studentised])
    for name, changed in test.alternatives.items():
        parts = [(c, changed.get(c.name, numbers)) for c, numbers in test.parts]
        if min(numbers.seeds for _, numbers in parts) < FEWEST_SEEDS:
            closed[name] = f"fewer than {FEWEST_SEEDS} seeds have it"
        else:
            ways[name] = raw_verdict(_three_sided(parts))
    return ways, closed


def _seeds_to_settle(test: DecidingTest, effects: Sequence[Effect], family: int, level: float, at_looks: bool) -> float:
    """Returns the seeds an arm that would settle a test; NaN where failed runs forbid an estimate.

    By the bound of the deviation between seeds, so that what is planned by it has the power; at looks by the deviation
    itself: after few seeds the bound would give up tests that are within reach.
    """
    if any(any(effect.failed) for effect in effects):
        return math.nan
    needed = []
    for (contrast, numbers), effect in zip(test.parts, effects, strict=True):
        deviation = deviation_within(*(group for block in numbers.by_block for group in block))
        needed.append(
            seeds_to_settle(
                effect.shift,
                deviation.estimate if at_looks else deviation.bound,
                contrast.low,
                contrast.high,
                groups=len(numbers.groups),
                tests=family,
                alpha=level,
                most=math.inf if at_looks else MOST_SEEDS,
            )
        )
    # The present ones did not do.
    return max(*needed, test.seeds + 1, FEWEST_SEEDS if at_looks else DECIDING_SEEDS)
