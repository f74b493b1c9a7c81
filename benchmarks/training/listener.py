"""Defines who hears how a training goes."""

from benchmarks.config import RunConfig


class ProgressListener:
    """Hears how the training of one run goes. This one ignores it."""

    def say(self, sentence: str) -> None:
        """Hears a sentence for the user."""

    def start(self, config: RunConfig, updates: int, done: int) -> None:
        """Hears that training starts: generator updates in an epoch, and epochs that are done."""

    def update(self, epoch: int, updates: int) -> None:
        """Hears how many generator updates of an epoch are done."""

    def line(self, line: dict) -> None:
        """Hears a line of the journal."""
