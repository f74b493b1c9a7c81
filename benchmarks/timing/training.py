"""Times training: a row for each variant and dataset. Needs no torch itself; the processes that train do."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from benchmarks.timing.cases import Case
from benchmarks.timing.machine import describe_machine, warn_if_busy
from benchmarks.timing.processes import Process
from benchmarks.timing.rounds import Spread, divide_rounds, time_in_turn
from variants.recipe import UserError


def measure_training(
    cases: Sequence[Case],
    *,
    against_stock: bool = True,
    rounds: int = 7,
    seconds: float = 2.0,
    skip_refused: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Times every case in turn, `rounds` times for about `seconds` a part; as JSON values.

    Args:
        skip_refused: leaves out a case that cannot be trained, with a note, instead of raising UserError.
    """
    machine = describe_machine()
    notes = warn_if_busy(machine)
    for note in notes:
        say(note)
    with ExitStack() as stack:

        def start(contestant: str, case: Case) -> Process:
            process = Process(contestant, case)
            stack.callback(process.end)
            process.send("facts")
            return process

        processes = [(case, start("Ours", case), start("Stock", case) if against_stock else None) for case in cases]
        contests = []
        for case, ours, stock in processes:
            try:
                facts = ours.receive()
            except UserError as refused:
                if not skip_refused:
                    raise
                notes.append(f"{case.name} is left out: {refused}")
                say(notes[-1])
                continue
            if stock is not None:
                try:
                    stock.receive()
                except UserError as refused:
                    notes.append(f"{case.name} has no stock to be compared with: {refused}")
                    say(notes[-1])
                    stock = None
            for note in facts.pop("notes"):
                if note not in notes:
                    notes.append(note)
                    say(note)
            machine |= facts.pop("software")
            contests.append(Contest(case, facts, ours, stock))
        if not contests:
            raise UserError("nothing is left to be timed")
        for contest in contests:
            say(f"warming up: {contest.case.name}")
            contest.warm(seconds)
        timed = {key: unit for contest in contests for key, unit in contest.timers().items()}
        say(f"timing {len(timed)} things in turn, {rounds} rounds")
        measured = time_in_turn(timed, rounds)
        rows = [contest.make_row(measured) for contest in contests]
    return {"kind": "training", "machine": machine, "rounds": rounds, "seconds": seconds, "notes": notes, "rows": rows}


class Contest:
    """Holds the processes of one case, and the number of units that each does in a round."""

    def __init__(self, case: Case, facts: dict[str, Any], ours: Process, stock: Process | None) -> None:
        self.case, self.facts, self.ours, self.stock = case, facts, ours, stock
        self.counts: dict[str, int] = {}
        self.memory: dict[str, float] = {}

    def warm(self, seconds: float) -> None:
        """Warms up, and finds how many units fill the time. Memory is read before the yardstick takes any."""
        self.counts["loop"] = self.ours.ask("count_in", "loop", seconds)
        self.memory["ours"] = self.ours.ask("memory")
        self.counts["peak"] = self.ours.ask("count_in", "peak", seconds / 2)
        self.peak_operations = self.ours.ask("peak_operations")
        if self.stock is not None:
            self.counts["stock"] = self.stock.ask("count_in", "loop", seconds)
            self.memory["stock"] = self.stock.ask("memory")

    def timers(self) -> dict[str, Callable[[], float]]:
        """Returns, by case and unit, a function that times one unit, in seconds."""

        def timer(process: Process, unit: str, count: int) -> Callable[[], float]:
            return lambda: process.ask("seconds_for", unit, count) / count

        units = {f"{self.case}/{unit}": timer(self.ours, unit, self.counts[unit]) for unit in ("loop", "peak")}
        if self.stock is not None:
            units[f"{self.case}/stock"] = timer(self.stock, "loop", self.counts["stock"])
        return units

    def make_row(self, measured: dict[str, list[float]]) -> dict[str, Any]:
        """Returns what was measured of this case, as JSON values."""
        facts = self.facts
        # Of several seeds that are trained as one, every figure is per seed.
        loop = [seconds / facts["seeds"] for seconds in measured[f"{self.case}/loop"]]
        peak = [self.peak_operations / seconds for seconds in measured[f"{self.case}/peak"]]
        achieved = [facts["operations"] / seconds for seconds in loop]
        row = {
            "variant": self.case.variant,
            "precision": self.case.precision,
            "changes": dict(self.case.changes),
            **facts,
            "ours": self._describe_loop(loop, "ours"),
            "gflops": Spread.of(each / 1e9 for each in achieved).as_dict(),
            "peak_gflops": Spread.of(each / 1e9 for each in peak).as_dict(),
            "share_of_peak": divide_rounds(achieved, peak).as_dict(),
        }
        if self.stock is not None:
            stock = measured[f"{self.case}/stock"]
            row["stock"] = self._describe_loop(stock, "stock")
            row["faster_than_stock"] = divide_rounds(stock, loop).as_dict()
        return row

    def _describe_loop(self, seconds: list[float], who: str) -> dict[str, Any]:
        images = self.facts["batch_size"] * self.facts["critic_steps"]
        return {
            "updates_in_a_round": self.counts["loop" if who == "ours" else "stock"],
            "ms_per_update": _milliseconds(seconds),
            "images_per_second": Spread.of(images / each for each in seconds).as_dict(),
            "memory_mib": self.memory[who],
        }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    return asdict(Spread.of(1e3 * each for each in seconds))
