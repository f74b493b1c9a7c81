"""Answers a plan with plain records, from which the pages are written: verdicts, controls, deviations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.questions import Question
from benchmarks.statistics.verdicts import NO_VERDICT, NOT_TESTED, Effect, JudgedLook, Verdict, decide
from benchmarks.suites.plan import NotTaken, Plan, PlannedContrast, PlannedDecision
from benchmarks.suites.plan_history import describe_changes
from reports.analysis.checks import CheckResult, check_construct
from reports.analysis.evidence import Evidence
from reports.analysis.looks import Judged
from reports.reading.runs import RunRecord


@dataclass(frozen=True)
class Answer:
    """Holds a planned decision with what the runs say about it."""

    planned: PlannedDecision
    verdict: Verdict | None
    why_not: str = ""
    """Reason why there is no verdict."""
    checks: tuple[CheckResult, ...] = ()
    """Construct checks; () without runs."""

    @property
    def name(self) -> str:
        return self.planned.decision.name

    @property
    def outcome(self) -> str:
        if not all(check.holds for check in self.checks):
            return NOT_TESTED
        return self.verdict.outcome if self.verdict else NO_VERDICT

    @property
    def parts(self) -> tuple[tuple[PlannedContrast, Effect], ...]:
        """The contrasts, each with what came out; () without a verdict."""
        return tuple(zip(self.planned.contrasts, self.verdict.effects, strict=True)) if self.verdict else ()

    @property
    def is_finding(self) -> bool:
        """Whether it is one of those that a report is about: about a claim of the source, and not exploratory."""
        return self.planned.decision.claim != "control" and not self.planned.exploratory

    @property
    def passed(self) -> bool | None:
        """Whether a control came out as it must; None without a verdict, and for a decision that is no control."""
        expected = self.planned.decision.expected
        return self.outcome in expected if expected and self.outcome not in (NO_VERDICT, NOT_TESTED) else None


@dataclass(frozen=True)
class FirstPlan:
    """Describes the plan by which the runs began."""

    hash: str
    since: str
    """Date and time at which it was made."""
    changes: tuple[str, ...]
    """Differences of the present plan."""


@dataclass(frozen=True)
class OtherCode:
    """Holds runs that were trained by other code than most."""

    fingerprint: str
    """Of that code; "" where it was not recorded."""
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True)
class Answers:
    """Holds the whole content of a report on questions."""

    evidence: Evidence
    answers: tuple[Answer, ...]
    tuned: Mapping[str, Any]
    """Settings as benchmarks.tune wrote them."""
    first: FirstPlan | None
    """None where no plan was kept with the runs."""
    partial: bool
    """Whether the report is about some of the questions only."""
    tests: int
    """Number of tests that share the error of 5 %."""
    code: str
    """Fingerprint of the code that trained most runs."""
    other_code: tuple[OtherCode, ...]
    plan: Plan
    """The whole plan; that of the evidence has the seeds that its looks have asked for."""
    looks: tuple[JudgedLook, ...] = ()
    """Looks taken so far; () where the plan has none."""
    complete: bool = True
    """Whether no look waits for runs."""

    @property
    def controls(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.answers if answer.planned.decision.expected)

    def of(self, question: Question) -> tuple[Answer, ...]:
        """Returns the answers of a question in its order, also to decisions that it shares with another question."""
        named = {answer.name: answer for answer in self.answers}
        return tuple(named[decision.name] for decision in question.decisions if decision.name in named)

    def not_taken(self, question: Question) -> tuple[NotTaken, ...]:
        names = [decision.name for decision in question.decisions]
        return tuple(each for each in self.plan.not_taken if each.decision.name in names)


def answer_plan(
    evidence: Evidence,
    tuned: Mapping[str, Any] | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
    partial: bool = False,
    judged: Judged | None = None,
) -> Answers:
    """Decides all decisions of the plan; those of a plan with looks are judged already.

    tuned: settings that the plan was made with. plans: plans by which runs were made, the first one first, as
    `plan_history.load_plans` gives them. partial: whether the plan has some of the questions only, so that a missing
    question is no deviation.
    """
    plan = evidence.plan if judged is None else judged.plan
    kept = plans[0]["plan"] if plans else {}
    # A report on a few of the questions is corrected as the whole one is, where that is known.
    before = Counter(bool(each.get("exploratory")) for each in kept.get("decisions", {}).values())
    now = Counter(each.exploratory for each in plan.decisions)
    tests = max(now[False], before[False])
    named = {planned.decision.name: planned for planned in plan.decisions}
    if judged is None:
        checks = {test.name: check_construct(named[test.name], evidence.by_name) for test in evidence.tests}
        # A decision that is not tested keeps its place in the correction, as if its p were 1.
        valid = [test for test in evidence.tests if all(check.holds for check in checks[test.name])]
        verdicts, refused = {}, evidence.refused
        for exploratory in (False, True):
            family = [test for test in valid if named[test.name].exploratory == exploratory]
            counted = max(now[exploratory], before[exploratory])
            verdicts |= {verdict.test: verdict for verdict in decide(family, counted)}
    else:
        checks, verdicts, refused = judged.checks, judged.verdicts, judged.refused
    answers = []
    for name, planned in named.items():
        if failing := [check.why_not for check in checks.get(name, ()) if not check.holds]:
            answers.append(Answer(planned, None, "; ".join(dict.fromkeys(failing)), checks[name]))
            continue
        answers.append(Answer(planned, verdicts.get(name), refused.get(name, ""), checks.get(name, ())))
    runs = {run.id: run for arm in evidence.arms for run in arm.ended}
    by_code = Counter(run.code for run in runs.values())
    code = min(by_code, key=lambda code: (-by_code[code], code)) if by_code else ""
    other = tuple(
        OtherCode(each, tuple(run for _, run in sorted(runs.items()) if run.code == each))
        for each in sorted(by_code)
        if each != code
    )
    return Answers(
        evidence,
        tuple(answers),
        tuned or {},
        _first(plan, plans, partial),
        partial,
        tests,
        code,
        other,
        plan,
        judged.looks if judged else (),
        judged.complete if judged else True,
    )


def _first(plan: Plan, plans: Sequence[Mapping[str, Any]], partial: bool) -> FirstPlan | None:
    if not plans:
        return None
    before, now = plans[0]["plan"], plan.as_dict()
    if partial:
        before = {
            part: {name: value for name, value in before.get(part, {}).items() if name in now[part]}
            for part in ("arms", "decisions")
        }
        # Another question may ask for more seeds of an arm.
        for name, arm in before["arms"].items():
            if set(now["arms"][name]["seeds"]) <= set(arm.get("seeds", ())):
                before["arms"][name] = {**arm, "seeds": now["arms"][name]["seeds"]}
    changes = tuple(describe_changes(before, now)) if plans[0]["hash"] != plan.hash else ()
    return FirstPlan(str(plans[0]["hash"]), str(plans[0].get("since", "")), changes)
