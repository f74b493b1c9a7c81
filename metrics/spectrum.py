"""Checkerboard artefacts: too much power at the frequencies of the upsampling's lattice.

A transposed convolution whose stride does not divide its kernel covers pixels unevenly, with the stride as its period
(Odena, Dumoulin & Olah 2016). In the power spectrum that stands out as peaks at multiples of size / stride. The
contrast of peak and surroundings is this project's own figure; compare Durall et al. 2020.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from metrics.parts import at_once
from metrics.record import Unmeasurable

_ROWS = 1000


def mean_power(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "height width"]:
    """The power spectrum, averaged over images and channels, float64; frequency (0, 0) is its first entry."""
    height, width = images.shape[2:]
    total = torch.zeros(height, width, dtype=torch.float64, device=images.device)
    for part in images.split(at_once(_ROWS, images)):
        total += torch.fft.fft2(part).abs().square().double().mean(1).sum(0)
    return total / len(images)


def checkerboard_contrast(power: Float[Tensor, "height width"], stride: int = 2) -> float:
    """log10 of the mean power at the lattice frequencies of a stride over that of their 8 neighbours, in decades.

    Above 0 where a checkerboard stands out. Compare with the same on real images; not for images below 16 x 16, whose
    neighbouring frequencies are too few. Raises Unmeasurable where the size is no multiple of the stride.
    """
    height, width = power.shape
    if height % stride or width % stride:
        raise Unmeasurable(f"a stride of {stride} has no lattice frequency in images of {height} x {width}")
    rows, columns = torch.arange(stride) * (height // stride), torch.arange(stride) * (width // stride)
    lattice = [(r, c) for r in rows.tolist() for c in columns.tolist() if r or c]
    around = [
        ((r + down) % height, (c + across) % width)
        for r, c in lattice
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
        if down or across
    ]
    # A trace of the whole, so that images with no power there, such as a constant, have a contrast of 0.
    trace = 1e-12 * power.mean() + 1e-30
    peaks = torch.stack([power[at] for at in lattice]).mean() + trace
    surroundings = torch.stack([power[at] for at in around]).mean() + trace
    return (peaks / surroundings).log10().item()
