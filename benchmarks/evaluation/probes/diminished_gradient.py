"""The diminished gradient: B2 of the source, by the experiment of Arjovsky & Bottou 2017, figure 2.

The generator is frozen and the discriminator trained on. As it wins, the gradient of log(1 - D(G(z))) vanishes, while
that of -log D(G(z)) does not; both are taken at the same weights, on the same noise.
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
from benchmarks.datasets import Dataset, Split, placed
from benchmarks.evaluation.probes.base import Moment
from benchmarks.pictures import gradient_curves
from benchmarks.run_folder.folder import PROBES
from variants import Recipe
from variants.batch import Batch
from variants.blocks import draw_from, frozen_buffers
from variants.losses import LOSSES, AdversarialLoss
from variants.noise import NOISES
from variants.objective import Objective

# Chosen, not tuned: discriminator updates, about how often the gradients are taken meanwhile, and on how many batches.
UPDATES, POINTS, BATCHES = 500, 30, 10
COMPARED = ("saturating", "non_saturating")


@dataclass(frozen=True)
class Point:
    """The gradients after some discriminator updates.

    d_fake: mean D(G(z)). norms: by loss, the norm over all parameters of the generator, one a noise batch. steps: by
    loss, the norm of the change that the generator's optimiser would make of the first batch's gradient.
    """

    updates: int
    d_fake: float
    norms: dict[str, list[float]]
    steps: dict[str, float]


def needs_cross_entropy(recipe: Recipe, dataset: Dataset) -> str:
    return "" if LOSSES[recipe.loss].cross_entropy else f"with --loss {recipe.loss} a logit is not the log-odds of D"


def gradient(moment: Moment, stream: Generator) -> dict[str, float]:
    """how the generator's gradient falls under both losses while the discriminator trains on (B2); costly

    gradient_<loss>_fall: decades by which its norm fell. gradient_ratio, gradient_ratio_end: log10 of the saturating
    norm over the other, at the run's own weights and at the end. Norms are medians over the noise batches. Leaves
    probes/gradient_epoch_NNN.json and .png.
    """
    data = placed(moment.dataset.train, stream.device)
    points = train_on(moment.gan, moment.objective, moment.recipe, data, stream, UPDATES)
    title = f"{moment.config.variant} on {moment.dataset.name}, generator frozen after epoch {moment.epoch}"
    name = f"{PROBES}/gradient_epoch_{moment.epoch:03d}"
    moment.folder.write_json(f"{name}.json", {"epoch": moment.epoch, "points": [asdict(point) for point in points]})
    gradient_curves([asdict(point) for point in points], moment.folder.file(f"{name}.png"), title)
    medians = {loss: [statistics.median(point.norms[loss]) for point in points] for loss in COMPARED}
    falls = {f"gradient_{loss}_fall": decades(norms[0], norms[-1]) for loss, norms in medians.items()}
    ratios = [decades(*pair) for pair in zip(*(medians[loss] for loss in COMPARED), strict=True)]
    return {**falls, "gradient_ratio": ratios[0], "gradient_ratio_end": ratios[-1]}


def gradient_norms(moment: Moment, stream: Generator) -> dict[str, float]:
    """the norm of the generator's gradient under both losses, at the run's own weights (B2)

    gradient_norm_<loss>: log10 of its median over the noise batches. gradient_norm_ratio: saturating less
    non-saturating, in decades. A norm of zero is −∞.
    """
    data = placed(moment.dataset.train, stream.device)
    (point,) = train_on(moment.gan, moment.objective, moment.recipe, data, stream, 0)
    medians = [statistics.median(point.norms[loss]) for loss in COMPARED]
    figures = {f"gradient_norm_{loss}": decades(norm, 1.0) for loss, norm in zip(COMPARED, medians, strict=True)}
    return {**figures, "gradient_norm_ratio": decades(*medians)}


def train_on(
    gan: GAN, objective: Objective, recipe: Recipe, data: Split, stream: Generator, updates: int
) -> list[Point]:
    """Trains the discriminator alone, each time on a fresh batch, and takes the gradients at log-spaced points.

    The learning rates are those of the recipe, even if a decay has brought them down.
    """
    gan.generator_optimizer.param_groups[0]["lr"] = recipe.generator_lr
    gan.discriminator_optimizer.param_groups[0]["lr"] = recipe.discriminator_lr
    for network in (gan.generator, gan.discriminator):
        network.train()
        draw_from(network, stream)
    packs, draw, size = Packs(data, recipe), NOISES[recipe.noise], (recipe.batch_size, recipe.noise_size)
    fixed = []
    for _ in range(BATCHES):
        drawn = torch.randint(len(data), (packs.leaders,), generator=stream, device=stream.device)
        fixed.append((draw(size, stream), packs.condition(drawn)))

    batches, due = real_batches(packs, len(data), stream), points_of(updates)
    points = [measured(0, gan, fixed)]
    for update in range(1, updates + 1):
        indices = next(batches)
        examples, condition = packs.examples(indices)
        batch = Batch(examples, condition, draw(size, stream), condition, stream)
        with products_in(gan.precision):
            discriminator_update(gan, objective, recipe, batch)
        if update in due:
            points.append(measured(update, gan, fixed))
    return points


def points_of(updates: int) -> frozenset[int]:
    """The updates after which gradients are taken, evenly on a log scale, the first and the last among them."""
    return frozenset(round(updates ** (k / (POINTS - 2))) for k in range(POINTS - 1))


def measured(updates: int, gan: GAN, fixed: list[tuple[Tensor, Tensor | None]]) -> Point:
    """The discriminator is in evaluation mode; the generator in training mode, as in its updates, but held still."""
    generator, discriminator = gan.generator, gan.discriminator.eval()
    probabilities: list[Tensor] = []
    norms: dict[str, list[Tensor]] = {loss: [] for loss in COMPARED}
    steps: dict[str, Tensor] = {}
    for noise, condition in fixed:
        with frozen_buffers(generator):
            logits = discriminator(generator(noise, condition), condition).logits
        probabilities.append(in_float64(logits.detach()).sigmoid().mean())
        for loss in COMPARED:
            gradients, scale = generator_gradient(LOSSES[loss], logits, list(generator.parameters()))
            norms[loss].append(scale * norm(gradients))
            if loss not in steps:
                steps[loss] = step_of(gan, gradients, scale)
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
    """The gradient of the generator's loss with respect to each parameter, as a gradient and a factor (float64).

    Of a discriminator that is sure of itself, the saturating loss has a gradient beyond what float32 can square. So the
    derivative with respect to the logits is taken in float64, and only its direction passed on.
    """
    at = in_float64(logits.detach()).requires_grad_()
    (towards,) = torch.autograd.grad(loss.generator(at, at), at)
    scale = towards.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    along = (towards / scale).to(logits)
    return torch.autograd.grad(logits, parameters, along, retain_graph=True, allow_unused=True), scale


def norm(gradients: list[Tensor | None]) -> Tensor:
    return get_total_norm([in_float64(g) for g in gradients if g is not None])


def in_float64(tensor: Tensor) -> Tensor:
    """Where it lies, if that device knows float64: all gradients of a network are much to send to the CPU."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def step_of(gan: GAN, gradients: list[Tensor | None], scale: Tensor) -> Tensor:
    """The norm of what the generator's optimiser makes of a gradient, from its present state."""
    generator, optimizer = copy.deepcopy((gan.generator, gan.generator_optimizer))
    for parameter, value in zip(generator.parameters(), gradients, strict=True):
        parameter.grad = None if value is None else value * scale
    optimizer.step()
    pairs = zip(generator.parameters(), gan.generator.parameters(), strict=True)
    return norm([after.detach() - before.detach() for after, before in pairs])


def decades(first: float, second: float) -> float:
    """log10 of the first over the second."""
    if not first or not second:
        return math.nan if first == second else math.copysign(math.inf, first - second)
    return math.log10(first) - math.log10(second)
