"""Checkerboard artefacts: too much power at the frequencies of the upsampling's lattice.

A transposed convolution whose stride does not divide its kernel covers pixels unevenly, with the stride as its period
(Odena, Dumoulin & Olah 2016). Each later layer of stride 2 doubles the period of what the layers before it leave: of
two such layers, the first leaves period 4, and the last period 2. In the power spectrum that stands out as peaks at
multiples of size / period. The contrast of peak and surroundings is this project's own figure; compare Durall et al.
2020.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows

_ROWS = 1000


# Frequencies between the lines of the coarsest lattice: fewer, and neighbours of one would be neighbours of the next.
# It is also the smallest map from which convolutions upsample (Radford et al. 2016).
_APART = 4


def periods(height: int, width: int) -> tuple[int, ...]:
    """The periods that layers of stride 2 leave in images of this size: 2, 4, … while they fit in four times."""
    return tuple(2**power for power in range(1, (min(height, width) // _APART).bit_length()))


def mean_power(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "rows columns"]:
    """The power spectrum, averaged over images and channels, float64; frequency (0, 0) is its first entry.

    Of the largest part of the images that all their `periods` divide, so that each has frequencies of its own.
    """
    longest = max(periods(*images.shape[2:]), default=1)
    rows, columns = (side // longest * longest for side in images.shape[2:])
    total = torch.zeros(rows, columns, dtype=torch.float64, device=images.device)
    for part in images[:, :, :rows, :columns].split(chunk_rows(_ROWS, images)):
        total += torch.fft.fft2(part).abs().square().double().mean(1).sum(0)
    return total / len(images)


def lattice(height: int, width: int, period: int) -> list[tuple[int, int]]:
    """The frequencies of a pattern of this period, without those that a pattern of half the period has, too.

    Raises Unmeasurable where the size is no multiple of the period.
    """
    if height % period or width % period:
        raise Unmeasurable(f"a period of {period} has no frequency of its own in images of {height} x {width}")
    shared = 2 if period % 2 == 0 else period
    return [
        (row * height // period, column * width // period)
        for row in range(period)
        for column in range(period)
        if row % shared or column % shared
    ]


def checkerboard_contrast(power: Float[Tensor, "height width"], period: int = 2) -> float:
    """log10 of the mean power at the lattice frequencies of a period over that of their 8 neighbours, in decades.

    Above 0 where a checkerboard stands out, below 0 where power is lacking. Compare with the same on real images; not
    for images below 16 x 16, whose neighbouring frequencies are too few. Raises Unmeasurable as `lattice` does.
    """
    height, width = power.shape
    frequencies = lattice(height, width, period)
    around = [
        ((row + down) % height, (column + across) % width)
        for row, column in frequencies
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
        if down or across
    ]
    # A trace of the whole, so that images with no power there, such as a constant, have a contrast of 0.
    trace = 1e-12 * power.mean() + 1e-30
    peaks = torch.stack([power[at] for at in frequencies]).mean() + trace
    surroundings = torch.stack([power[at] for at in around]).mean() + trace
    return (peaks / surroundings).log10().item()


def contrasts(power: Float[Tensor, "height width"]) -> dict[int, float]:
    """The contrast of every period that layers of stride 2 leave."""
    return {period: checkerboard_contrast(power, period) for period in periods(*power.shape)}
