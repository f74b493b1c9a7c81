"""Draws pictures of new samples of a run, and of interpolations. Imports torch when it draws."""

import math
from typing import TYPE_CHECKING

from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from benchmarks.inference.run import Run

# Images, and points of the plane, if nobody says how many.
DEFAULT_IMAGES, DEFAULT_POINTS = 64, 2500
# Images that are drawn beside the training images nearest to them.
DEFAULT_NEAREST = 24
MOST_SAMPLES = 10_000
# Samples from one end of an interpolation to the other, both ends included.
STEPS = 10


def find_class(run: "Run", text: str) -> int:
    """Returns the class of that name or number. Raises UserError if the run has none such."""
    names = run.class_names
    if text in names:
        return names.index(text)
    # Python reads no number of thousands of digits.
    if text.isdecimal() and len(text) < 10:
        return int(text)
    raise unknown("label", text, names, see="it is one of " + ", ".join(names) if names else "there are no labels")


def default_count(run: "Run") -> int:
    """Returns how many samples are drawn if nobody says how many."""
    return DEFAULT_IMAGES if run.spec.is_image else DEFAULT_POINTS


def draw_new_samples(
    run: "Run",
    count: int | None = None,
    label: int | None = None,
    prompt: str | None = None,
    seed: int = 0,
    truncation: float | None = None,
) -> "Image":
    """Draws a grid of new images, or a scatter plot of new points.

    label: the class of all samples; without it, each column is a class. prompt: for a run trained on captions.
    truncation: see Run.generate.
    """
    from benchmarks.pictures import draw_grid

    count = count or default_count(run)
    told = f"{prompt}, " if prompt else ""
    told += f"noise truncated at {truncation:g}, " if truncation else ""
    samples = run.generate(None if label is None else [label] * count, count, seed, prompt, truncation)
    if not run.spec.is_image:
        return _draw_points(run, samples, f"{told}seed {seed}")
    names = run.class_names
    if run.config.recipe.conditioning in ("none", "text") or label is not None:
        told += f"label {names[label] if label < len(names) else label}, " if label is not None else ""
        return draw_grid(samples, math.ceil(math.sqrt(count)), caption=f"{told}seed {seed}")
    columns = min(run.spec.classes, 10)
    titles = names if len(names) == run.spec.classes <= 10 else ()
    return draw_grid(samples, columns, titles, f"seed {seed}")


def draw_interpolations(
    run: "Run", count: int | None = None, label: int | None = None, prompt: str | None = None, seed: int = 0
) -> "Image":
    """Draws rows of images, each from one noise vector to another, under one label or caption."""
    from benchmarks.pictures import draw_grid

    if not run.spec.is_image:
        raise UserError(f"{run.config.dataset.name} has points of the plane; --interpolate draws images only")
    rows = max(1, (count or DEFAULT_IMAGES) // STEPS)
    kind = "spherical" if is_spherical(run) else "linear"
    told = "".join(f"{what}, " for what in (prompt, None if label is None else f"label {label}") if what)
    return draw_grid(
        interpolate_samples(run, rows, label, prompt, seed),
        STEPS,
        caption=f"{told}{kind} in {run.config.recipe.noise} noise",
    )


def is_spherical(run: "Run") -> bool:
    """Returns whether to interpolate on a sphere: Gaussian noise lies close to one, with next to nothing inside."""
    return run.config.recipe.noise == "gaussian"


def interpolate_samples(
    run: "Run", rows: int, label: int | None = None, prompt: str | None = None, seed: int = 0
) -> "Tensor":
    """Returns (rows · STEPS, *shape): row by row, samples of noise from one drawn vector to another."""
    import torch

    from benchmarks.algorithm.random_streams import stream
    from variants.noise import NOISES

    recipe = run.config.recipe
    ends = NOISES[recipe.noise]((2, rows, recipe.noise_size), stream(seed, "interpolation"))
    noise = interpolate_noise(*ends, STEPS, spherical=is_spherical(run)).flatten(0, 1)
    condition = run.condition(rows, None if label is None else [label] * rows, prompt)
    with torch.no_grad():
        return run.generator(noise, None if condition is None else condition.repeat_interleave(STEPS, dim=0))


def interpolate_noise(start: "Tensor", end: "Tensor", steps: int, *, spherical: bool) -> "Tensor":
    """Maps (rows, size), (rows, size) to (rows, steps, size): from start to end, both included, in even steps.

    spherical: along a great circle, which keeps the length if both ends have the same (Shoemake 1985, sec. 3.3; White
    2016, sec. 2.1). Ends on one line through 0 have no such circle, and are interpolated linearly.
    """
    import torch

    share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None]
    start, end = start[:, None], end[:, None]
    straight = (1 - share) * start + share * end
    if not spherical:
        return straight
    angle = torch.nn.functional.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()[..., None]
    sine = angle.sin()
    round_it = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / sine
    return torch.where(sine > 1e-4, round_it, straight)


def _draw_points(run: "Run", points: "Tensor", caption: str) -> "Image":
    from benchmarks.datasets import Centres, load
    from benchmarks.pictures import draw_points
    from benchmarks.pictures.epochs import draw_mixture

    modes = load(run.config.dataset, seed=run.config.seed).modes
    if isinstance(modes, Centres):
        return draw_mixture(points, modes, caption)
    return draw_points(points, None, limit=1.1 * points.abs().max().item(), caption=caption)
