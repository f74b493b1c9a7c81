"""One discriminator update and one generator update: the algorithm of Goodfellow et al. 2014.

D1: the discriminator learns to tell a batch of real examples from a batch of fakes; the generator stays as it was.
D2: the generator learns from what the discriminator says of a batch of fakes; the discriminator stays as it was.

As it was means parameters and buffers, batch-norm statistics included. An update returns its measurements as tensors
on the device, so that nothing here waits for the device.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from variants.blocks import held
from variants.objective import Exchange, Objective
from variants.recipe import Recipe


@dataclass(frozen=True)
class Players:
    """The two networks and the optimiser of each."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer


def players(generator: nn.Module, discriminator: nn.Module, recipe: Recipe) -> Players:
    """The networks, with the optimisers of a recipe."""
    return Players(
        generator,
        discriminator,
        optimizer(generator, recipe, recipe.generator_lr),
        optimizer(discriminator, recipe, recipe.discriminator_lr),
    )


def optimizer(network: nn.Module, recipe: Recipe, rate: float) -> Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=recipe.beta1)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(recipe.beta1, recipe.beta2), fused=True)


class Batch(NamedTuple):
    """What one update sees: real examples with their condition, and noise with the condition of the fakes."""

    examples: Tensor
    condition: Tensor | None
    noise: Tensor
    fake_condition: Tensor | None


def discriminator_update(players: Players, objective: Objective, batch: Batch) -> dict[str, Tensor]:
    """D1."""
    generator, discriminator = players.generator, players.discriminator
    with torch.no_grad(), held(generator):
        fakes = generator(batch.noise, batch.fake_condition)
    real = discriminator(batch.examples, batch.condition)
    fake = discriminator(fakes, batch.fake_condition)
    exchange = Exchange(discriminator, batch.examples, batch.condition, fakes, batch.fake_condition, real, fake)
    loss = objective.discriminator(exchange)
    gradient = descend(loss, players.discriminator_optimizer)
    return {
        "discriminator_loss": loss.detach(),
        "discriminator_gradient": gradient,
        "d_real": real.logits.detach().sigmoid().mean(),
        "d_fake": fake.logits.detach().sigmoid().mean(),
    }


def generator_update(players: Players, objective: Objective, batch: Batch) -> dict[str, Tensor]:
    """D2. The real examples are there for losses that compare; most do not look at them."""
    generator, discriminator = players.generator, players.discriminator
    fakes = generator(batch.noise, batch.fake_condition)
    with held(discriminator):
        fake = discriminator(fakes, batch.fake_condition)
        real = discriminator(batch.examples, batch.condition) if objective.adversarial.compares else fake
    exchange = Exchange(discriminator, batch.examples, batch.condition, fakes, batch.fake_condition, real, fake)
    loss = objective.generator(exchange)
    gradient = descend(loss, players.generator_optimizer)
    return {"generator_loss": loss.detach(), "generator_gradient": gradient}


def descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """One step of the optimiser along the gradient of its own parameters alone; returns the norm of that gradient."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    optimizer.step()
    return norm
