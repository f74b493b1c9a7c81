"""Penalises the discriminator's gradients with respect to the examples that it judges.

Each penalty maps LossInputs to (), or to (seeds,) for stacked networks, and can be differentiated by the
discriminator's weights. A pack is judged as one example, so its gradient is that of all its members together.
"""

import torch
from torch import Tensor

from variants.batch import Discriminate, LossInputs, draw_each


def squared_norms(discriminator: Discriminate, examples: Tensor, condition: Tensor | None) -> Tensor:
    """Returns |∇_x D(x)|² on logits, (*seeds, judgements)."""
    examples = examples.detach().requires_grad_()
    logits = discriminator(examples, condition).logits
    (gradient,) = torch.autograd.grad(logits.sum(), examples, create_graph=True)
    return gradient.reshape(*logits.shape, -1).square().sum(-1)


def r1(inputs: LossInputs) -> Tensor:
    """Returns |∇D|²/2 at real examples (Mescheder et al. 2018, equation 9)."""
    return squared_norms(inputs.discriminator, inputs.batch.examples, inputs.batch.condition).mean(-1) / 2


def r2(inputs: LossInputs) -> Tensor:
    """Returns |∇D|²/2 at fakes (Mescheder et al. 2018, equation 10)."""
    return squared_norms(inputs.discriminator, inputs.fakes, inputs.fake_condition).mean(-1) / 2


def gradient_penalty(inputs: LossInputs) -> Tensor:
    """Returns (|∇D| - 1)² between real examples and fakes (Gulrajani et al. 2017, equation 3)."""
    real, fakes, judged = inputs.batch.examples, inputs.fakes, inputs.real.logits.shape
    *seeds, batch = real.shape[: len(judged)]
    shares = draw_each(
        lambda stream: torch.rand(judged[-1], generator=stream, dtype=real.dtype, device=real.device),
        inputs.batch.stream,
    )
    shares = shares.repeat_interleave(batch // judged[-1], -1).reshape(*seeds, batch, *[1] * (real.ndim - len(judged)))
    return _distance_from_one(inputs, torch.lerp(fakes, real, shares))


def gradient_penalty_around_data(inputs: LossInputs) -> Tensor:
    """Returns (|∇D| - 1)² around real examples, wherever the fakes are (Kodali et al. 2017, section 2.4).

    As in the paper's own code, an example is moved by ½ σ u: σ is the deviation of all values of the batch, and u is
    uniform on [0, 1) for each value.
    """
    real, seeds = inputs.batch.examples, inputs.real.logits.ndim - 1
    moves = draw_each(
        lambda stream: torch.rand(*real.shape[seeds:], generator=stream, dtype=real.dtype, device=real.device),
        inputs.batch.stream,
    )
    deviation = real.flatten(seeds).std(-1).reshape(*real.shape[:seeds], *[1] * (real.ndim - seeds))
    return _distance_from_one(inputs, torch.addcmul(real, moves, deviation, value=0.5))


def _distance_from_one(inputs: LossInputs, examples: Tensor) -> Tensor:
    # The root of 0 has no derivative.
    norms = (squared_norms(inputs.discriminator, examples, inputs.batch.condition) + 1e-12).sqrt()
    return (norms - 1).square().mean(-1)
