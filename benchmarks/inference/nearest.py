"""Finds the training images that are nearest to samples, and draws them side by side."""

import torch
from PIL.Image import Image
from torch import Tensor

from benchmarks.datasets import Dataset
from benchmarks.datasets.prepared import progress
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.inference.drawing import DEFAULT_NEAREST
from benchmarks.inference.run import Run
from benchmarks.pictures import draw_grid
from metrics.memorization import find_nearest
from variants import UserError

# Samples in a row of the picture.
_ACROSS = 3
# Training images that are in memory at once.
_AT_ONCE = 1000


def draw_nearest(
    run: Run,
    dataset: Dataset,
    count: int | None = None,
    label: int | None = None,
    prompt: str | None = None,
    seed: int = 0,
    truncation: float | None = None,
) -> Image:
    """Draws new samples, each with the training image that is nearest in features and the one nearest in pixels.

    dataset: of the run. The rest is as in `drawing.draw_new_samples`.
    """
    if not run.spec.is_image:
        raise UserError(f"{dataset.name} has points of the plane; --nearest draws images only")
    count = count or DEFAULT_NEAREST
    samples = run.generate(None if label is None else [label] * count, count, seed, prompt, truncation)
    found = find_nearest_training(samples, dataset)
    groups = torch.stack([samples, *(dataset.train.images(index) for index in found.values())], dim=1)
    titles = ["sample", *(f"nearest in {space}" for space in found)] * _ACROSS
    caption = f"seed {seed}; nearest of {len(dataset.train):,} training images"
    return draw_grid(groups.flatten(0, 1), len(titles), titles, caption)


@torch.no_grad()
def find_nearest_training(samples: Tensor, dataset: Dataset) -> dict[str, Tensor]:
    """Returns for each sample the index (samples,) of the nearest training image, by the space of the distance.

    samples: (samples, *shape), in [-1, 1]. The spaces are "features", the standardised ones of the classifier that
    decides, and "pixels"; data without a classifier have pixels only. Distances are Euclidean, over all classes.
    """
    evaluator = Evaluator(dataset, 2)
    reference = evaluator.reference
    spaces = {"pixels": lambda images: images.flatten(1)}
    if evaluator.classifiers:
        spaces = {"features": lambda images: reference.standardize(reference.read(images).features), **spaces}
    ours = {name: view(samples) for name, view in spaces.items()}
    distance = {name: torch.full((len(samples),), torch.inf) for name in spaces}
    index = {name: torch.zeros(len(samples), dtype=torch.int64) for name in spaces}
    with progress(f"comparing with {dataset.name}", len(dataset.train)) as advance:
        for part in torch.arange(len(dataset.train)).split(_AT_ONCE):
            images = dataset.train.images(part)
            for name, view in spaces.items():
                found, place = find_nearest(ours[name], view(images))
                nearer = found < distance[name]
                distance[name] = torch.where(nearer, found, distance[name])
                index[name] = torch.where(nearer, part[place], index[name])
            advance(len(part))
    return index
