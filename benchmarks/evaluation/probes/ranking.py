"""Measures which of two examples the discriminator ranks as more real; no scale of the logits changes a rank.

The discriminator is in evaluation mode, and sees examples in batches and packs as in training.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from benchmarks.algorithm.batches import Packs
from benchmarks.datasets import Dataset, Split, place_split
from benchmarks.evaluation.matching import match_labels
from benchmarks.evaluation.probes.base import Moment
from metrics.ranking import paired_probability_above, probability_above
from variants import Recipe

# Chosen, not tuned. With 2,000 examples on each side a probability has a standard error of at most 0.009. Captions have
# sixty wrong conditions for each example, so fewer examples are drawn for them.
_EXAMPLES, _LOGITS = 2000, 20_000


def refuse_without_condition(recipe: Recipe, dataset: Dataset) -> str:
    return "" if recipe.conditioning != "none" else "its discriminator takes no labels"


def refuse_missing_classes(recipe: Recipe, dataset: Dataset) -> str:
    return "" if dataset.train.has_labels_of(dataset.test) else "training lacks classes that the test examples have"


def measure_label_use(moment: Moment, stream: Generator) -> dict[str, float]:
    """P(D(x, y) > D(x, y')) over real test examples and all their wrong labels; ½ is blind (I2)

    The discriminator was never trained on real examples with wrong labels.
    """
    data, discriminator = moment.dataset, moment.gan.discriminator.eval()
    conditions = data.conditions.to(stream.device)
    right, wrong = [], []
    for examples, condition in draw_batches(data.test, data.test, _LOGITS // len(conditions), moment.recipe, stream):
        logits = torch.stack([_logits(discriminator, examples, each.expand_as(condition)) for each in conditions], 1)
        own = condition[:: len(condition) // len(logits)]
        is_own = (own[:, None] == conditions).reshape(*logits.shape, -1).all(2)
        right.append(logits[is_own])
        wrong.append(logits[~is_own].reshape(len(logits), -1))
    return {"label_use": _rank_or_nan(paired_probability_above, torch.cat(right), torch.cat(wrong))}


def measure_generalization_gap(moment: Moment, stream: Generator) -> dict[str, float]:
    """P(D(training example) > D(test example)); ½ is no gap (I3c)"""
    data, discriminator = moment.dataset, moment.gan.discriminator.eval()
    train, test = (
        torch.cat(
            [
                _logits(discriminator, *batch)
                for batch in draw_batches(split, data.test, _EXAMPLES, moment.recipe, stream)
            ]
        )
        for split in (data.train, data.test)
    )
    return {"generalization_gap": _rank_or_nan(probability_above, train, test)}


def draw_batches(
    split: Split, like: Split, most: int, recipe: Recipe, stream: Generator
) -> list[tuple[Tensor, Tensor | None]]:
    """Draws examples of a split at random, with the label frequencies of `like`, in batches with their conditions.

    most: the largest number of examples; `like` may have fewer. An incomplete last batch is left out.
    """
    count = min(_EXAMPLES, most, len(like))
    whole = recipe.batch_size if count >= recipe.batch_size else recipe.pack
    count = max(count - count % whole, recipe.pack)

    packs = Packs(place_split(split, stream.device), recipe)
    order = torch.randperm(len(split), generator=stream, device=stream.device).cpu()
    shuffled = Split(order, None if split.labels is None else split.labels[order])
    leaders = order[match_labels(shuffled, like, count // packs.shared)].to(stream.device)
    batches = [packs.fill(part, stream) for part in leaders.split(packs.leaders)]
    return [packs.examples(indices) for indices in join_batches(batches, recipe, stream.device)]


def join_batches(batches: list[Tensor], recipe: Recipe, device: torch.device) -> list[Tensor]:
    """Joins batches into one on any device but a CPU: there, one call takes as long for few examples as for all.

    A discriminator that compares the examples of a batch with each other keeps its batches.
    """
    return batches if device.type == "cpu" or recipe.minibatch_discrimination else [torch.cat(batches)]


@torch.no_grad()
def _logits(discriminator: nn.Module, examples: Tensor, condition: Tensor | None) -> Tensor:
    return discriminator(examples, condition).logits


def _rank_or_nan(rank: Callable[[Tensor, Tensor], float], left: Tensor, right: Tensor) -> float:
    """Returns a rank probability, or NaN where a logit is NaN."""
    return math.nan if left.isnan().any() or right.isnan().any() else rank(left, right)
