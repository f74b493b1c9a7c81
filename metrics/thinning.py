"""Chooses fewer rows, evenly, for what is too costly with all."""

import torch
from torch import Tensor


def thin(rows: Tensor, most: int, labels: Tensor | None = None) -> Tensor:
    """Keeps at most so many rows, evenly spread over their order; with labels, over the examples of each label.

    Without labels, every second row of labels that alternate, as from `match_labels`, would hold half of the labels.
    """
    if len(rows) <= most:
        return rows
    even = torch.arange(most, device=rows.device) * len(rows) // most
    return rows[even if labels is None else labels.argsort(stable=True)[even].sort().values]
