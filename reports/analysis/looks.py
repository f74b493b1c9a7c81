"""Judges the decisions of a plan at its looks, each by the seeds that the look has."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.statistics.verdicts import JudgedLook, Numbered, Verdict, decide_at_looks
from benchmarks.suites.plan import Plan
from reports.analysis.checks import CheckResult, check_construct
from reports.analysis.evidence import Evidence, gather_evidence
from reports.reading.runs import RunRecord


@dataclass(frozen=True)
class Judged:
    """Holds what a plan's looks say: of each decision, what the last look that judged it says."""

    plan: Plan
    looks: tuple[JudgedLook, ...]
    verdicts: Mapping[str, Verdict]
    refused: Mapping[str, str]
    """Reasons why runs decide nothing, by the name of the decision."""
    checks: Mapping[str, tuple[CheckResult, ...]]
    needed: Plan
    """The plan with the seeds that the looks so far have asked for."""
    complete: bool
    """Whether every run is there that the looks ask for."""


class _MissingRuns(Exception):
    """Tells that a look cannot be taken yet."""


def judge_at_looks(
    plan: Plan,
    runs: Callable[[], Sequence[RunRecord]],
    train: Callable[[Plan], bool] = lambda plan: True,
    told: Callable[[JudgedLook], None] = lambda look: None,
) -> Judged:
    """Judges a plan that has looks, up to the first look that lacks a run.

    runs: reads the runs. train: is called with the plan of each look, before its runs are read; returns whether it
    trained them, and where it did not no further look is taken. told: is called with each look. A decision whose
    construct checks fail at a look is given up: more seeds do not mend an experiment.
    """
    verdicts: dict[str, Verdict] = {}
    refused: dict[str, str] = {}
    checks: dict[str, tuple[CheckResult, ...]] = {}
    seeds_of: dict[str, set[int]] = {}
    taken: list[JudgedLook] = []

    def ask(seeds: int, names: tuple[str, ...]) -> Numbered:
        part = plan.up_to(seeds, names)
        for arm in part.arms:
            seeds_of.setdefault(arm.name, set()).update(arm.seeds)
        if not train(part):
            raise _MissingRuns
        evidence = gather_evidence(part, runs())
        # An arm without any run is one whose data are missing, or that nobody asked for: its decisions are given up.
        if any(arm.missing and arm.ended for arm in evidence.arms):
            raise _MissingRuns
        planned = {each.decision.name: each for each in part.decisions}
        checks.update({test.name: check_construct(planned[test.name], evidence.by_name) for test in evidence.tests})
        refused.update(evidence.refused)
        valid = [test for test in evidence.tests if all(check.holds for check in checks[test.name])]
        failing = {test.name for test in evidence.tests} - {test.name for test in valid}
        return Numbered(tuple(valid), tuple(sorted({*failing, *evidence.refused})))

    complete = True
    try:
        # The exploratory ones come after the primary ones, which are what a report is about.
        for family in plan.families:
            for look in decide_at_looks([each.decision.name for each in family], plan.looks, ask):
                taken.append(look)
                verdicts |= {verdict.test: verdict for verdict in look.verdicts}
                told(look)
    except _MissingRuns:
        complete = False
    arms = tuple(
        replace(arm, seeds=tuple(sorted(seeds_of[arm.name]))) if arm.name in seeds_of else arm for arm in plan.arms
    )
    return Judged(plan, tuple(taken), verdicts, refused, checks, replace(plan, arms=arms, whole=plan.hash), complete)


def gather_judged(plan: Plan, runs: Iterable[RunRecord]) -> tuple[Evidence, Judged | None]:
    """Returns what the runs say about a plan, and of one with looks what these say."""
    runs = tuple(runs)
    if plan.looks is None:
        return gather_evidence(plan, runs), None
    judged = judge_at_looks(plan, lambda: runs)
    return gather_evidence(judged.needed, runs), judged
