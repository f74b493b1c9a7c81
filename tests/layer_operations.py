"""Counts by hand the operations of an update of linear layers, and names a small case to time."""

from itertools import pairwise

from benchmarks.timing.cases import Case

RING = Case("vanilla_gan", "ring8", changes={"batch_size": 32, "epoch_updates": 3, "epochs": 2})


def count_by_hand(batch: int, generator: list[int], discriminator: list[int]) -> int:
    """Counts the operations of one update of each network, from the widths of their linear layers."""

    def layers(widths: list[int]) -> list[int]:
        return [2 * batch * before * after for before, after in pairwise(widths)]

    g, d = layers(generator), layers(discriminator)
    # D1: fakes without gradients; both batches forward; gradients of weights, and of all inputs but the first ones.
    first = sum(g) + 2 * sum(d) + 2 * (sum(d) + sum(d[1:]))
    # D2: forward through both; the discriminator's inputs alone; the generator's weights, and inputs but the first.
    second = sum(g) + sum(d) + sum(d) + sum(g) + sum(g[1:])
    return first + second
