"""Assigns runs to planned arms, and turns each arm's runs into the numbers that decide.

Runs that may not be compared are refused here, and missing runs are counted; nothing is decided yet.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.questions import Outcome, outcomes
from benchmarks.run_folder.folder import ENDED
from benchmarks.statistics.ranks import significant
from benchmarks.statistics.verdicts import DecidingContrast, DecidingTest, Numbers
from benchmarks.suites.plan import Plan, PlannedArm, PlannedContrast, PlannedDecision
from reports.analysis.sections import drawn_by_seed, preference_order
from reports.analysis.summaries import Summary, mean_with_interval
from reports.reading.runs import RunRecord


@dataclass(frozen=True)
class ArmRuns:
    """Holds the runs of a planned arm, ordered by seed."""

    planned: PlannedArm
    ended: tuple[RunRecord, ...]
    """Finished and failed runs, which count."""
    unfinished: tuple[RunRecord, ...]
    """Runs that are not at their end, or were killed before it."""

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def label(self) -> str:
        return self.planned.arm.label

    @property
    def missing(self) -> int:
        """Number of planned seeds without a run that ended."""
        return len(self.planned.seeds) - len({run.config.seed for run in self.ended})

    @cached_property
    def failures(self) -> Mapping[str, str]:
        """Causes of failed runs, by their ids."""
        causes = {
            run.id: outcomes.explain_failure(run.state, run.lines, samples=run.config.samples) for run in self.ended
        }
        return {id: cause for id, cause in causes.items() if cause}

    @property
    def not_failed(self) -> tuple[RunRecord, ...]:
        """Runs that ended and did not fail, of which means are taken."""
        return tuple(run for run in self.ended if run.id not in self.failures)

    @property
    def training_seconds(self) -> Summary:
        return mean_with_interval([run.seconds for run in self.not_failed])

    @property
    def parameter_counts(self) -> list[str]:
        """Weights of generator and discriminator, as text; several where the runs do not agree."""
        return _describe_counts(run.parameters for run in self.ended)

    @property
    def operation_counts(self) -> list[str]:
        """Operations of generator and discriminator for one example, as text; [] where no run has them."""
        return _describe_counts(run.operations for run in self.ended if run.operations)


def _describe_counts(runs: Iterable[Mapping[str, int]]) -> list[str]:
    counts = {tuple(run.get(name, 0) for name in ("generator", "discriminator")) for run in runs}
    return [f"{generator:,} + {discriminator:,}" for generator, discriminator in sorted(counts)]


@dataclass(frozen=True)
class MissingFigure:
    """Names a run that takes no part in a decision, because its journal lacks the figure that decides."""

    decision: str
    run: RunRecord


@dataclass(frozen=True)
class Evidence:
    """Holds what the runs say about a plan."""

    plan: Plan
    arms: tuple[ArmRuns, ...]
    others: int
    """Number of runs that belong to no arm of the plan."""
    repeated: tuple[RunRecord, ...]
    """Repetitions of a config, which do not count."""
    refused: Mapping[str, str]
    """Reasons why runs decide nothing, by the name of the decision."""
    tests: tuple[DecidingTest, ...]
    """Tests that can be decided, in the order of the plan."""
    lacking: tuple[MissingFigure, ...]

    @property
    def ended(self) -> tuple[RunRecord, ...]:
        return tuple(run for arm in self.arms for run in arm.ended)

    @cached_property
    def by_name(self) -> Mapping[str, ArmRuns]:
        return {arm.name: arm for arm in self.arms}

    def arm(self, name: str) -> ArmRuns:
        return self.by_name[name]

    def of(self, question: str) -> tuple[ArmRuns, ...]:
        return tuple(arm for arm in self.arms if question in arm.planned.questions)


def gather_evidence(plan: Plan, runs: Iterable[RunRecord]) -> Evidence:
    """Returns what the runs say about the plan, independent of their order."""
    arms, others, repeated = assign_runs(plan, runs)
    named = {arm.name: arm for arm in arms}
    refused, tests, lacking = {}, [], []
    for decision in plan.decisions:
        name = decision.decision.name
        if why := why_incomparable([named[arm.name] for arm in decision.decision.arms]):
            refused[name] = why
            continue
        test, without = make_deciding_test(decision, named)
        lacking += without
        # An empty group has no numbers to decide by; the decision still takes its share of the correction.
        if test.seeds:
            tests.append(test)
        else:
            refused[name] = explain_no_numbers(decision, named)
    return Evidence(plan, arms, others, repeated, refused, tuple(tests), tuple(lacking))


def assign_runs(plan: Plan, runs: Iterable[RunRecord]) -> tuple[tuple[ArmRuns, ...], int, tuple[RunRecord, ...]]:
    """Returns the arms with their runs, the number of runs of no arm, and the repetitions that do not count."""
    by_variant: dict[str, list[PlannedArm]] = {}
    for arm in plan.arms:
        by_variant.setdefault(arm.arm.variant, []).append(arm)
    found: dict[str, dict[str, RunRecord]] = {arm.name: {} for arm in plan.arms}
    others, repeated = 0, []
    for run in runs:
        config = run.config
        mine = [arm for arm in by_variant.get(config.variant, ()) if config.seed in arm.seeds and arm.matches(config)]
        others += not mine
        for arm in mine:
            # Of two runs of one config, only one may count: else that seed would weigh twice.
            other = found[arm.name].get(config.key)
            wins = other is None or preference_order(run) > preference_order(other)
            kept, dropped = (run, other) if wins else (other, run)
            found[arm.name][config.key] = kept
            if dropped is not None:
                repeated.append(dropped)
    arms = []
    for arm in plan.arms:
        mine = sorted(found[arm.name].values(), key=lambda run: (run.config.seed, run.id))
        ended = tuple(run for run in mine if run.state in ENDED)
        arms.append(ArmRuns(arm, ended, tuple(run for run in mine if run not in ended)))
    return tuple(arms), others, tuple(sorted({run.id: run for run in repeated}.values(), key=lambda run: run.id))


def why_incomparable(arms: Sequence[ArmRuns]) -> str:
    """Returns why the runs of these arms cannot be compared with each other; "" if they can.

    Comparable runs share the classifier, the number of samples and the precision; arms on the same data also
    its checksum, unless every seed draws its own. Arms with other options of the dataset have other data by intention.
    """
    runs = [run for arm in arms for run in arm.ended]
    for what, shared in (
        ("judged by different classifiers", {run.config.extractor[:8] for run in runs}),
        ("judged on different numbers of samples", {str(run.config.samples) for run in runs}),
        ("of different precision", {run.config.precision for run in runs}),
    ):
        if len(shared) > 1:
            return f"its runs are {what}: {', '.join(sorted(shared))}"
    for dataset in dict.fromkeys(arm.planned.dataset for arm in arms):
        same = [run for arm in arms if arm.planned.dataset == dataset for run in arm.ended]
        checksums = sorted({run.config.checksum[:8] for run in same})
        if len(checksums) > 1 and not drawn_by_seed(same):
            return f"its runs are on different versions of the data: {', '.join(checksums)}"
    for arm in arms:
        if len({run.config.seed for run in arm.ended}) < len(arm.ended):
            return f"two runs of {arm.label} have the same seed"
        if len({run.config.plugins for run in arm.ended}) > 1:
            return f"the runs of {arm.label} used different versions of a plugin"
    return ""


def make_deciding_test(
    planned: PlannedDecision, arms: Mapping[str, ArmRuns]
) -> tuple[DecidingTest, list[MissingFigure]]:
    """Returns a decision with the numbers of its runs, and the runs that lack a figure."""
    decision = planned.decision
    parts, lacking = [], []
    alternatives: dict[str, dict[str, Numbers]] = {}
    for place, part in enumerate(planned.contrasts, start=1):
        name = f"{decision.name}, part {place}" if len(planned.contrasts) > 1 else decision.name
        numbers, without = _numbers(part, part.contrast.outcome, arms)
        lacking += [MissingFigure(decision.name, run) for run in without]
        parts.append((_deciding_contrast(name, part), numbers))
        for way, outcome in outcomes.list_alternatives(part.contrast.outcome).items():
            alternatives.setdefault(way, {})[name] = _numbers(part, outcome, arms)[0]
    return DecidingTest(decision.name, decision.claim, tuple(parts), alternatives), lacking


def explain_no_numbers(planned: PlannedDecision, arms: Mapping[str, ArmRuns]) -> str:
    """Returns which arms of a decision have no numbers, as the end of a sentence; "" if all have some."""
    said: dict[str, list[str]] = {}
    for part in planned.contrasts:
        for arm, seeds, epochs in part.sides:
            runs = [run for run in arms[arm.name].ended if run.config.seed in seeds]
            numbers = [oriented_number(run, part.contrast.outcome, epochs, part.threshold) for run in runs]
            if all(map(math.isnan, numbers)):
                what = "has the figure that decides" if runs else "has ended"
                said.setdefault(what, []).append(arm.label)
    return "; ".join(f"no run of {' or of '.join(dict.fromkeys(names))} {what}" for what, names in said.items())


def oriented_number(run: RunRecord, outcome: Outcome, epochs: float = math.inf, threshold: float = math.nan) -> float:
    """Returns the number of a run that ended, by `outcomes.score_run`: larger is better, NaN without the figure."""
    return outcomes.score_run(outcome, run.state, run.lines, updates=run.updates, epochs=epochs, threshold=threshold)


def _deciding_contrast(name: str, part: PlannedContrast) -> DecidingContrast:
    contrast = part.contrast
    control = "" if contrast.control is None else contrast.control.label
    return DecidingContrast(
        name,
        contrast.outcome.label,
        contrast.treatment.label,
        f"{control}, other seeds" if contrast.other_seeds else control,
        contrast.low,
        contrast.high,
        contrast.claims,
    )


def _numbers(part: PlannedContrast, outcome: Outcome, arms: Mapping[str, ArmRuns]) -> tuple[Numbers, list[RunRecord]]:
    contrast = part.contrast
    # Where less is better, numbers change their sign, and with them the constant.
    constant = -contrast.constant if outcome.better == "less" else contrast.constant

    def of(name: str, seeds: Sequence[int], epochs: float) -> tuple[list[float], list[int], list[RunRecord]]:
        values, blocks, without = [], [], []
        for run in arms[name].ended:
            if run.config.seed in seeds:
                # Rounded before the subtraction, so that equal numbers give exactly 0.
                value = significant(oriented_number(run, outcome, epochs, part.threshold)) - constant
                if math.isnan(value):
                    without.append(run)
                else:
                    values.append(value)
                    blocks.append(arms[name].planned.block_of(run.config.seed))
        return values, blocks, without

    groups = [of(arm.name, seeds, epochs) for arm, seeds, epochs in part.sides]
    lacking = [run for _, _, without in groups for run in without]
    numbers = [tuple(values) for values, _, _ in groups]
    # Rates that only one side has are no blocks of both.
    planned = [arms[arm.name].planned.rates for arm, _, _ in part.sides]
    if len(groups) == 2 and len({len(rates) for rates in planned}) == 1 and planned[0]:
        return Numbers(*numbers, *(tuple(blocks) for _, blocks, _ in groups)), lacking
    return Numbers(*numbers), lacking
