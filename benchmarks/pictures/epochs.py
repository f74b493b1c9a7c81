"""Chooses the epochs with pictures, and draws the picture that fits the data: images, captions or points."""

import torch
from PIL.Image import Image
from torch import Tensor

from benchmarks.algorithm.sampling import Generate
from benchmarks.datasets import Centres, Dataset
from benchmarks.pictures import draw_grid, draw_points
from metrics.captions import DIGITS, all_captions
from variants import Recipe

# Points in a scatter plot: as many as in evaluations of mixtures in the literature.
_POINTS = 2500


def draw_samples(generate: Generate, dataset: Dataset, recipe: Recipe, caption: str) -> Image:
    """Draws ten columns of ten samples, a column a class for conditional variants (I3g), or a scatter plot of points.

    For captions: a column a digit, and a row for each combination of the other words.
    """
    spec, conditional = dataset.spec, recipe.conditioning != "none"
    if isinstance(dataset.modes, Centres):
        condition = None if spec.classes is None else torch.arange(_POINTS) % spec.classes
        return draw_mixture(generate(condition, _POINTS), dataset.modes, caption)
    if dataset.captions and conditional:
        condition = all_captions().unflatten(0, (len(DIGITS), -1)).transpose(0, 1).flatten(0, 1)
        return draw_grid(generate(condition, len(condition)).cpu(), len(DIGITS), DIGITS, caption)
    columns = min(spec.classes or 10, 10)
    condition = None if spec.classes is None else torch.arange(10 * columns) % columns
    titles = dataset.class_names[:columns] if conditional else ()
    return draw_grid(generate(condition, 10 * columns).cpu(), columns, titles, caption)


def draw_mixture(points: Tensor, modes: Centres, caption: str) -> Image:
    """Draws points of the plane, with a circle of 3 σ round each centre."""
    limit = 1.5 * modes.points.abs().max().item() + 5 * modes.sigma
    return draw_points(points.cpu(), modes.points, limit, radius=3 * modes.sigma, caption=caption)


def choose_epochs(choice: str, epochs: int) -> frozenset[int]:
    """Returns the epochs after which samples are drawn. Milestones, as in the source: 1, every tenth, the last.

    If any pictures are drawn, the untrained generator, epoch 0, has one: MLflow's slider begins with it.
    """
    if choice == "none":
        return frozenset()
    return frozenset(e for e in range(epochs + 1) if choice == "all" or e in (1, epochs) or e % 10 == 0)
