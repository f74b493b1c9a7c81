"""benchmarks.training.listener: TODO."""

from benchmarks.config import RunConfig


class ProgressListener:
    """Who is told how the training goes. This one does not listen."""

    def say(self, sentence: str) -> None:
        """Something the person should know, once."""

    def start(self, config: RunConfig, updates: int, done: int) -> None:
        """Training starts: how many updates of each network an epoch has, and how many epochs are done."""

    def update(self, epoch: int, updates: int) -> None:
        """Some generator updates of this epoch are done."""

    def line(self, line: dict) -> None:
        """A line of the journal is written."""
