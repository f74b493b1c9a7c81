"""Draws the batches of an epoch: which examples stand together, and the noise and labels of fakes."""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from benchmarks.algorithm.random_streams import stream
from benchmarks.datasets import Split
from variants import Recipe
from variants.batch import Batch
from variants.noise import NOISES


class Packs:
    """Draws batches of examples; packs of a conditional variant share their condition."""

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
        """Returns the examples of a batch, and their condition where the recipe has any."""
        return self.data.images(indices), self.data.condition(indices) if self.conditional else None

    def condition(self, leaders: Tensor) -> Tensor | None:
        """Returns the condition of a batch whose packs begin with these examples."""
        condition = self.data.condition(leaders) if self.conditional else None
        return condition if self.shared == 1 else condition.repeat_interleave(self.shared, dim=0)

    def fill(self, leaders: Tensor, order: Generator) -> Tensor:
        """Returns the indices of a batch: each leader, followed by others of its condition."""
        if self.shared == 1:
            return leaders
        classes = self.classes[leaders][:, None]
        drawn = torch.rand(len(leaders), self.shared - 1, generator=order, device=leaders.device)
        others = self.by_class[self.starts[classes] + (drawn * self.counts[classes]).long()]
        return torch.cat((leaders[:, None], others), dim=1).flatten()


def real_batches(packs: Packs, examples: int, order: Generator) -> Iterator[Tensor]:
    """Yields endless batches of indices in random order; drops the rest of a pass that fills no batch."""
    while True:
        shuffled = torch.randperm(examples, generator=order, device=order.device)
        for leaders in shuffled.split(packs.leaders)[: examples // packs.leaders]:
            yield packs.fill(leaders, order)


def epoch_batches(recipe: Recipe, data: Split, seed: int, epoch: int) -> Iterator[Batch]:
    """Yields the endless batches of an epoch: one for each discriminator update, then one for the generator.

    The generator's batch has the real examples of the one before it, and labels drawn at their frequencies in training.
    An unconditional recipe has no labels.
    """
    ahead = drawn_ahead(recipe, data)
    return split_updates(epoch_parts(recipe, data, seed, epoch, ahead), ahead)


def stacked_batches(recipe: Recipe, data: Sequence[Split], seeds: Sequence[int], epoch: int) -> Iterator[Batch]:
    """Yields the endless batches of several seeds as one, each tensor (seeds, batch, ...)."""
    ahead = drawn_ahead(recipe, data[0])
    parts = [epoch_parts(recipe, split, seed, epoch, ahead) for split, seed in zip(data, seeds, strict=True)]
    return split_updates((stack_seeds(each, len(ahead)) for each in zip(*parts, strict=True)), ahead)


# Most bytes of real examples that are drawn at once for a seed, and most updates. Chosen, not tuned.
AHEAD_BYTES, AHEAD = 2**25, 32

Ahead = tuple[int] | tuple[()]
"""Type of the leading axis of batches that are drawn at once: (updates,), or () where each is drawn for itself."""


def drawn_ahead(recipe: Recipe, data: Split) -> Ahead:
    """Returns for how many updates batches are drawn at once; the drawn numbers depend on it, so it never changes.

    On a CPU each batch is drawn for itself, and stays in the caches. On a GPU a call takes longer to launch than to do.
    """
    if data.data.device.type == "cpu":
        return ()
    batches = recipe.critic_steps if recipe.critic_batch == "fresh" else 1
    bytes_of_one = 4 * batches * recipe.batch_size * data.images(slice(0, 1)).numel()
    return (max(1, min(AHEAD, AHEAD_BYTES // bytes_of_one)),)


def epoch_parts(recipe: Recipe, data: Split, seed: int, epoch: int, ahead: Ahead) -> Iterator[list[Batch]]:
    """Yields the batches of some updates at once: a Batch for each step, with tensors (*ahead, batch, ...)."""
    device = data.data.device
    order, labels, noise, within = (
        stream(seed, name, epoch, device) for name in ("shuffle", "labels", "noise", "updates")
    )
    draw, size, updates = NOISES[recipe.noise], recipe.batch_size, math.prod(ahead)
    packs = Packs(data, recipe)
    batches = real_batches(packs, len(data), order)

    def shaped(tensor: Tensor | None) -> Tensor | None:
        return tensor.view(*ahead, size, *tensor.shape[1:]) if ahead and tensor is not None else tensor

    while True:
        turns = []
        for step in range(recipe.critic_steps):
            if step == 0 or recipe.critic_batch == "fresh":
                indices = torch.cat([next(batches) for _ in range(updates)]) if ahead else next(batches)
                examples, condition = map(shaped, packs.examples(indices))
                if recipe.shuffled_conditions:
                    # The order within a batch is random, so each example's neighbour is any other; packs stay whole.
                    condition = condition.roll(packs.shared, len(ahead))
            turns.append(Batch(examples, condition, draw((*ahead, size, recipe.noise_size), noise), condition, within))
        fake_condition = None
        if packs.conditional:
            drawn = torch.randint(len(data), (updates * packs.leaders,), generator=labels, device=device)
            fake_condition = shaped(packs.condition(drawn))
        turns.append(Batch(examples, condition, draw((*ahead, size, recipe.noise_size), noise), fake_condition, within))
        yield turns


def stack_seeds(seeds: Sequence[list[Batch]], axis: int) -> list[Batch]:
    """Stacks the batches of all seeds along a new axis.

    Batches that share a tensor still share it afterwards.
    """
    stacked: dict[int, Tensor | None] = {id(None): None}

    def of_all(fields: Sequence[Tensor | None]) -> Tensor | None:
        if id(fields[0]) not in stacked:
            stacked[id(fields[0])] = torch.stack(fields, axis)
        return stacked[id(fields[0])]

    return [
        Batch(*map(of_all, list(zip(*(batch[:-1] for batch in turn), strict=True))), tuple(b.stream for b in turn))
        for turn in zip(*seeds, strict=True)
    ]


def split_updates(parts: Iterable[list[Batch]], ahead: Ahead) -> Iterator[Batch]:
    """Yields the batches of all updates one by one. Batches that share a tensor still share it."""
    for turns in parts:
        if not ahead:
            yield from turns
            continue
        rows: dict[int, Sequence[Tensor | None]] = {id(None): [None] * ahead[0]}
        for turn in turns:
            rows |= {id(field): field.unbind() for field in turn[:-1] if id(field) not in rows}
        for update in range(ahead[0]):
            for turn in turns:
                yield Batch(*[rows[id(field)][update] for field in turn[:-1]], turn.stream)


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    """Returns the tensors of a batch by the names of its fields."""
    return {name: value for name, value in batch._asdict().items() if isinstance(value, Tensor)}
