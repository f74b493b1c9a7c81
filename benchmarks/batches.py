"""Which examples stand together in a batch."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from benchmarks.datasets import Split
from variants import Recipe


class Packs:
    """Any examples make a batch, but packs of a conditional variant share their condition."""

    def __init__(self, data: Split, recipe: Recipe) -> None:
        self.data, self.size = data, recipe.batch_size
        self.shared = recipe.pack if recipe.conditioning != "none" else 1
        self.leaders = self.size // self.shared
        if self.shared > 1:
            # The place of each example's condition, a label or a caption, among all that there are.
            _, self.classes = data.condition(slice(None)).unique(dim=0, return_inverse=True)
            self.by_class = self.classes.argsort(stable=True)
            counts = self.classes.bincount()
            self.starts, self.counts = counts.cumsum(0) - counts, counts

    def condition(self, leaders: Tensor) -> Tensor | None:
        """The condition of a batch whose packs begin with these examples."""
        condition = self.data.condition(leaders)
        return condition if condition is None else condition.repeat_interleave(self.shared, dim=0)

    def fill(self, leaders: Tensor, order: Generator) -> Tensor:
        """The indices of a batch: each leader, and behind it others of its condition."""
        if self.shared == 1:
            return leaders
        classes = self.classes[leaders][:, None]
        drawn = torch.rand(len(leaders), self.shared - 1, generator=order, device=leaders.device)
        others = self.by_class[self.starts[classes] + (drawn * self.counts[classes]).long()]
        return torch.cat((leaders[:, None], others), dim=1).flatten()


def real_batches(packs: Packs, examples: int, order: Generator) -> Iterator[Tensor]:
    """Endless batches of indices in random order; what is left of a pass that fills no batch is left out of it."""
    while True:
        shuffled = torch.randperm(examples, generator=order, device=order.device)
        for leaders in shuffled.split(packs.leaders)[: examples // packs.leaders]:
            yield packs.fill(leaders, order)
