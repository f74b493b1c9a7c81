"""Checks whether a decision tests the claim that its sentence states (construct checks).

A check reads figures of the runs, as a decision does, and is fixed with the plan. A check that fails makes the verdict
*not tested*, never *contradicted*. docs/method.md has the reasons.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.questions import Check, Decision, Outcome, outcomes
from benchmarks.suites.plan import PlannedDecision
from reports.analysis.evidence import ArmRuns
from reports.reading.runs import RunRecord

LARGEST_SIZE_RATIO = 1.1
"""Ratio of the weights of two arms' networks. Chosen, not tuned."""
LARGEST_UNTRAINED_SHARE = 0.5
"""Ratio of an arm's FID to the FID of its untrained generator. Chosen, not tuned."""
LEAST_OVER_CHANCE = 2.0
"""Ratio of an arm's class accuracy to the accuracy of guessing. Chosen, not tuned."""
SEEN_LABEL_USE = 0.6
"""Share of right labels ranked above wrong ones from which the probe counts as seeing that labels are used."""


@dataclass(frozen=True)
class CheckResult:
    """Holds one construct check with what the runs show."""

    kind: str
    """Kind of the Check, or fair."""
    arms: str
    """Arms that it is about, in words."""
    needs: str
    measured: str
    """Value of the runs, as text."""
    holds: bool
    """False too where nothing could be measured."""

    @property
    def why_not(self) -> str:
        """Reason for *not tested*, without the full stop."""
        return f"it needs {self.needs}, and {self.arms}: {self.measured}"


def check_construct(planned: PlannedDecision, arms: Mapping[str, ArmRuns]) -> tuple[CheckResult, ...]:
    """Returns every construct check of a decision: its own, and the checks that all decisions have to pass."""
    decision = planned.decision
    own = [_of_runs(check, arms[check.arm.name]) for check in (*decision.checks, *_learned(decision, arms))]
    return (*own, *_fair(decision, arms))


def _learned(decision: Decision, arms: Mapping[str, ArmRuns]) -> Iterator[Check]:
    """Yields checks that arms compared by the quality of their images have left chance."""
    compared = {
        arm.name: arm
        for contrast in decision.contrasts
        if outcomes.is_quality(contrast.outcome)
        for arm in contrast.arms
        if arm not in decision.may_stay_at_chance
    }
    for name, arm in compared.items():
        runs = arms[name].ended
        if any("fid_normalized" in (line.get("metrics") or {}) for run in runs for line in run.lines):
            yield Check(
                "learned",
                arm,
                "untrained_fid_share",
                f"a FID below {LARGEST_UNTRAINED_SHARE:g} times that of the untrained generator",
                high=LARGEST_UNTRAINED_SHARE,
            )
        told = not arms[name].planned.recipe.shuffled_conditions
        if told and any("accuracy" in (line.get("metrics") or {}) for run in runs for line in run.lines):
            yield Check(
                "learned",
                arm,
                "accuracy_over_chance",
                f"a class accuracy of {LEAST_OVER_CHANCE:g} times that of guessing",
                low=LEAST_OVER_CHANCE,
            )


def measure_arm(arm: ArmRuns, figure: str) -> float:
    """Returns the median over an arm's runs of a figure of the journal, or of DERIVED_FIGURES; NaN without any."""
    read = DERIVED_FIGURES.get(figure) or (lambda run: _late(run, figure))
    values = [value for run in arm.ended if not math.isnan(value := read(run))]
    return median(values) if values else math.nan


def _of_runs(check: Check, arm: ArmRuns) -> CheckResult:
    value = measure_arm(arm, check.figure)
    if math.isnan(value):
        return CheckResult(check.kind, check.arm.label, check.needs, "not measured", False)
    shown = f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"
    return CheckResult(check.kind, check.arm.label, check.needs, shown, check.low <= value <= check.high)


def _fair(decision: Decision, arms: Mapping[str, ArmRuns]) -> Iterator[CheckResult]:
    """Yields checks that the networks of two arms have the same size, unless their sizes are part of the claim."""
    for contrast in decision.contrasts:
        if contrast.control is None or contrast.other_seeds:
            continue
        pair = (contrast.treatment, contrast.control)
        for network in ("generator", "discriminator"):
            sizes = [_median(arms[arm.name], "parameters", network) for arm in pair]
            work = [_median(arms[arm.name], "operations", network) for arm in pair]
            known = all(sizes)
            matched = known and max(sizes) <= LARGEST_SIZE_RATIO * min(sizes)
            reason = f"; they differ by intention: {decision.sizes_differ}" if decision.sizes_differ else ""
            yield CheckResult(
                "fair",
                " and ".join(arm.label for arm in pair),
                f"{network}s of one size, to within {100 * (LARGEST_SIZE_RATIO - 1):.0f} %",
                " and ".join(f"{size:,.0f}" for size in sizes)
                + " weights"
                + (
                    " (" + " and ".join(f"{each:,.0f}" for each in work) + " operations an example)"
                    if all(work)
                    else ""
                )
                + ("" if matched else reason)
                if known
                else "not measured",
                matched or (known and bool(decision.sizes_differ)),
            )


def _median(arm: ArmRuns, counted: Literal["parameters", "operations"], network: str) -> float:
    return median([getattr(run, counted).get(network, 0) for run in arm.ended] or [0])


def _late(run: RunRecord, figure: str, scale: str = "") -> float:
    """Returns the mean of a figure over the last quarter of a run's evaluations; NaN where the journal lacks it."""
    value = outcomes.read_outcome(Outcome("", (figure,), "more", "late", scale), run.lines, updates=run.updates)
    return math.exp(value) if scale == "ln" else value


def _untrained_fid_share(run: RunRecord) -> float:
    untrained = [line["metrics"].get("fid_normalized", math.nan) for line in run.lines[:1] if line.get("metrics")]
    return _late(run, "metrics/fid_normalized", "ln") / untrained[0] if untrained and untrained[0] > 0 else math.nan


def _accuracy_over_chance(run: RunRecord) -> float:
    return _late(run, "metrics/accuracy") * len(run.classes) if run.classes else math.nan


def _accuracy_unseen_by_label_use(run: RunRecord) -> float:
    """Returns the class accuracy over chance of a run in which the probe of label use sees nothing; else 0."""
    use = _late(run, "probes/label_use")
    return math.nan if math.isnan(use) else 0.0 if use >= SEEN_LABEL_USE else _accuracy_over_chance(run)


DERIVED_FIGURES: Mapping[str, Callable[[RunRecord], float]] = {
    "generator_updates": lambda run: float(run.updates * run.config.recipe.epochs) or math.nan,
    "batch_size": lambda run: float(run.config.recipe.batch_size),
    "side": lambda run: float(min(run.shape[1:])) if len(run.shape) == 3 else math.nan,
    "untrained_fid_share": _untrained_fid_share,
    "accuracy_over_chance": _accuracy_over_chance,
    "accuracy_unseen_by_label_use": _accuracy_unseen_by_label_use,
}
"""Figures that are derived from a run and stand in no journal, by the names that checks call them."""
