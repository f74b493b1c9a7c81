"""One discriminator update and one generator update: the algorithm of Goodfellow et al. 2014.

D1: the discriminator learns to tell a batch of real examples from a batch of fakes; the generator stays as it was.
D2: the generator learns from what the discriminator says of a batch of fakes; the discriminator stays as it was.

As it was means parameters and buffers, batch-norm statistics included. An update returns its measurements as tensors
on the device, so that nothing here waits for the device.

Networks of several seeds are trained like those of one (`variants.seeds`): their losses and measurements are (seeds,).
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from variants.blocks import held
from variants.exchange import Batch, Exchange
from variants.objective import Objective
from variants.recipe import Recipe
from variants.remedies import Replay, unrolled
from variants.seeds import Replays

# Beyond it a sigmoid is within 1 % of 0 or 1.
SATURATED = math.log(99)


@dataclass(frozen=True)
class Players:
    """The two networks and their optimisers; where the recipe has them, old fakes and an averaged generator."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    replay: Replay | Replays | None = None
    averaged: nn.Module | None = None


def players(generator: nn.Module, discriminator: nn.Module, recipe: Recipe) -> Players:
    """The networks with what a recipe gives them."""
    return Players(
        generator,
        discriminator,
        optimizer(generator, recipe, recipe.generator_lr),
        optimizer(discriminator, recipe, recipe.discriminator_lr),
        replay=Replay(recipe.replay, recipe.replay_size) if recipe.replay else None,
        averaged=copy.deepcopy(generator).requires_grad_(False).eval() if recipe.averaging else None,
    )


def optimizer(network: nn.Module, recipe: Recipe, rate: float) -> Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=recipe.beta1)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(recipe.beta1, recipe.beta2), fused=True)


def discriminator_update(players: Players, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D1."""
    generator, discriminator = players.generator, players.discriminator
    with torch.no_grad(), held(generator):
        fakes, condition = generator(batch.noise, batch.fake_condition), batch.fake_condition
    if players.replay is not None:
        fakes, condition = players.replay.mix(fakes, condition, batch.stream)
    real = discriminator(batch.examples, batch.condition)
    fake = discriminator(fakes, condition)
    loss = objective.discriminator(Exchange(discriminator, batch, fakes, condition, real, fake))
    gradient = descend(loss, players.discriminator_optimizer)
    if recipe.weight_clip:
        clip(discriminator, recipe.weight_clip)
    judged = torch.cat((real.logits, fake.logits), -1).detach()
    return {
        "discriminator_loss": loss.detach(),
        "discriminator_gradient": gradient,
        "d_real": real.logits.detach().sigmoid().mean(-1),
        "d_fake": fake.logits.detach().sigmoid().mean(-1),
        "saturated": (judged.abs() > SATURATED).to(judged.dtype).mean(-1),
    }


def generator_update(players: Players, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D2. The real examples are there for losses that compare, and for looking ahead; most do not see them."""
    generator, discriminator = players.generator, players.discriminator
    fakes, condition = generator(batch.noise, batch.fake_condition), batch.fake_condition
    with held(discriminator):
        judge = discriminator
        if recipe.unrolled_steps:
            judge = look_ahead(players, objective, recipe, batch, fakes)
        fake = judge(fakes, condition)
        real = judge(batch.examples, batch.condition) if objective.adversarial.compares else fake
        loss = objective.generator(Exchange(discriminator, batch, fakes, condition, real, fake))
        gradient = descend(loss, players.generator_optimizer)
    if players.averaged is not None:
        average(players.averaged, generator, recipe.averaging)
    return {"generator_loss": loss.detach(), "generator_gradient": gradient}


def descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """One step of the optimiser along the gradient of its own parameters alone; returns the norm of that gradient."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    # Of several seeds, each weight is of one seed, and of no other one's loss.
    loss.backward(torch.ones_like(loss), inputs=parameters)
    norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None], loss.shape)
    optimizer.step()
    return norm


def total_norm(gradients: Sequence[Tensor], seeds: torch.Size) -> Tensor:
    """The norm of all gradients as one vector, for each seed."""
    if not seeds:
        return get_total_norm(gradients)
    norms = [torch.linalg.vector_norm(gradient.reshape(*seeds, -1), dim=-1) for gradient in gradients]
    return torch.linalg.vector_norm(torch.stack(norms), dim=0)


def look_ahead(players: Players, objective: Objective, recipe: Recipe, batch: Batch, fakes: Tensor):
    """The discriminator after updates on this very batch, as a function of the generator that made its fakes."""

    def loss(judge) -> Tensor:
        real, fake = judge(batch.examples, batch.condition), judge(fakes, batch.fake_condition)
        return objective.adversarial.discriminator(real.logits, fake.logits)

    return unrolled(players.discriminator, players.discriminator_optimizer, loss, recipe.unrolled_steps)


@torch.no_grad()
def clip(discriminator: nn.Module, largest: float) -> None:
    """Bounds every weight (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-largest, largest)


@torch.no_grad()
def average(averaged: nn.Module, generator: nn.Module, decay: float) -> None:
    """An exponential moving average of the weights (Yazıcı et al. 2019); buffers are those of the generator."""
    torch._foreach_lerp_(list(averaged.parameters()), list(generator.parameters()), 1 - decay)
    for mean, buffer in zip(averaged.buffers(), generator.buffers(), strict=True):
        mean.copy_(buffer)
