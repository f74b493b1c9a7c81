"""Which of two examples the discriminator takes for more real: ranks of logits, which no scale of them can change.

The discriminator is in evaluation mode, and sees examples in batches and packs as in training.
"""

import math

import torch
from torch import Generator, Tensor, nn

from benchmarks.algorithm.batches import Packs
from benchmarks.datasets import Dataset, Split, placed
from benchmarks.evaluation.matching import alike
from benchmarks.evaluation.probes.base import Moment
from metrics.ranking import paired_probability_above, probability_above
from variants import Recipe

# Chosen, not tuned. With 2,000 examples on each side a probability has a standard error of at most 0.009; captions have
# sixty wrong conditions for each example, so there are fewer of those.
EXAMPLES, JUDGEMENTS = 2000, 20_000


def needs_condition(recipe: Recipe, dataset: Dataset) -> str:
    return "" if recipe.conditioning != "none" else "its discriminator takes no labels"


def needs_all_classes(recipe: Recipe, dataset: Dataset) -> str:
    return "" if dataset.train.has_labels_of(dataset.test) else "training lacks classes that the test examples have"


def label_use(moment: Moment, stream: Generator) -> dict[str, float]:
    """P(D(x, y) > D(x, y')) over real test examples and all their wrong labels; ½ is blind (I2)

    The discriminator was never trained on real examples with wrong labels.
    """
    data, discriminator = moment.dataset, moment.gan.discriminator.eval()
    conditions = data.conditions.to(stream.device)
    right, wrong = [], []
    for examples, condition in drawn(data.test, data.test, JUDGEMENTS // len(conditions), moment.recipe, stream):
        logits = torch.stack([judged(discriminator, examples, each.expand_as(condition)) for each in conditions], dim=1)
        own = condition[:: len(condition) // len(logits)]
        is_own = (own[:, None] == conditions).reshape(*logits.shape, -1).all(2)
        right.append(logits[is_own])
        wrong.append(logits[~is_own].reshape(len(logits), -1))
    return {"label_use": without_nan(paired_probability_above, torch.cat(right), torch.cat(wrong))}


def generalization_gap(moment: Moment, stream: Generator) -> dict[str, float]:
    """P(D(training example) > D(test example)); ½ is no gap (I3c)"""
    data, discriminator = moment.dataset, moment.gan.discriminator.eval()
    train, test = (
        torch.cat([judged(discriminator, *batch) for batch in drawn(split, data.test, EXAMPLES, moment.recipe, stream)])
        for split in (data.train, data.test)
    )
    return {"generalization_gap": without_nan(probability_above, train, test)}


def drawn(
    split: Split, like: Split, most: int, recipe: Recipe, stream: Generator
) -> list[tuple[Tensor, Tensor | None]]:
    """Examples of a split at random, with the label frequencies of another, in batches with their conditions.

    most: examples, if the other split has so many; a last batch that is not full is left out.
    """
    count = min(EXAMPLES, most, len(like))
    whole = recipe.batch_size if count >= recipe.batch_size else recipe.pack
    count = max(count - count % whole, recipe.pack)

    packs = Packs(placed(split, stream.device), recipe)
    order = torch.randperm(len(split), generator=stream, device=stream.device).cpu()
    shuffled = Split(order, None if split.labels is None else split.labels[order])
    leaders = order[alike(shuffled, like, count // packs.shared)].to(stream.device)
    batches = [packs.fill(part, stream) for part in leaders.split(packs.leaders)]
    return [packs.examples(indices) for indices in joined(batches, recipe, stream.device)]


def joined(batches: list[Tensor], recipe: Recipe, device: torch.device) -> list[Tensor]:
    """The batches as they are on a CPU. Elsewhere a call takes as long for one as for all, so they become one, unless
    the discriminator compares the examples of a batch with each other."""
    return batches if device.type == "cpu" or recipe.minibatch_discrimination else [torch.cat(batches)]


@torch.no_grad()
def judged(discriminator: nn.Module, examples: Tensor, condition: Tensor | None) -> Tensor:
    return discriminator(examples, condition).logits


def without_nan(rank, left: Tensor, right: Tensor) -> float:
    """A rank probability; NaN where a logit is."""
    return math.nan if left.isnan().any() or right.isnan().any() else rank(left, right)
