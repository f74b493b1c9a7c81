"""What the updates of an epoch see: which examples stand together in a batch, and the noise and labels of fakes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from benchmarks.datasets import Split
from benchmarks.randomness import stream
from variants import Recipe
from variants.exchange import Batch
from variants.noise import NOISES


class Packs:
    """Any examples make a batch, but packs of a conditional variant share their condition."""

    def __init__(self, data: Split, recipe: Recipe) -> None:
        self.data, self.size = data, recipe.batch_size
        self.conditional = recipe.conditioning != "none"
        self.shared = recipe.pack if self.conditional else 1
        self.leaders = self.size // self.shared
        if self.shared > 1:
            # The place of each example's condition, a label or a caption, among all that there are.
            _, self.classes = data.condition(slice(None)).unique(dim=0, return_inverse=True)
            self.by_class = self.classes.argsort(stable=True)
            counts = self.classes.bincount()
            self.starts, self.counts = counts.cumsum(0) - counts, counts

    def examples(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The examples of a batch, and their condition where the recipe has any."""
        return self.data.images(indices), self.data.condition(indices) if self.conditional else None

    def condition(self, leaders: Tensor) -> Tensor | None:
        """The condition of a batch whose packs begin with these examples."""
        condition = self.data.condition(leaders) if self.conditional else None
        return condition if self.shared == 1 else condition.repeat_interleave(self.shared, dim=0)

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


def epoch_batches(recipe: Recipe, data: Split, seed: int, epoch: int) -> Iterator[Batch]:
    """Endless batches of one epoch, in turns: one for each discriminator update, then one for the generator's.

    The latter has the real examples of the one before it, and labels drawn at their frequencies in training. An
    unconditional recipe has none.
    """
    device = data.data.device
    order, labels, noise, within = (
        stream(seed, name, epoch, device) for name in ("shuffle", "labels", "noise", "updates")
    )
    draw, size = NOISES[recipe.noise], (recipe.batch_size, recipe.noise_size)
    packs = Packs(data, recipe)
    batches = real_batches(packs, len(data), order)
    while True:
        for step in range(recipe.critic_steps):
            if step == 0 or recipe.critic_batch == "fresh":
                indices = next(batches)
                examples, condition = packs.examples(indices)
                if recipe.shuffled_conditions:
                    # The order within a batch is random, so each example's neighbour is any other; packs stay whole.
                    condition = condition.roll(packs.shared, 0)
            yield Batch(examples, condition, draw(size, noise), condition, within)
        fake_condition = None
        if packs.conditional:
            drawn = torch.randint(len(data), (packs.leaders,), generator=labels, device=device)
            fake_condition = packs.condition(drawn)
        yield Batch(examples, condition, draw(size, noise), fake_condition, within)


def side_by_side(batches: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Batches of several seeds as one, each tensor (seeds, batch, ...); endless, as they are."""
    before: tuple[Batch, ...] = ()
    for parts in zip(*batches, strict=True):
        if not before or any(new.examples is not old.examples for new, old in zip(parts, before, strict=True)):
            examples, condition = stacked([p.examples for p in parts]), stacked([p.condition for p in parts])
        fake_condition = condition
        if any(part.fake_condition is not part.condition for part in parts):
            fake_condition = stacked([part.fake_condition for part in parts])
        noise, streams = stacked([part.noise for part in parts]), tuple(part.stream for part in parts)
        yield Batch(examples, condition, noise, fake_condition, streams)
        before = parts


def stacked(tensors: Sequence[Tensor | None]) -> Tensor | None:
    return None if tensors[0] is None else torch.stack(tensors)
