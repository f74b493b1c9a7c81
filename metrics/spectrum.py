"""Finds checkerboard artefacts: too much power at the frequencies of the upsampling's lattice.

A transposed convolution whose stride does not divide its kernel covers pixels unevenly, with the stride as its period
(Odena, Dumoulin & Olah 2016). Each later layer of stride 2 doubles the period: of two such layers, the first leaves
period 4, and the last period 2. The power spectrum then has peaks at multiples of size / period. The contrast of a peak
with its surroundings is this project's own measure; compare Durall et al. 2020.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows
from metrics.two_sample import TwoSampleMetric, figure

_ROWS = 1000
# The least distance between lattice frequencies, at which each has neighbours of its own. It is also the smallest map
# from which convolutions upsample (Radford et al. 2016).
_APART = 4


def periods(height: int, width: int) -> tuple[int, ...]:
    """Returns the periods that layers of stride 2 leave in images of this size: 2, 4, … while they fit four times."""
    return tuple(2**power for power in range(1, (min(height, width) // _APART).bit_length()))


def mean_power(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "rows columns"]:
    """Returns the power spectrum, averaged over images and channels, float64; frequency (0, 0) is the first entry.

    Crops the images to the largest size that all their `periods` divide, so that each period has its own frequencies.
    """
    return sum_power(images) / len(images)


def sum_power(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "rows columns"]:
    """Returns the same, summed over images."""
    longest = max(periods(*images.shape[2:]), default=1)
    rows, columns = (side // longest * longest for side in images.shape[2:])
    total = torch.zeros(rows, columns, dtype=torch.float64, device=images.device)
    for part in images[:, :, :rows, :columns].split(chunk_rows(_ROWS, images)):
        total += torch.fft.fft2(part).abs().square().double().mean(1).sum(0)
    return total


def lattice(height: int, width: int, period: int) -> list[tuple[int, int]]:
    """Returns the frequencies of a pattern of this period, without those of a pattern of half the period.

    Raises Unmeasurable if the size is no multiple of the period.
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
    """Returns log10 of the mean power at a period's lattice frequencies over that of their 8 neighbours, in decades.

    Above 0 for a checkerboard, below 0 for a lack of power. Compare with real images. Not for images below 16 x 16,
    which have too few neighbouring frequencies. Raises Unmeasurable as `lattice` does.
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
    # A small share of the mean power, so that images without power there, such as a constant one, have contrast 0.
    trace = 1e-12 * power.mean() + 1e-30
    peaks = torch.stack([power[at] for at in frequencies]).mean() + trace
    surroundings = torch.stack([power[at] for at in around]).mean() + trace
    return (peaks / surroundings).log10().item()


def contrasts(power: Float[Tensor, "height width"]) -> dict[int, float]:
    """Returns the checkerboard contrast of every period that layers of stride 2 leave."""
    return {period: checkerboard_contrast(power, period) for period in periods(*power.shape)}


class Checkerboard(TwoSampleMetric):
    """Compares the `checkerboard_contrast` of samples with that of real images, in decades.

    `compute` returns `checkerboard_period_<k>` for each period, the contrast above that of real images, and
    `checkerboard`, the largest of them, or 0 if none is positive. Keeps power spectra. See TwoSampleMetric.

    >>> import torch
    >>> metric = Checkerboard()
    >>> real = torch.randn(50, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> metric.update(real, real=True)
    >>> metric.update(real, real=False)
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'checkerboard': 0.0, 'checkerboard_period_2': 0.0, 'checkerboard_period_4': 0.0}
    """

    rows = ("power", "count")
    plot_lower_bound = 0.0

    def update(self, images: Tensor, real: bool) -> None:
        """Adds a batch of images (batch, channels, height, width)."""
        if not len(images):
            return
        power, count = sum_power(images)[None], torch.tensor([len(images)], device=images.device)
        self.add_rows(real, power, count, merge=lambda *rows: [each.sum(0, keepdim=True) for each in rows])

    def derive(self, real: tuple[Tensor, ...]) -> dict[int, float]:
        return _contrasts_of_sums(*real)

    def compute(self) -> dict[str, Tensor]:
        real, ours = self.derive_real(), _contrasts_of_sums(*self.get_rows(real=False))
        above = {f"checkerboard_period_{period}": ours[period] - real[period] for period in ours}
        return {name: figure(value) for name, value in {"checkerboard": max(0.0, *above.values()), **above}.items()}


def _contrasts_of_sums(power: Float[Tensor, "parts height width"], counts: Int[Tensor, " parts"]) -> dict[int, float]:
    return contrasts(power.sum(0) / counts.sum())
