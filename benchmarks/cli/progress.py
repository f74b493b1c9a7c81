"""Shows the progress of a run and of a suite."""

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.config import RunConfig
from benchmarks.executors import Result
from benchmarks.training.listener import ProgressListener

console = Console(highlight=False)

# Seconds between two redraws of the bar, which cost as much as a small network's update; chosen, not tuned.
BAR_SECONDS = 0.1
# Metrics of the line after an evaluation, in this order, if they apply; the summary has all.
HEADLINES = ("fid", "accuracy", "mode_coverage", "overlap", "modes_captured")


def say(sentence: str) -> None:
    """Prints a line unwrapped, so that a path or a command in it can be copied."""
    console.print(clean_text(sentence), markup=False, soft_wrap=True)


def clean_text(text: str) -> str:
    """Replaces the characters that would control a terminal: a run folder may come from a stranger."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class RunProgress(ProgressListener):
    """Shows a progress bar of one run, and a line for each evaluation."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("to go"),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = None
        self.said: set[str] = set()
        self.moved = 0.0

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.task is not None:
            self.progress.stop()

    def say(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            say(sentence)

    def start(self, config: RunConfig, updates: int, done: int) -> None:
        self.updates, self.epochs = updates, config.recipe.epochs
        console.print(f"[bold]{escape(config.name)}[/]: {self.epochs} epochs of {updates} generator updates")
        self.task = self.progress.add_task("epoch", total=self.epochs * updates, completed=done * updates, figures="")
        self.progress.start()

    def update(self, epoch: int, updates: int) -> None:
        if updates < self.updates and time.monotonic() - self.moved < BAR_SECONDS:
            return
        self.moved = time.monotonic()
        self.progress.update(
            self.task,
            completed=(epoch - 1) * self.updates + updates,
            description=f"epoch {epoch}/{self.epochs}",
        )

    def line(self, line: dict) -> None:
        curves, timing = line["curves"], line["timing"]
        if curves:
            self.progress.update(
                self.task,
                figures=f"G {curves['generator_loss']:.3f}  D {curves['discriminator_loss']:.3f}  "
                f"{timing['images_per_second']:,.0f} images/s",
            )
        if metrics := line.get("metrics"):
            shown = "  ".join(f"{name} {metrics[name]:.4g}" for name in HEADLINES if name in metrics)
            console.print(f"epoch {line['epoch']:>4}  {shown}")


# Seconds between two progress lines if there is no terminal to draw a bar on; chosen, not tuned.
_LINE_SECONDS = 60.0


class SuiteProgress:
    """Shows how many runs are done, running and failed, and the time to go. A context manager."""

    def __init__(self, title: str, runs: int) -> None:
        self.runs, self.done, self.failed, self.seconds = runs, 0, 0, 0.0
        self.killed = 0
        self.workers, self.began, self._told = 1, time.monotonic(), time.monotonic()
        self._trained, self._heard = 0, set[str]()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self.task = self.progress.add_task(title, total=runs, state="")

    def __enter__(self) -> "SuiteProgress":
        if console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if console.is_terminal:
            self.progress.stop()

    def say(self, sentence: str) -> None:
        say(sentence)

    def hear(self, sentence: str) -> None:
        """Prints the sentence of a run, `NAME: sentence`, once: notes on the data come from every run."""
        what = sentence.partition(": ")[2] or sentence
        if what not in self._heard:
            self._heard.add(what)
            self.say(sentence)

    def restart(self, title: str, runs: int) -> None:
        """Begins to count anew, for so many runs."""
        self.runs, self.done = runs, 0
        self.progress.update(self.task, description=title, total=runs, completed=0, state="")

    def ended(self, result: Result) -> None:
        self.done += 1
        self.failed += result.state == "FAILED"
        self.killed += result.state == "KILLED"
        if result.seconds:
            self._trained += 1
            self.seconds += result.seconds
        self.progress.update(self.task, completed=self.done, state=self.state)
        if not console.is_terminal and time.monotonic() - self._told > _LINE_SECONDS:
            self._told = time.monotonic()
            self.say(f"{self.done} of {self.runs} runs; {self.state}")

    @property
    def state(self) -> str:
        left = self.runs - self.done
        each = self.seconds / self._trained if self._trained else 0.0
        words = [f"{min(self.workers, left)} running", f"{self.failed} failed"]
        if self.killed:
            words.append(f"{self.killed} not ended")
        if each and left:
            words.append(f"about {format_duration(left * each / self.workers)} to go")
        return ", ".join(words)


def format_duration(seconds: float) -> str:
    """Formats seconds: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
