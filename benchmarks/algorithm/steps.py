"""Trains each network once: D1 and D2, the two steps of Goodfellow et al. 2014, algorithm 1.

D1 trains the discriminator to tell a batch of real examples from a batch of fakes; D2 trains the generator by what the
discriminator says of a batch of fakes. A step leaves the other network as it was, in its parameters and its buffers,
batch-norm statistics included.

Read next: `variants/cgan_mlp.py` (one variant), `variants/linear.py` (its two networks), `variants/conditioning.py`
(how they take a label). The losses are in `variants/losses.py`; what a recipe adds to them is in
`variants/objective.py`.

Each step returns its measurements as tensors on the device, so that nothing here waits for the device. Where several
seeds are trained as one (`variants/stacked.py`), each measurement has one value a seed; here nothing differs.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.algorithm.descent import descend
from benchmarks.algorithm.gan import GAN, update_ema
from variants.base import DiscriminatorOutput
from variants.batch import Batch, Discriminate, LossInputs
from variants.blocks import frozen_buffers
from variants.objective import Objective
from variants.recipe import Recipe
from variants.remedies import unrolled

# The logit at which a sigmoid is within 1 % of 1.
SATURATED = math.log(99)


def discriminator_update(gan: GAN, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """Trains the discriminator on real examples and fakes (D1).

    Returns the loss, the norm of its gradient, the mean probability that it gives real examples and fakes, and the
    share of logits that are saturated; all of them as they were before the step.
    """
    with torch.no_grad(), frozen_buffers(gan.generator):
        fakes, condition = gan.generate(batch.noise, batch.fake_condition), batch.fake_condition
    if gan.replay is not None:
        fakes, condition = gan.replay.mix(fakes, condition, batch.stream)
    real = gan.discriminate(batch.examples, batch.condition)
    fake = gan.discriminate(fakes, condition)
    loss = objective.discriminator(LossInputs(gan.discriminate, batch, fakes, condition, real, fake))
    gradient_norm = descend(loss, gan.discriminator_optimizer)
    if recipe.weight_clip:
        clip_weights(gan.discriminator, recipe.weight_clip)
    logits = torch.cat((real.logits, fake.logits), -1).detach()
    return {
        "discriminator_loss": loss.detach(),
        "discriminator_gradient": gradient_norm,
        "d_real": real.logits.detach().sigmoid().mean(-1),
        "d_fake": fake.logits.detach().sigmoid().mean(-1),
        "saturated": (logits.abs() > SATURATED).to(logits.dtype).mean(-1),
    }


def generator_update(gan: GAN, objective: Objective, recipe: Recipe, batch: Batch) -> dict[str, Tensor]:
    """Trains the generator by the discriminator's opinion of fakes (D2).

    Returns the loss and the norm of its gradient, as they were before the step. The batch has real examples for losses
    that compare them with fakes, and for looking ahead; other losses do not read them.
    """
    discriminate = gan.discriminate
    fakes, condition = gan.generate(batch.noise, batch.fake_condition), batch.fake_condition
    with frozen_buffers(gan.discriminator):
        if recipe.unrolled_steps:
            discriminate = look_ahead(gan, objective, recipe, batch, fakes)
        fake = discriminate(fakes, condition)
        real = discriminate(batch.examples, batch.condition) if objective.adversarial.compares else fake
        loss = objective.generator(LossInputs(discriminate, batch, fakes, condition, real, fake))
        gradient_norm = descend(loss, gan.generator_optimizer)
    if gan.ema_generator is not None:
        update_ema(gan, recipe.averaging)
    return {"generator_loss": loss.detach(), "generator_gradient": gradient_norm}


def look_ahead(
    gan: GAN, objective: Objective, recipe: Recipe, batch: Batch, fakes: Tensor
) -> Callable[[Tensor, Tensor | None], DiscriminatorOutput]:
    """Returns the discriminator as it will be after updates on this batch (unrolled GAN, Metz et al. 2017).

    Gradients pass through these updates to the generator that made the fakes.
    """

    def loss(discriminate: Discriminate) -> Tensor:
        real = discriminate(batch.examples, batch.condition)
        fake = discriminate(fakes, batch.fake_condition)
        return objective.adversarial.discriminator(real.logits, fake.logits)

    return unrolled(gan.discriminator, gan.discriminator_optimizer, loss, recipe.unrolled_steps)


@torch.no_grad()
def clip_weights(discriminator: nn.Module, largest: float) -> None:
    """Bounds the size of every weight (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-largest, largest)
