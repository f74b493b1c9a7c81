"""Measures the diminished gradient (B2), by the experiment of Arjovsky & Bottou 2017, figure 2.

The generator is frozen and the discriminator is trained further. As it wins, the gradient of log(1 - D(G(z))) vanishes,
while that of -log D(G(z)) does not; both are computed at the same weights, on the same noise.
"""

import copy
import math
import statistics
from dataclasses import asdict, dataclass

import torch
from torch import Generator, Tensor
from torch.nn.utils import get_total_norm

from benchmarks.algorithm.batches import Packs, real_batches
from benchmarks.algorithm.gan import GAN
from benchmarks.algorithm.precision import products_in
from benchmarks.algorithm.steps import discriminator_update
from benchmarks.datasets import Dataset, Split, place_split
from benchmarks.evaluation.probes.base import Moment
from benchmarks.pictures import draw_gradient_curves
from benchmarks.run_folder.folder import PROBES_FOLDER
from variants import Recipe
from variants.batch import Batch
from variants.blocks import draw_from, frozen_buffers
from variants.losses import LOSSES, AdversarialLoss
from variants.noise import NOISES
from variants.objective import Objective

# Chosen, not tuned: discriminator updates, about how many times gradients are computed meanwhile, and noise batches.
_UPDATES, _POINTS, BATCHES = 500, 30, 10
_COMPARED = ("saturating", "non_saturating")


@dataclass(frozen=True)
class Point:
    """Holds the generator's gradients after some discriminator updates."""

    updates: int
    # The mean of D(G(z)).
    d_fake: float
    # By loss: the norm over all parameters of the generator, one value a noise batch.
    norms: dict[str, list[float]]
    # By loss: the norm of the step that the generator's optimiser would make with the first batch's gradient.
    steps: dict[str, float]


def refuse_without_cross_entropy(recipe: Recipe, dataset: Dataset) -> str:
    return "" if LOSSES[recipe.loss].cross_entropy else f"with --loss {recipe.loss} a logit is not the log-odds of D"


def measure_gradient_fall(moment: Moment, stream: Generator) -> dict[str, float]:
    """how the generator's gradient falls under both losses while the discriminator trains on (B2); costly

    gradient_<loss>_fall: decades by which its norm fell. gradient_ratio, gradient_ratio_end: log10 of the saturating
    norm over the other, at the run's own weights and at the end. Norms are medians over the noise batches. Writes
    probes/gradient_epoch_NNN.json and .png.
    """
    data = place_split(moment.dataset.train, stream.device)
    points = train_discriminator(moment.gan, moment.objective, moment.recipe, data, stream, _UPDATES)
    title = f"{moment.config.variant} on {moment.dataset.name}, generator frozen after epoch {moment.epoch}"
    name = f"{PROBES_FOLDER}/gradient_epoch_{moment.epoch:03d}"
    lines = [asdict(point) for point in points]
    moment.folder.write_json(f"{name}.json", {"epoch": moment.epoch, "points": lines})
    draw_gradient_curves(lines, moment.folder.file(f"{name}.png"), title)
    medians = {loss: [statistics.median(point.norms[loss]) for point in points] for loss in _COMPARED}
    falls = {f"gradient_{loss}_fall": _log10_ratio(norms[0], norms[-1]) for loss, norms in medians.items()}
    ratios = [_log10_ratio(*pair) for pair in zip(*(medians[loss] for loss in _COMPARED), strict=True)]
    return {**falls, "gradient_ratio": ratios[0], "gradient_ratio_end": ratios[-1]}


def measure_gradient_norms(moment: Moment, stream: Generator) -> dict[str, float]:
    """the norm of the generator's gradient under both losses, at the run's own weights (B2)

    gradient_norm_<loss>: log10 of its median over the noise batches. gradient_norm_ratio: saturating minus
    non-saturating, in decades. A norm of zero is −∞.
    """
    data = place_split(moment.dataset.train, stream.device)
    (point,) = train_discriminator(moment.gan, moment.objective, moment.recipe, data, stream, 0)
    medians = [statistics.median(point.norms[loss]) for loss in _COMPARED]
    values = {f"gradient_norm_{loss}": _log10_ratio(norm, 1.0) for loss, norm in zip(_COMPARED, medians, strict=True)}
    return {**values, "gradient_norm_ratio": _log10_ratio(*medians)}


def train_discriminator(
    gan: GAN, objective: Objective, recipe: Recipe, data: Split, stream: Generator, updates: int
) -> list[Point]:
    """Trains the discriminator alone, on a fresh batch each time, and measures gradients at log-spaced updates.

    The learning rates are the recipe's initial ones, whatever the decay so far.
    """
    gan.generator_optimizer.param_groups[0]["lr"] = recipe.generator_lr
    gan.discriminator_optimizer.param_groups[0]["lr"] = recipe.discriminator_lr
    for network in (gan.generator, gan.discriminator):
        network.train()
        draw_from(network, stream)
    packs, draw, size = Packs(data, recipe), NOISES[recipe.noise], (recipe.batch_size, recipe.noise_size)
    fixed = []
    for _ in range(BATCHES):
        indices = torch.randint(len(data), (packs.leaders,), generator=stream, device=stream.device)
        fixed.append((draw(size, stream), packs.condition(indices)))

    batches, due = real_batches(packs, len(data), stream), log_spaced_updates(updates)
    points = [measure_gradients(0, gan, fixed)]
    for update in range(1, updates + 1):
        indices = next(batches)
        examples, condition = packs.examples(indices)
        batch = Batch(examples, condition, draw(size, stream), condition, stream)
        with products_in(gan.precision):
            discriminator_update(gan, objective, recipe, batch)
        if update in due:
            points.append(measure_gradients(update, gan, fixed))
    return points


def log_spaced_updates(updates: int) -> frozenset[int]:
    """Returns the updates after which gradients are measured: evenly on a log scale, with the first and the last."""
    return frozenset(round(updates ** (k / (_POINTS - 2))) for k in range(_POINTS - 1))


def measure_gradients(updates: int, gan: GAN, fixed: list[tuple[Tensor, Tensor | None]]) -> Point:
    """Measures gradients with the generator in training mode, as in its updates, but with its buffers frozen.

    The discriminator is in evaluation mode meanwhile.
    """
    generator, discriminator = gan.generator, gan.discriminator.eval()
    probabilities: list[Tensor] = []
    norms: dict[str, list[Tensor]] = {loss: [] for loss in _COMPARED}
    steps: dict[str, Tensor] = {}
    for noise, condition in fixed:
        with frozen_buffers(generator):
            logits = discriminator(generator(noise, condition), condition).logits
        probabilities.append(_to_float64(logits.detach()).sigmoid().mean())
        for loss in _COMPARED:
            gradients, scale = generator_gradient(LOSSES[loss], logits, list(generator.parameters()))
            norms[loss].append(scale * total_norm(gradients))
            if loss not in steps:
                steps[loss] = _step_norm(gan, gradients, scale)
    discriminator.train()
    return Point(
        updates,
        statistics.fmean(torch.stack(probabilities).tolist()),
        {loss: torch.stack(each).tolist() for loss, each in norms.items()},
        {loss: step.item() for loss, step in steps.items()},
    )


def generator_gradient(
    loss: AdversarialLoss, logits: Tensor, parameters: list[Tensor]
) -> tuple[list[Tensor | None], Tensor]:
    """Returns the gradient of the generator's loss for each parameter, as a direction and a factor (float64).

    When the discriminator is certain, the square of the saturating loss's gradient underflows in float32. So the
    derivative with respect to the logits is computed in float64, and only its direction is backpropagated.
    """
    at = _to_float64(logits.detach()).requires_grad_()
    (towards,) = torch.autograd.grad(loss.generator(at, at), at)
    scale = towards.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    along = (towards / scale).to(logits)
    return torch.autograd.grad(logits, parameters, along, retain_graph=True, allow_unused=True), scale


def total_norm(gradients: list[Tensor | None]) -> Tensor:
    return get_total_norm([_to_float64(g) for g in gradients if g is not None])


def _to_float64(tensor: Tensor) -> Tensor:
    """Converts a tensor on its own device if that knows float64: all gradients of a network are slow to transfer."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def _step_norm(gan: GAN, gradients: list[Tensor | None], scale: Tensor) -> Tensor:
    """Returns the norm of the step that the generator's optimiser, in its present state, makes with a gradient."""
    generator, optimizer = copy.deepcopy((gan.generator, gan.generator_optimizer))
    for parameter, value in zip(generator.parameters(), gradients, strict=True):
        parameter.grad = None if value is None else value * scale
    optimizer.step()
    pairs = zip(generator.parameters(), gan.generator.parameters(), strict=True)
    return total_norm([after.detach() - before.detach() for after, before in pairs])


def _log10_ratio(first: float, second: float) -> float:
    if not first or not second:
        return math.nan if first == second else math.copysign(math.inf, first - second)
    return math.log10(first) - math.log10(second)
