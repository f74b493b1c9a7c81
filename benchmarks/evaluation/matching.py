"""Chooses examples with the label frequencies of the reference, so that a comparison is not one of frequencies."""

import torch
from torch import Tensor

from benchmarks.datasets import Split
from variants.recipe import UserError


def match_labels(split: Split, reference: Split, samples: int) -> Tensor:
    """Returns indices (samples,) into a split, with the reference's label frequencies, spread evenly over the order.

    Takes the examples of a label in their order, and starts again where there are too few. Raises UserError where the
    split lacks a label of the reference.
    """
    if reference.labels is None or not samples:
        return torch.arange(samples) % len(split)
    counts = torch.bincount(reference.labels)
    exact = counts.double() * samples / counts.sum()
    quota = exact.floor().long()
    # The largest remainders get what rounding down has left over.
    quota[(exact - quota).argsort(descending=True, stable=True)[: samples - int(quota.sum())]] += 1
    chosen, places = [], []
    for label in quota.nonzero().flatten().tolist():
        members = (split.labels == label).nonzero().flatten()
        if not len(members):
            raise UserError(f"no example has label {label}, which the reference has, so it cannot be compared with")
        n = int(quota[label])
        chosen.append(members[torch.arange(n) % len(members)])
        places.append((torch.arange(n) + 0.5) / n)
    return torch.cat(chosen)[torch.cat(places).argsort(stable=True)]


def match_reference(reference: Split, samples: int) -> Tensor:
    """Returns indices (samples,) into the reference with its label frequencies, to within one sample a label.

    They are in order if there are as many samples as examples. Otherwise labels are spread evenly, so that any
    beginning has nearly the same frequencies. Without labels the reference is repeated as often as needed.
    """
    if samples == len(reference) or reference.labels is None:
        return torch.arange(samples) % len(reference)
    return match_labels(reference, reference, samples)


def draw_matched(reference: Split, count: int, generator: torch.Generator) -> Tensor:
    """Draws indices (count,) of different examples, at random within each label, with the label frequencies of all."""
    shuffled = torch.randperm(len(reference), generator=generator)
    return shuffled[match_labels(reference.select(shuffled), reference, count)]
