"""Penalties on the discriminator's gradients with respect to what it judges.

Each is a function of an Exchange, -> scalar, with gradients kept for the discriminator's weights. A pack is judged as
one example, so its gradient is that of all its members together.
"""

import torch
from torch import Tensor

from variants.exchange import Exchange, Judge


def squared_norms(discriminator: Judge, examples: Tensor, condition: Tensor | None) -> Tensor:
    """(judgements,) |∇_x D(x)|², on logits."""
    examples = examples.detach().requires_grad_()
    logits = discriminator(examples, condition).logits
    (gradient,) = torch.autograd.grad(logits.sum(), examples, create_graph=True)
    return gradient.reshape(len(logits), -1).square().sum(1)


def r1(exchange: Exchange) -> Tensor:
    """|∇D|²/2 at real examples (Mescheder et al. 2018, equation 9)."""
    return squared_norms(exchange.discriminator, exchange.batch.examples, exchange.batch.condition).mean() / 2


def r2(exchange: Exchange) -> Tensor:
    """|∇D|²/2 at fakes (Mescheder et al. 2018, equation 10)."""
    return squared_norms(exchange.discriminator, exchange.fakes, exchange.fake_condition).mean() / 2


def gradient_penalty(exchange: Exchange) -> Tensor:
    """(|∇D| - 1)² between real examples and fakes (Gulrajani et al. 2017, equation 3)."""
    real, fakes = exchange.batch.examples, exchange.fakes
    pack = len(real) // len(exchange.real.logits)
    shares = torch.rand(len(real) // pack, generator=exchange.batch.stream, dtype=real.dtype, device=real.device)
    shares = shares.repeat_interleave(pack).reshape(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fakes, real, shares)
    # The root of 0 has no derivative.
    norms = (squared_norms(exchange.discriminator, between, exchange.batch.condition) + 1e-12).sqrt()
    return (norms - 1).square().mean()
