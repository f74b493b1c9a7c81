"""One discriminator update and one generator update: the algorithm of Goodfellow et al. 2014.

D1: the discriminator learns to tell a batch of real examples from a batch of fakes; the generator stays as it was.
D2: the generator learns from what the discriminator says of a batch of fakes; the discriminator stays as it was.

As it was means parameters and buffers, batch-norm statistics included. An update returns its measurements as tensors
on the device, so that nothing here waits for the device.

Networks of several seeds are trained like those of one (`variants.stacked`); their losses and measurements are
(seeds,).
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.algorithm.gan import GAN, update_ema
from benchmarks.algorithm.precision import in_precision
from variants.batch import Batch, LossInputs
from variants.blocks import frozen_buffers
from variants.objective import Objective
from variants.recipe import Recipe
from variants.remedies import unrolled

# Beyond it a sigmoid is within 1 % of 0 or 1.
SATURATED = math.log(99)


@in_precision
def discriminator_update(gan: GAN, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D1."""
    generate, discriminate = gan.calculating(gan.generator), gan.calculating(gan.discriminator)
    with torch.no_grad(), frozen_buffers(gan.generator):
        fakes, condition = generate(batch.noise, batch.fake_condition), batch.fake_condition
    if gan.replay is not None:
        fakes, condition = gan.replay.mix(fakes, condition, batch.stream)
    real = discriminate(batch.examples, batch.condition)
    fake = discriminate(fakes, condition)
    loss = objective.discriminator(LossInputs(discriminate, batch, fakes, condition, real, fake))
    gradient = descend(loss, gan.discriminator_optimizer)
    if recipe.weight_clip:
        clip(gan.discriminator, recipe.weight_clip)
    judged = torch.cat((real.logits, fake.logits), -1).detach()
    return {
        "discriminator_loss": loss.detach(),
        "discriminator_gradient": gradient,
        "d_real": real.logits.detach().sigmoid().mean(-1),
        "d_fake": fake.logits.detach().sigmoid().mean(-1),
        "saturated": (judged.abs() > SATURATED).to(judged.dtype).mean(-1),
    }


@in_precision
def generator_update(gan: GAN, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D2. The real examples are there for losses that compare, and for looking ahead; most do not see them."""
    generate, discriminate = gan.calculating(gan.generator), gan.calculating(gan.discriminator)
    fakes, condition = generate(batch.noise, batch.fake_condition), batch.fake_condition
    with frozen_buffers(gan.discriminator):
        if recipe.unrolled_steps:
            discriminate = look_ahead(gan, objective, recipe, batch, fakes)
        fake = discriminate(fakes, condition)
        real = discriminate(batch.examples, batch.condition) if objective.adversarial.compares else fake
        loss = objective.generator(LossInputs(discriminate, batch, fakes, condition, real, fake))
        gradient = descend(loss, gan.generator_optimizer)
    if gan.ema_generator is not None:
        update_ema(gan, recipe.averaging)
    return {"generator_loss": loss.detach(), "generator_gradient": gradient}


def descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """One step of the optimiser along the gradient of its own parameters alone; returns the norm of that gradient."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    # Of several seeds, each weight is of one seed, and of no other one's loss. A sum, because a gradient that is handed
    # to `backward` makes torch import sympy, which takes two seconds.
    (loss.sum() if loss.ndim else loss).backward(inputs=parameters)
    norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None], loss.shape)
    optimizer.step()
    return norm


def total_norm(gradients: list[Tensor], seeds: torch.Size) -> Tensor:
    """The norm of all gradients as one vector, for each seed."""
    if not seeds:
        norms = torch.stack(torch._foreach_norm(gradients))
    elif gradients[0].device.type == "cpu":
        norms = torch.stack([torch.linalg.vector_norm(each, dim=tuple(range(1, each.ndim))) for each in gradients])
    else:
        # All at once: there, the norms of a weight's rows take longer than those of as many weights.
        norms = torch.stack(torch._foreach_norm([part for each in gradients for part in each.unbind()]))
        norms = norms.view(len(gradients), *seeds)
    return torch.linalg.vector_norm(norms, dim=0)


def look_ahead(gan: GAN, objective: Objective, recipe: Recipe, batch: Batch, fakes: Tensor):
    """The discriminator after updates on this very batch, as a function of the generator that made its fakes."""

    def loss(discriminate) -> Tensor:
        real, fake = discriminate(batch.examples, batch.condition), discriminate(fakes, batch.fake_condition)
        return objective.adversarial.discriminator(real.logits, fake.logits)

    return unrolled(gan.discriminator, gan.discriminator_optimizer, loss, recipe.unrolled_steps)


@torch.no_grad()
def clip(discriminator: nn.Module, largest: float) -> None:
    """Bounds every weight (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-largest, largest)
