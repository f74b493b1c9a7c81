"""benchmarks.evaluation.matching: TODO."""

import torch
from torch import Tensor

from benchmarks.datasets import Split
from variants.recipe import UserError


def match_labels(split: Split, reference: Split, samples: int) -> Tensor:
    """Indices (samples,) into a split, with the label frequencies of the reference, spread evenly over the order.

    A label's examples are taken in their order, again from the first where there are too few. Raises UserError where
    the split lacks a label that the reference has.
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
    """Indices (samples,) into the reference whose labels have its frequencies, to within one sample a label.

    All of them in order where there are as many. Otherwise labels are spread evenly over the order, so that any
    beginning of it has nearly the same frequencies. Without labels the reference is gone through as often as needed.
    """
    if samples == len(reference) or reference.labels is None:
        return torch.arange(samples) % len(reference)
    return match_labels(reference, reference, samples)


def draw_matched(reference: Split, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) of different examples, random within each label, with the label frequencies of all."""
    shuffled = torch.randperm(len(reference), generator=generator)
    return shuffled[match_labels(reference.part(shuffled), reference, count)]


def thin(rows: Tensor, most: int, labels: Tensor | None = None) -> Tensor:
    """At most so many rows, evenly spread over their order; with labels, over the examples of each label.

    Labels may come in turn, as those of `match_labels` do: then every second row has half of them only.
    """
    if len(rows) <= most:
        return rows
    even = torch.arange(most, device=rows.device) * len(rows) // most
    return rows[even if labels is None else labels.argsort(stable=True)[even].sort().values]
