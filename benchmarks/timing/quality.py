"""Measures the time to a quality: seconds until a run first meets a target at two evaluations in a row.

One run at a time, seed by seed and contestant by contestant, so that early results cover all contestants. Each run is
written to the file as soon as it is finished, and an interrupted measurement goes on from its file. A run that does not
meet the target within the budget is censored: it counts as later than every run that did, and enters no mean. Needs no
torch until it measures; the processes that train do.
"""

import json
import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import plugins
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
    is the least that one of these had counted when it was given up, None where there is none. All are None of no runs.
    """
    reached = [run[counted] for run in runs if run["reached"]]
    censored = [run[counted] for run in runs if not run["reached"]]
    known = 2 * len(reached) > len(runs)
    return {
        "median": statistics.median(reached + [math.inf] * len(censored)) if known else None,
        "least": min(reached, default=None),
        "most": None if censored else max(reached, default=None),
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
    file: Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Returns the time to a target of every case, and of the tutorials that may be compared with it, as JSON values.

    A tutorial is compared where both it and the case are given labels, or neither. file: gets the result after each
    run; runs that it has already are not trained again. Raises UserError before anything is trained for a case that
    cannot be trained, or cannot meet the target, and for a file whose runs were measured otherwise.
    """
    from benchmarks.timing.tutorials import TUTORIALS

    begun = _read(file) if file else {}
    machine = describe_machine()
    notes = warn_if_busy(machine)
    for note in notes:
        say(note)
    settings: dict[str, Any] = {
        "target": str(target),
        "in_a_row": IN_A_ROW,
        "every": every,
        "budget": budget,
        "samples": SAMPLES,
        "seeds": list(seeds),
        "plugins": dict(plugins.HASHES),
    }
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
            settings["code"] = facts.pop("code")
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
        found: dict[str, list[dict[str, Any]]] = {entrant.name: [] for entrant in entrants}

        def result() -> dict[str, Any]:
            given_up = [
                f"{entrant.name}, seed {run['seed']}, was given up after {run['training_seconds']:.1f} s: {run['why']}"
                for entrant in entrants
                for run in found[entrant.name]
                if run["why"] and run["training_seconds"] < budget
            ]
            return {
                "kind": "quality",
                "machine": machine,
                **settings,
                "notes": [note for note in dict.fromkeys(notes) if note not in given_up] + given_up,
                "rows": [entrant.make_row(found[entrant.name], seeds) for entrant in entrants],
            }

        if file and begun:
            refuse_other_settings(file, begun, result())
            for entrant, row in zip(entrants, begun["rows"], strict=True):
                found[entrant.name] += row["runs"]
            say(f"{file} has {sum(map(len, found.values()))} of {len(entrants) * len(seeds)} runs, which are kept")
            if all(len(runs) == len(seeds) for runs in found.values()):
                # As it was: how busy the machine is now affects none of its runs.
                return begun
            notes[:0] = begun["notes"]

        def keep(name: str, run: dict[str, Any]) -> None:
            found[name].append(run)
            if file:
                _write(file, result())

        timed = {
            entrant.name: partial(next, entrant.runs(target, seeds, every, budget, say, len(found[entrant.name]), keep))
            for entrant in entrants
        }
        time_in_turn(timed, len(seeds))
    return result()


def _read(file: Path) -> dict[str, Any]:
    """Returns what an earlier measurement wrote, {} where there is nothing. Raises UserError for any other file."""
    # A pipe or a device holds nothing.
    if not file.is_file():
        return {}
    # Imports torch.
    from benchmarks.run_folder.files import Folder

    there = file.resolve()
    begun = Folder(there.parent).read_object(there.name)
    if begun.get("kind") != "quality":
        raise UserError(f"{file} does not hold a measurement of --to; delete it, or choose another name")
    return begun


def _write(file: Path, measured: Mapping[str, Any]) -> None:
    """Writes what is measured so far; a pipe or a device gets the end result alone, from the command."""
    if file.exists() and not file.is_file():
        return
    from benchmarks.run_folder.files import Folder

    file = file.resolve()
    folder = Folder(file.parent)
    folder.make()
    folder.write_json(file.name, measured)


def refuse_other_settings(file: Path, begun: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises UserError where runs of a file were measured otherwise than those here would be; both as JSON values."""
    try:
        before, now = _list_settings(begun), _list_settings(here)
        whole = all(type(note) is str for note in begun["notes"]) and all(
            [run["seed"] for run in row["runs"]] == begun["seeds"][: len(row["runs"])]
            and all(type(run["reached"]) is bool and {*COUNTED, "why"} <= run.keys() for run in row["runs"])
            for row in begun["rows"]
        )
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{file} is damaged; delete it to begin anew")
    differing = [
        # The value of a checksum tells nobody anything.
        name + ("" if "checksum" in name else f" ({before.get(name)}, and here {value})")
        for name, value in now.items()
        if before.get(name) != value
    ]
    if any(name.startswith("contestants") for name in differing):
        # Of others, it goes without saying that they differ.
        differing = [name for name in differing if not any(f" of {kind} " in name for kind in ("ours", "tutorial"))]
    if differing:
        raise UserError(f"{file} was measured otherwise: {', '.join(differing)}; delete it to begin anew")


def _list_settings(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all that runs depend on, by what it is called: what is not a result."""
    measured = json.loads(json.dumps(measured))
    hidden = {"code", "plugins"}
    listed = {
        f"checksum of {name}" if name in hidden else name: value
        for name, value in (measured | measured["machine"]).items()
        if name not in ("machine", "load_before", "notes", "rows")
    }
    listed["contestants"] = ", ".join(f"{row['kind']} {row['variant']} on {row['dataset']}" for row in measured["rows"])
    for row in measured["rows"]:
        who = f"{row['kind']} {row['variant']} on {row['dataset']}"
        listed |= {
            f"checksums of data and classifiers of {who}" if name == "judge" else f"{name} of {who}": value
            for name, value in row.items()
            if name not in ("kind", "variant", "dataset", "reached", "until", "runs", "missing")
        }
    return listed


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
        self,
        target: Target,
        seeds: Sequence[int],
        every: int,
        budget: float,
        say: Callable[[str], None],
        there: int,
        keep: Callable[[str, dict[str, Any]], None],
    ) -> Iterator[None]:
        """Yields once for each seed, whose run is trained when it is asked for, and then kept.

        there: how many seeds have their run already.
        """
        for number, seed in enumerate(seeds):
            if number < there:
                yield
                continue
            run = run_to(self.process, target, seed, every, budget)
            told = f"met the target after {run['updates']:,} updates" if run["reached"] else f"did not: {run['why']}"
            say(f"{self.name}, seed {seed}: {told}, {run['training_seconds']:.1f} s of training")
            keep(self.name, run)
            yield

    def make_row(self, runs: list[dict[str, Any]], seeds: Sequence[int]) -> dict[str, Any]:
        """Returns the runs with what they have in common, and the seeds that have none yet, as JSON values."""
        return {
            "kind": self.kind,
            "variant": self.case.variant,
            **self.facts,
            "reached": sum(run["reached"] for run in runs),
            "until": {counted: summarize(runs, counted) for counted in COUNTED},
            "missing": list(seeds[len(runs) :]),
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
