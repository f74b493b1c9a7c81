"""Defines adversarial losses: pure, numerically stable functions of the discriminator's logits.

With D = sigmoid(logit), -log D = softplus(-logit) and -log(1 - D) = softplus(logit), which stay finite, and keep the
sign of their gradient, for logits of any size. Every loss is minimised and is a mean over the last
axis, so that a leading axis of seeds passes through: (..., batch) -> (...).
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, relu, softplus

Logits = Float[Tensor, "*seeds batch"]
Loss = Float[Tensor, "*seeds"]


@dataclass(frozen=True)
class AdversarialLoss:
    """Pairs the losses of both networks, each a function of (real_logits, fake_logits)."""

    # One line for --list.
    summary: str
    discriminator: Callable[[Logits, Logits], Loss]
    generator: Callable[[Logits, Logits], Loss]
    # Whether the discriminator's loss is binary cross-entropy.
    cross_entropy: bool = False
    # Whether the generator's loss reads the real logits too.
    compares: bool = False
    # Whether a constant added to all logits changes nothing, so that the bias of the last layer has no gradient.
    shift_invariant: bool = False


def cross_entropy_discriminator(real: Logits, fake: Logits) -> Loss:
    """Returns -log D(x) - log(1 - D(G(z))), 2 ln 2 at D = 1/2: Goodfellow et al. 2014, equation 1, sign turned."""
    return softplus(-real).mean(-1) + softplus(fake).mean(-1)


def saturating_generator(real: Logits, fake: Logits) -> Loss:
    """Returns log(1 - D(G(z))): Goodfellow et al. 2014, equation 1. Its gradient vanishes as D(G(z)) goes to 0."""
    return -softplus(fake).mean(-1)


def non_saturating_generator(real: Logits, fake: Logits) -> Loss:
    """Returns -log D(G(z)): Goodfellow et al. 2014, section 3, in place of log(1 - D(G(z)))."""
    return softplus(-fake).mean(-1)


def least_squares_discriminator(real: Logits, fake: Logits) -> Loss:
    """Returns (D(x) - 1)²/2 + D(G(z))²/2, on logits: Mao et al. 2017, equation 9 (a = 0, b = c = 1)."""
    return (real - 1).square().mean(-1) / 2 + fake.square().mean(-1) / 2


def least_squares_generator(real: Logits, fake: Logits) -> Loss:
    """Returns (D(G(z)) - 1)²/2: Mao et al. 2017, equation 9."""
    return (fake - 1).square().mean(-1) / 2


def hinge_discriminator(real: Logits, fake: Logits) -> Loss:
    """Returns max(0, 1 - D(x)) + max(0, 1 + D(G(z))), on logits: Lim & Ye 2017; Miyato et al. 2018, equation 16."""
    return relu(1 - real).mean(-1) + relu(1 + fake).mean(-1)


def critic(real: Logits, fake: Logits) -> Loss:
    """Returns D(G(z)) - D(x), on logits: Arjovsky et al. 2017, equation 2, with the sign turned."""
    return fake.mean(-1) - real.mean(-1)


def raise_critic(real: Logits, fake: Logits) -> Loss:
    """Returns -D(G(z)), on logits: Arjovsky et al. 2017, equation 4; Miyato et al. 2018, equation 17."""
    return -fake.mean(-1)


def relativistic_discriminator(real: Logits, fake: Logits) -> Loss:
    """Returns -log sigmoid(D(x) - D(G(z))) over pairs: Jolicoeur-Martineau 2019, equation 5; Huang et al. 2024, (3)."""
    return softplus(fake - real).mean(-1)


def relativistic_generator(real: Logits, fake: Logits) -> Loss:
    """Returns -log sigmoid(D(G(z)) - D(x)) over pairs."""
    return softplus(real - fake).mean(-1)


def class_loss(classes: Tensor, condition: Tensor) -> Tensor:
    """Returns -log of the share that class logits give to the right class: (*seeds, judgements, classes) -> (*seeds).

    condition: labels, (*seeds, batch).
    """
    # A pack is judged once, and shares its label.
    labels = condition[..., :: condition.shape[-1] // classes.shape[-2]]
    if classes.ndim == 2:
        return cross_entropy(classes, labels)
    return cross_entropy(classes.flatten(0, 1), labels.flatten(), reduction="none").unflatten(0, labels.shape).mean(-1)


LOSSES: dict[str, AdversarialLoss] = {
    "saturating": AdversarialLoss(
        "minimax: the generator descends log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)",
        cross_entropy_discriminator,
        saturating_generator,
        cross_entropy=True,
    ),
    "non_saturating": AdversarialLoss(
        "the generator ascends log D(G(z)) instead (Goodfellow et al. 2014, section 3)",
        cross_entropy_discriminator,
        non_saturating_generator,
        cross_entropy=True,
    ),
    "least_squares": AdversarialLoss(
        "squared distance of the logits from 1 and 0 (Mao et al. 2017)",
        least_squares_discriminator,
        least_squares_generator,
    ),
    "hinge": AdversarialLoss(
        "logits are pushed beyond ±1 and no further (Lim & Ye 2017)",
        hinge_discriminator,
        raise_critic,
    ),
    "wasserstein": AdversarialLoss(
        "difference of mean logits; wants a penalty, clipping or spectral normalisation (Arjovsky et al. 2017)",
        critic,
        raise_critic,
        shift_invariant=True,
    ),
    "relativistic": AdversarialLoss(
        "logits of real and fake are compared in pairs (Jolicoeur-Martineau 2019; with R1 and R2 it is R3GAN)",
        relativistic_discriminator,
        relativistic_generator,
        compares=True,
        shift_invariant=True,
    ),
}
