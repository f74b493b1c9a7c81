"""Measures the time to a quality: seconds until a run first meets a target at two evaluations in a row.

One run at a time, seed by seed and contestant by entrant. A run that does not meet the target within the budget is
censored: it counts as later than every run that did, and enters no mean. Needs no torch until it measures; the
processes that train do.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.config import DEFAULT_SAMPLES
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.timing.cases import Case
from benchmarks.timing.machine import describe_machine, warn_if_busy
from benchmarks.timing.processes import Process
from benchmarks.timing.rounds import time_in_turn
from variants.recipe import UserError

SAMPLES = DEFAULT_SAMPLES
"""Samples of an evaluation, as in a run of `benchmarks.run`."""
COUNTED = ("updates", "training_seconds", "training_cpu_seconds", "total_seconds", "total_cpu_seconds")
"""What is counted until a run meets its target."""
IN_A_ROW = 2
"""Evaluations that have to meet the target. One alone may do so by luck, since a metric swings between evaluations."""

_CONDITION = re.compile(r"(?P<metric>[a-z]\w*)(?P<relation><=|>=)(?P<bound>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)")


@dataclass(frozen=True)
class Condition:
    """Says which values of a metric are good enough."""

    # As the person named it: a metric of the catalogue, of which fid is the one that `benchmarks.compare` decides by.
    metric: str
    # "<=" or ">=".
    relation: str
    bound: float

    def is_met(self, values: Mapping[str, float]) -> bool:
        """Tells whether the value is good enough; a metric that could not be measured is not."""
        value = values.get(self.metric, math.nan)
        return value <= self.bound if self.relation == "<=" else value >= self.bound


@dataclass(frozen=True)
class Target:
    """Holds the conditions of which all have to be met at once."""

    conditions: tuple[Condition, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(condition.metric for condition in self.conditions)

    def is_met(self, values: Mapping[str, float]) -> bool:
        return all(condition.is_met(values) for condition in self.conditions)

    def __str__(self) -> str:
        return " ".join(f"{each.metric}{each.relation}{each.bound:g}" for each in self.conditions)


def parse_target(text: str) -> Target:
    """Reads a target such as "fid<=2 accuracy>=0.97". Raises UserError for one that says nothing, or never holds."""
    words = re.sub(r"\s*(<=|>=)\s*", r"\1", text).split()
    if not words:
        raise UserError('--to is a target such as "fid<=2 accuracy>=0.97", and here it is empty')
    target = Target(tuple(map(_parse_condition, words)))
    for place, metric in enumerate(target.metrics):
        if metric in target.metrics[:place]:
            raise UserError(f"--to names {metric} twice; name each metric once")
    return target


def _parse_condition(word: str) -> Condition:
    parts = _CONDITION.fullmatch(word)
    if not parts:
        raise UserError(f"--to takes METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not {word!r}")
    name, relation, bound = parts["metric"], parts["relation"], float(parts["bound"])
    metric = find_metric(name)
    if metric.family and metric.name == name:
        raise UserError(f"--to {word}: {name} is a family of metrics; name one of them, such as {name}_0")
    better, right = ("lower", "<=") if metric.direction == "min" else ("higher", ">=")
    if relation != right:
        raise UserError(f"--to {word}: {name} is better where it is {better}; say {name}{right}{parts['bound']}")
    least, most = metric.range
    if not least <= bound <= most:
        raise UserError(f"--to {word}: {name} lies between {least:g} and {most:g}")
    return Condition(name, relation, bound)


def run_to(process: Process, target: Target, seed: int, every: int, budget: float) -> dict[str, Any]:
    """Trains one seed until its target is met, or until the budget is spent; returns the run as JSON values.

    process: holds a `judged.Runner`. every: updates between evaluations; the first is after as many. budget: wall-clock
    seconds of training alone. The counts are those when the last of the evaluations in a row is done, and of a censored
    run those when it is given up.
    """
    process.ask("start", seed)
    evaluations: list[dict[str, Any]] = []
    in_a_row = 0
    while True:
        due = (len(evaluations) + 1) * every
        state, why = process.ask("advance", due, budget), ""
        if state["training_seconds"] >= budget:
            why = f"the budget of {budget:g} s was spent"
        elif state["updates"] < due:
            why = "its recipe had ended"
        else:
            judged = process.ask("judge")
            state, values, why = {name: judged[name] for name in COUNTED}, judged["values"], judged["broken"]
            evaluations.append({**state, "values": values})
            in_a_row = in_a_row + 1 if target.is_met(values) else 0
        if why or in_a_row == IN_A_ROW:
            return {"seed": seed, "reached": not why, "why": why, **state, "evaluations": evaluations}


def summarize(runs: Sequence[Mapping[str, Any]], counted: str) -> dict[str, float | None]:
    """Returns median, least and most of what runs counted until they met the target, and the bound of censored ones.

    A censored run counts as later than all that met the target. The median is None unless more than half of the runs
    met it; then it is one of theirs, or between two of theirs. The most is None where a run is censored, and `above`
    is the least that one of these had counted when it was given up, None where there is none.
    """
    reached = [run[counted] for run in runs if run["reached"]]
    censored = [run[counted] for run in runs if not run["reached"]]
    known = 2 * len(reached) > len(runs)
    return {
        "median": statistics.median(reached + [math.inf] * len(censored)) if known else None,
        "least": min(reached, default=None),
        "most": None if censored else max(reached),
        "above": min(censored, default=None),
    }


def measure_quality(
    target: Target,
    cases: Sequence[Case],
    *,
    against_tutorials: bool = True,
    seeds: Sequence[int] = tuple(range(5)),
    every: int = 250,
    budget: float = 600.0,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Returns the time to a target of every case, and of the tutorials that may be compared with it, as JSON values.

    A tutorial is compared where both it and the case are given labels, or neither. Raises UserError before anything is
    trained for a case that cannot be trained, or cannot meet the target.
    """
    from benchmarks.timing.tutorials import TUTORIALS

    machine = describe_machine()
    notes = warn_if_busy(machine)
    for note in notes:
        say(note)
    with ExitStack() as stack:
        entrants: list[Entrant] = []

        def prepare(kind: str, case: Case) -> dict[str, Any]:
            say(f"preparing: {case.name}")
            process = Process(kind, case, "judged")
            stack.callback(process.end)
            facts = process.ask("prepare", target.metrics, SAMPLES)
            for note in facts.pop("notes"):
                if note not in notes:
                    notes.append(note)
                    say(note)
            machine.update(facts.pop("software"))
            entrants.append(Entrant(kind.lower(), case, facts, process))
            return facts

        described = [(case, prepare("Ours", case)) for case in cases]
        # Each once for a dataset, however many variants there are.
        wanted = {
            (case.dataset, tutorial.name): replace(case, variant=tutorial.name, recipe="", changes={})
            for case, facts in described
            for tutorial in TUTORIALS.values()
            if against_tutorials and tutorial.conditional == facts["conditional"]
        }
        for case in wanted.values():
            prepare("Tutorial", case)
        refuse_unlike_judges(entrants)
        timed = {entrant.name: partial(next, entrant.runs(target, seeds, every, budget, say)) for entrant in entrants}
        found = time_in_turn(timed, len(seeds))
        rows = [entrant.make_row(found[entrant.name]) for entrant in entrants]
        notes += [
            f"{entrant.name}, seed {run['seed']}, was given up after {run['training_seconds']:.1f} s: {run['why']}"
            for entrant in entrants
            for run in found[entrant.name]
            if run["why"] and run["training_seconds"] < budget
        ]
    return {
        "kind": "quality",
        "machine": machine,
        "target": str(target),
        "in_a_row": IN_A_ROW,
        "every": every,
        "budget": budget,
        "samples": SAMPLES,
        "seeds": list(seeds),
        "notes": notes,
        "rows": rows,
    }


@dataclass(frozen=True)
class Entrant:
    """Holds what is trained to the target, and the process that does it."""

    # "ours" or "tutorial".
    kind: str
    case: Case
    facts: dict[str, Any]
    process: Process

    @property
    def name(self) -> str:
        return f"{self.kind} {self.case.name}"

    def runs(
        self, target: Target, seeds: Sequence[int], every: int, budget: float, say: Callable[[str], None]
    ) -> Iterator[dict[str, Any]]:
        """Yields a finished run for each seed, which is trained when it is asked for."""
        for seed in seeds:
            run = run_to(self.process, target, seed, every, budget)
            told = f"met the target after {run['updates']:,} updates" if run["reached"] else f"did not: {run['why']}"
            say(f"{self.name}, seed {seed}: {told}, {run['training_seconds']:.1f} s of training")
            yield run

    def make_row(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the runs with what they have in common, as JSON values."""
        return {
            "kind": self.kind,
            "variant": self.case.variant,
            **self.facts,
            "reached": sum(run["reached"] for run in runs),
            "until": {counted: summarize(runs, counted) for counted in COUNTED},
            "runs": runs,
        }


def refuse_unlike_judges(entrants: Sequence[Entrant]) -> None:
    """Raises UserError where contestants on one dataset do not have the same data, classifiers and metrics."""
    for one in entrants:
        for other in entrants:
            judges = [(each.facts["judge"], each.facts["measured"]) for each in (one, other)]
            if one.facts["dataset"] == other.facts["dataset"] and judges[0] != judges[1]:
                raise UserError(
                    f"{one.name} and {other.name} would not be judged alike, by the same data and classifiers"
                )
