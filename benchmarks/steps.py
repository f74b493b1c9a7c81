"""One discriminator update and one generator update: the algorithm of Goodfellow et al. 2014.

D1: the discriminator learns to tell a batch of real examples from a batch of fakes; the generator stays as it was.
D2: the generator learns from what the discriminator says of a batch of fakes; the discriminator stays as it was.

As it was means parameters and buffers, batch-norm statistics included. An update returns its measurements as tensors
on the device, so that nothing here waits for the device.

Networks of several seeds are trained like those of one (`variants.seeds`): their losses and measurements are (seeds,).
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.optimizer import Adam
from variants.base import Judgement
from variants.blocks import held
from variants.exchange import Batch, Exchange
from variants.objective import Objective
from variants.recipe import Recipe, Refused
from variants.remedies import Replay, unrolled
from variants.seeds import Replays

Update = Callable[..., dict[str, Tensor]]

# Beyond it a sigmoid is within 1 % of 0 or 1.
SATURATED = math.log(99)


@dataclass(frozen=True)
class Players:
    """The two networks and their optimisers; where the recipe has them, old fakes and an averaged generator.

    precision: in which the layers calculate while they are trained; tf32 is for `in_precision` to see to.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    replay: Replay | Replays | None = None
    averaged: nn.Module | None = None
    precision: str = "float32"

    @cached_property
    def averaged_parts(self) -> tuple[tuple[list[Tensor], list[Tensor]], ...]:
        """Parameters of the averaged generator and of the generator, and buffers likewise: a walk takes as long as a
        small layer, so it is made once."""
        both = (self.averaged, self.generator)
        return tuple(list(n.parameters()) for n in both), tuple(list(n.buffers()) for n in both)

    def calculating(self, network: nn.Module) -> nn.Module | Callable:
        """One of the networks as an update calls it. What it returns is float32, so that the losses are."""
        return reduced(network, torch.bfloat16) if self.precision == "bfloat16" else network


def players(generator: nn.Module, discriminator: nn.Module, recipe: Recipe, precision: str = "float32") -> Players:
    """The networks with what a recipe gives them."""
    return Players(
        generator,
        discriminator,
        optimizer(generator, recipe, recipe.generator_lr),
        optimizer(discriminator, recipe, recipe.discriminator_lr),
        replay=Replay(recipe.replay, recipe.replay_size) if recipe.replay else None,
        averaged=copy.deepcopy(generator).requires_grad_(False).eval() if recipe.averaging else None,
        precision=precision,
    )


def reduced(network: nn.Module, dtype: torch.dtype) -> Callable[..., Tensor | Judgement]:
    """The network with its layers in a smaller type; its weights, and what it returns, stay float32."""

    def called(inputs: Tensor, condition: Tensor | None) -> Tensor | Judgement:
        with torch.autocast(inputs.device.type, dtype):
            result = network(inputs, condition)
        if isinstance(result, Tensor):
            return result.float()
        return Judgement(*(part if part is None else part.float() for part in result))

    return called


# Where a GPU may round float32 to the ten bits of TF32 before it multiplies.
ROUNDING = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def in_precision(update: Update) -> Update:
    """An update whose products and convolutions on a GPU are of TF32 if the players' precision is that."""

    @wraps(update)
    def rounded(players: Players, *rest: Any) -> dict[str, Tensor]:
        if players.precision != "tf32":
            return update(players, *rest)
        before = [place.fp32_precision for place in ROUNDING]
        try:
            for place in ROUNDING:
                place.fp32_precision = "tf32"
            return update(players, *rest)
        finally:
            for place, precision in zip(ROUNDING, before, strict=True):
                place.fp32_precision = precision

    return rounded


def refuse_reduced(recipe: Recipe, precision: str) -> None:
    """Raises Refused for what needs more digits than a reduced precision has: gradients of gradients."""
    for name in ("gradient_penalty", "r1", "r2", "unrolled_steps"):
        if precision != "float32" and getattr(recipe, name):
            raise Refused(
                f"--{name.replace('_', '-')} takes the gradient of a gradient, of which {precision} leaves too few "
                "digits; take --precision float32"
            )


def optimizer(network: nn.Module, recipe: Recipe, rate: float) -> Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=recipe.beta1)
    return Adam(network.parameters(), rate, (recipe.beta1, recipe.beta2))


@in_precision
def discriminator_update(players: Players, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D1."""
    generate, judge = players.calculating(players.generator), players.calculating(players.discriminator)
    with torch.no_grad(), held(players.generator):
        fakes, condition = generate(batch.noise, batch.fake_condition), batch.fake_condition
    if players.replay is not None:
        fakes, condition = players.replay.mix(fakes, condition, batch.stream)
    real = judge(batch.examples, batch.condition)
    fake = judge(fakes, condition)
    loss = objective.discriminator(Exchange(judge, batch, fakes, condition, real, fake))
    gradient = descend(loss, players.discriminator_optimizer)
    if recipe.weight_clip:
        clip(players.discriminator, recipe.weight_clip)
    judged = torch.cat((real.logits, fake.logits), -1).detach()
    return {
        "discriminator_loss": loss.detach(),
        "discriminator_gradient": gradient,
        "d_real": real.logits.detach().sigmoid().mean(-1),
        "d_fake": fake.logits.detach().sigmoid().mean(-1),
        "saturated": (judged.abs() > SATURATED).to(judged.dtype).mean(-1),
    }


@in_precision
def generator_update(players: Players, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """D2. The real examples are there for losses that compare, and for looking ahead; most do not see them."""
    generate, judge = players.calculating(players.generator), players.calculating(players.discriminator)
    fakes, condition = generate(batch.noise, batch.fake_condition), batch.fake_condition
    with held(players.discriminator):
        if recipe.unrolled_steps:
            judge = look_ahead(players, objective, recipe, batch, fakes)
        fake = judge(fakes, condition)
        real = judge(batch.examples, batch.condition) if objective.adversarial.compares else fake
        loss = objective.generator(Exchange(judge, batch, fakes, condition, real, fake))
        gradient = descend(loss, players.generator_optimizer)
    if players.averaged is not None:
        average(players, recipe.averaging)
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
def average(players: Players, decay: float) -> None:
    """An exponential moving average of the weights (Yazıcı et al. 2019); buffers are those of the generator."""
    (means, weights), (copies, buffers) = players.averaged_parts
    torch._foreach_lerp_(means, weights, 1 - decay)
    if buffers:
        torch._foreach_copy_(copies, buffers)
