"""Draws mixtures of Gaussians in the plane, whose modes and density are known exactly.

The run's seed determines a draw of float32 points, and another one for testing; all modes are equally likely. The label
of a point is its mode; unconditional networks ignore it.
"""

import math
from pathlib import Path

import numpy as np
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Centres, Dataset, Split, checksum_of, numpy_stream, takes
from variants.base import DataSpec
from variants.recipe import UserError

_TRAIN_POINTS = 100_000
_TEST_POINTS = 10_000
RING_MODES = 8
ARC_PLACES = 16
# The distance of neighbouring centres on the unit ring of eight.
_NEIGHBOURS = 2 * math.sin(math.pi / RING_MODES)


@takes("radius", "sigma")
def ring8(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """8 Gaussians evenly on a circle (--radius 1, --sigma 0.01: Lin et al. 2018); drawn by the seed"""
    centres = _on_circle(config.radius or 1.0, RING_MODES, RING_MODES)
    return _mixture("ring8", centres, config.sigma or 0.01, 10.0, seed)


@takes("spacing", "sigma")
def grid25(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """25 Gaussians on a square grid (--spacing 2, --sigma 0.05: Lin et al. 2018); drawn by the seed"""
    steps = np.arange(-2, 3) * (config.spacing or 2.0)
    centres = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    return _mixture("grid25", centres, config.sigma or 0.05, 5.0, seed)


@takes("modes", "spacing", "sigma")
def arc(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """1 to 16 Gaussians (--modes 8) side by side on one circle, as far apart as those of ring8; drawn by the seed

    Varies the number of modes and nothing else. The circle has sixteen places, of which the first ones are taken, so
    for any number the modes keep their places, widths, and distances from the origin and from their neighbours
    (--spacing, by default as in ring8, --sigma 0.01). On an evenly divided ring the neighbours would come closer, and
    on a line the last mode would move away.
    """
    modes = config.modes or 8
    if modes > ARC_PLACES:
        raise UserError(f"--modes is at most {ARC_PLACES} on the arc, not {modes}")
    radius = (config.spacing or _NEIGHBOURS) / (2 * math.sin(math.pi / ARC_PLACES))
    return _mixture("arc", _on_circle(radius, ARC_PLACES, modes), config.sigma or 0.01, 10.0, seed)


def _on_circle(radius: float, places: int, taken: int) -> np.ndarray:
    # linspace up to 2 pi would repeat the first point as the last one, and make a ring of eight one of seven.
    angles = np.arange(taken) * (2 * math.pi / places)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _mixture(name: str, centres: np.ndarray, sigma: float, disc: float, seed: int) -> Dataset:
    modes = len(centres)

    def draw(part: str, count: int) -> Split:
        random = numpy_stream(seed, name, part)
        labels = random.integers(modes, size=count)
        points = centres[labels] + sigma * random.standard_normal((count, 2))
        return Split(torch.from_numpy(points.astype(np.float32)), torch.from_numpy(labels))

    train, test = draw("train", _TRAIN_POINTS), draw("test", _TEST_POINTS)
    return Dataset(
        name=name,
        spec=DataSpec((2,), bounded=False, classes=modes),
        train=train,
        test=test,
        reference=test,
        reference_note=f"against {len(test):,} points of another draw from the same mixture",
        modes=Centres(torch.from_numpy(centres.astype(np.float32)), sigma, disc),
        class_names=tuple(f"mode {mode}" for mode in range(modes)),
        checksum=checksum_of(train, test),
    )
