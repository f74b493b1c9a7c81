"""Planted checkerboards stand out at their own period, and nothing else does."""

import math

import pytest
import torch
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.spectrum import checkerboard_contrast, contrasts, lattice, mean_power, periods
from tests.tensors import normal


def test_a_planted_checkerboard_stands_out_by_its_power() -> None:
    noise = normal(1, 2000, 1, 16, 16)
    flat = checkerboard_contrast(mean_power(noise))
    assert flat == pytest.approx(0, abs=0.05)
    board = (-1.0) ** (torch.arange(16)[:, None] + torch.arange(16))
    # White noise has power 256 at every frequency; the board adds (256 a)² at one of the three lattice frequencies.
    amplitude = 0.5
    wanted = math.log10((256 + (256 * amplitude) ** 2 / 3) / 256)
    assert checkerboard_contrast(mean_power(noise + amplitude * board)) == pytest.approx(wanted, abs=0.05)


def test_the_neighbours_of_a_lattice_frequency_leave_out_the_mean_of_the_image() -> None:
    noise = normal(1, 100, 3, 8, 12)
    assert checkerboard_contrast(mean_power(noise), 4) == pytest.approx(
        checkerboard_contrast(mean_power(noise + 100), 4), rel=1e-6
    )
    assert checkerboard_contrast(mean_power(torch.ones(3, 1, 8, 8)), 4) == pytest.approx(0, abs=1e-3)
    for period in (5, 3, 8):  # neither side, one side, the other one
        with pytest.raises(Unmeasurable, match=f"a period of {period} has no frequency of its own in images of 8 x 12"):
            checkerboard_contrast(mean_power(noise), period)


@pytest.mark.parametrize(("size", "wanted"), [(4, ()), (8, (2,)), (16, (2, 4)), (28, (2, 4)), (32, (2, 4, 8))])
def test_periods_are_those_that_layers_of_stride_2_leave(size: int, wanted: tuple[int, ...]) -> None:
    assert periods(size, size) == periods(size, 2 * size) == periods(size + 1, size) == wanted


def test_the_frequencies_of_all_periods_are_those_of_the_longest_one() -> None:
    found = [at for period in (2, 4, 8) for at in lattice(32, 64, period)]
    assert len(found) == len(set(found)) == 63
    assert set(found) == {(r, c) for r in range(0, 32, 4) for c in range(0, 64, 8)} - {(0, 0)}
    assert lattice(9, 9, 3) == [(0, 3), (0, 6), (3, 0), (3, 3), (3, 6), (6, 0), (6, 3), (6, 6)]


def pattern(height: int, width: int, period: int) -> Tensor:
    """Fields of half a period, −1 and 1."""
    down, across = ((torch.arange(side) // (period // 2) % 2) * 2.0 - 1 for side in (height, width))
    return down[:, None] * across


def natural(seed: int, height: int, width: int) -> Tensor:
    """Images whose power falls with the square of the frequency, as that of photographs does; of deviation 1."""
    noise = torch.fft.fft2(normal(seed, 500, 2, height, width))
    down, across = (torch.fft.fftfreq(side, 1 / side) for side in (height, width))
    images = torch.fft.ifft2(noise / (1 + down[:, None] ** 2 + across**2).sqrt()).real
    return images / images.std()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 17), (28, 28), (33, 33), (29, 40)])
@pytest.mark.parametrize(("amplitude", "least"), [(0.1, 0.1), (0.2, 0.3)])
def test_a_pattern_is_seen_at_its_own_period_and_at_no_other(
    height: int, width: int, amplitude: float, least: float
) -> None:
    real, fresh = natural(1, height, width), natural(2, height, width)
    base = contrasts(mean_power(real))

    def above(images: Tensor) -> dict[int, float]:
        return {period: contrast - base[period] for period, contrast in contrasts(mean_power(images)).items()}

    sound = above(fresh)
    assert all(abs(excess) < 0.05 for excess in sound.values())
    for period in base:
        planted = above(fresh + amplitude * pattern(height, width, period))
        assert planted.pop(period) > least
        assert all(abs(excess - sound[other]) < 0.05 for other, excess in planted.items())


def test_what_lacks_the_power_of_its_neighbours_has_a_negative_contrast() -> None:
    real = normal(1, 500, 1, 28, 28)
    for period in periods(28, 28):
        spectrum = torch.fft.fft2(real)
        for row, column in lattice(28, 28, period):
            spectrum[:, :, row, column] *= 0.1
        found = contrasts(mean_power(torch.fft.ifft2(spectrum).real))
        # A tenth of the amplitude is a hundredth of the power.
        assert found.pop(period) == pytest.approx(-2, abs=0.05)
        assert all(abs(contrast) < 0.05 for contrast in found.values())
