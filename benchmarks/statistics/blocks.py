"""Computes the shift of two groups in several blocks, such as the learning rates that both arms are trained at.

Ranks are taken within each block, so that differences between blocks do not count, and summed over blocks with the
weight 1 / (n + m + 1) of a block of n and m runs (van Elteren 1960), which gives each block its share. The distribution
of the sum is exact under ties: that of each block, convolved.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, reduce

import numpy as np

from benchmarks.statistics.ranks import (
    Shift,
    Tails,
    check_values,
    combine_exactly,
    double_ranks,
    find_sides,
    find_tails,
    median_known,
    subset_sums,
)

Block = tuple[Sequence[float], Sequence[float]]
"""Values of the treatment and of the control."""

# Weights are whole numbers, so that the sums are; the test is exact whatever they are.
_UNIT = 1000


def stratified(blocks: Sequence[Block]) -> Shift:
    """Returns the shift of the treatment above the control, the same in all blocks.

    The estimate is the median of the differences within blocks, weighted as the test is. A block in which a group is
    empty says nothing. Raises ValueError for a NaN, and where no block has both groups.
    """
    both = [tuple(check_values(group) for group in block) for block in blocks if all(map(len, block))]
    if not both:
        raise ValueError("no block has values of both groups")
    sizes = [tuple(map(len, block)) for block in both]
    weights = block_weights(sizes)
    differences = [combine_exactly(lambda x, y: x - y, *block) for block in both]
    breaks, side = find_sides(np.concatenate([each.ravel() for each in differences]))
    own = [tuple(map(double_ranks, block)) for block in both]
    ends = np.cumsum([n * m for n, m in sizes])[:-1]

    def at(place: int) -> Tails:
        parts, observed = [], 0
        for larger, size, (above, below), weight in zip(np.split(side(place), ends), sizes, own, weights, strict=True):
            # As in `two_groups`.
            pairs = larger.reshape(size).astype(np.int64)
            ranks = [above + (1 + pairs).sum(axis=1), below + (1 - pairs).sum(axis=0)]
            parts.append((tuple(np.sort(np.concatenate(ranks)).tolist()), size[0], weight))
            observed += weight * int(ranks[0].sum())
        return find_tails(_weighted_sums(tuple(parts)), observed)

    repeated = [np.repeat(each.ravel(), weight) for each, weight in zip(differences, weights, strict=True)]
    return Shift(median_known(np.concatenate(repeated)), breaks, at)


def block_weights(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Returns a whole number for each block, in proportion to 1 / (n + m + 1) to within a few per cent."""
    weights = [round(_UNIT / (n + m + 1)) for n, m in sizes]
    common = math.gcd(*weights)
    return [max(1, weight // common) for weight in weights]


@lru_cache(maxsize=256)
def _weighted_sums(parts: tuple[tuple[tuple[int, ...], int, int], ...]) -> np.ndarray:
    """Returns the probability of each weighted sum of random subsets. parts: ranks, size of the subset, and weight."""
    return reduce(_convolve, ((subset_sums(ranks, size), weight) for ranks, size, weight in parts), np.ones(1))


def _convolve(total: np.ndarray, part: tuple[np.ndarray, int]) -> np.ndarray:
    own, weight = part
    both = np.zeros(len(total) + weight * (len(own) - 1))
    for place in own.nonzero()[0].tolist():
        both[weight * place : weight * place + len(total)] += own[place] * total
    return both
