"""Many runs at once: submitted, watched, and done again where the machine was to blame."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import groupby

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.executors import Job, Result, Settings, open_executor
from benchmarks.run_folder.folder import RunFolder
from benchmarks.terminal import printable
from variants.recipe import Refused

TRIES = 2
# Seconds between two lines about the progress where there is no terminal to draw a bar on; chosen, not tuned.
EVERY = 60.0


class Live:
    """How many runs are done, running and failed, and the time to go. A context manager.

    expected: seconds that each run is expected to take; 0 until the first ones tell.
    """

    def __init__(self, title: str, runs: int, expected: float = 0.0) -> None:
        self.console = Console(highlight=False)
        self.runs, self.done, self.failed, self.seconds, self.expected = runs, 0, 0, 0.0, expected
        self.killed = 0
        self.workers, self.began, self._told = 1, time.monotonic(), time.monotonic()
        self._trained, self._heard = 0, set[str]()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=self.console,
        )
        self.task = self.progress.add_task(title, total=runs, state="")

    def __enter__(self) -> "Live":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.progress.stop()

    def say(self, sentence: str) -> None:
        self.console.print(printable(sentence), markup=False, soft_wrap=True)

    def hear(self, sentence: str) -> None:
        """Says what a run says, `NAME: sentence`, unless another one has said it, as all do with notes on the data."""
        what = sentence.partition(": ")[2] or sentence
        if what not in self._heard:
            self._heard.add(what)
            self.say(sentence)

    def ended(self, result: Result) -> None:
        self.done += 1
        self.failed += result.state == "FAILED"
        self.killed += result.state == "KILLED"
        if result.seconds:
            self._trained += 1
            self.seconds += result.seconds
        self.progress.update(self.task, completed=self.done, state=self.state)
        if not self.console.is_terminal and time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            self.say(f"{self.done} of {self.runs} runs; {self.state}")

    @property
    def state(self) -> str:
        left = self.runs - self.done
        each = self.seconds / self._trained if self._trained else self.expected
        words = [f"{min(self.workers, left)} running", f"{self.failed} failed"]
        if self.killed:
            words.append(f"{self.killed} not ended")
        if each and left:
            words.append(f"about {duration(left * each / self.workers)} to go")
        return ", ".join(words)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run_jobs(
    jobs: Sequence[Job],
    executor: str,
    settings: Settings,
    live: Live,
    *,
    workers: int = 0,
    address: str = "",
    ended: Callable[[int, Result], None] = lambda place, result: None,
) -> list[Result]:
    """Trains all jobs, in their order, and gives every run's Result, in the order in which they ended.

    What is trained already is found without being handed to the executor. A failed run stops no other; one whose cause
    was the machine is tried once more, after the others. ended: is told of each run with the place of its job. Ctrl-C
    leaves runs that the same command goes on with.
    """
    results: list[Result] = []
    waiting: list[tuple[int, int]] = []
    for place, job in enumerate(jobs):
        for which, config in enumerate(job.configs):
            state = RunFolder(settings.runs_dir / config.name).status()["state"]
            if state == "FINISHED" and not settings.retrain:
                results.append(Result(config.name, "FINISHED", found=True))
                live.ended(results[-1])
                ended(place, results[-1])
            else:
                waiting.append((place, which))
    if not waiting:
        return results
    with open_executor(executor, settings, workers, address, say=live.hear) as opened:
        live.workers = opened.workers
        pending: dict[Future[Result], tuple[int, int, int]] = {}
        for place, places in groupby(waiting, key=lambda each: each[0]):
            left = [which for _, which in places]
            job = Job(tuple(jobs[place].configs[which] for which in left), jobs[place].notes)
            for which, future in zip(left, opened.submit(job), strict=True):
                pending[future] = (place, which, 1)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                place, which, tried = pending.pop(future)
                result = future.result()
                if result.machine and tried < TRIES:
                    live.say(f"{result.name} did not end, and is tried once more: {result.cause}")
                    (again,) = opened.submit(Job((jobs[place].configs[which],), jobs[place].notes))
                    pending[again] = (place, which, tried + 1)
                    continue
                if result.state != "FINISHED":
                    live.say(f"{result.name} {'failed' if result.state == 'FAILED' else 'did not end'}: {result.cause}")
                results.append(result)
                live.ended(result)
                ended(place, result)
    return results


def all_ended(results: Sequence[Result]) -> None:
    """Raises Refused where a run has not ended, since nothing may be decided without it."""
    if left := [result for result in results if result.state == "KILLED"]:
        raise Refused(
            f"{len(left)} of {len(results)} runs did not end, such as {left[0].name} ({left[0].cause}); the same "
            "command goes on with them"
        )
