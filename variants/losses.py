"""Adversarial losses: pure, stable functions of the discriminator's logits.

With D = sigmoid(logit), -log D = softplus(-logit) and -log(1 - D) = softplus(logit), which stay finite, and keep the
sign of their gradient, for logits of any size. Every loss is minimised and is a mean over the last
axis, so that a leading axis of seeds passes through: (..., batch) -> (...).
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Logits = Float[Tensor, "*seeds batch"]
Loss = Float[Tensor, "*seeds"]


@dataclass(frozen=True)
class AdversarialLoss:
    """A pair of losses, both functions of (real_logits, fake_logits).

    summary: one line for --list. cross_entropy: the discriminator's loss is binary cross-entropy. compares: the
    generator's loss looks at the real logits too.
    """

    summary: str
    discriminator: Callable[[Logits, Logits], Loss]
    generator: Callable[[Logits, Logits], Loss]
    cross_entropy: bool = False
    compares: bool = False


def cross_entropy_discriminator(real: Logits, fake: Logits) -> Loss:
    """-log D(x) - log(1 - D(G(z))): Goodfellow et al. 2014, equation 1, with the sign turned. 2 ln 2 at D = 1/2."""
    return softplus(-real).mean(-1) + softplus(fake).mean(-1)


def saturating_generator(real: Logits, fake: Logits) -> Loss:
    """log(1 - D(G(z))): Goodfellow et al. 2014, equation 1. Its gradient vanishes as D(G(z)) goes to 0."""
    return -softplus(fake).mean(-1)


def non_saturating_generator(real: Logits, fake: Logits) -> Loss:
    """-log D(G(z)): Goodfellow et al. 2014, section 3, in place of log(1 - D(G(z)))."""
    return softplus(-fake).mean(-1)


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
}
