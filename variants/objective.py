"""What the loss and the other terms of a recipe become, once, before training.

An objective is the adversarial loss plus terms. A term is a function of an `Exchange`: what one update has seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from variants.base import Judgement
from variants.losses import LOSSES, AdversarialLoss
from variants.recipe import Recipe, unknown


@dataclass(frozen=True)
class Exchange:
    """The two sides of one update: real examples and fakes, their conditions, and what was judged of each."""

    discriminator: nn.Module
    examples: Tensor
    condition: Tensor | None
    fakes: Tensor
    fake_condition: Tensor | None
    real: Judgement
    fake: Judgement


Term = Callable[[Exchange], Tensor]


@dataclass(frozen=True)
class Objective:
    """The two losses that training minimises."""

    adversarial: AdversarialLoss
    discriminator_terms: tuple[Term, ...] = ()
    generator_terms: tuple[Term, ...] = ()

    def discriminator(self, exchange: Exchange) -> Tensor:
        loss = self.adversarial.discriminator(exchange.real.logits, exchange.fake.logits)
        return sum((term(exchange) for term in self.discriminator_terms), start=loss)

    def generator(self, exchange: Exchange) -> Tensor:
        loss = self.adversarial.generator(exchange.real.logits, exchange.fake.logits)
        return sum((term(exchange) for term in self.generator_terms), start=loss)


def objective(recipe: Recipe) -> Objective:
    """Raises Refused for a loss that does not exist."""
    if recipe.loss not in LOSSES:
        raise unknown("loss", recipe.loss, LOSSES)
    auxiliary = recipe.conditioning == "auxiliary"
    return Objective(
        LOSSES[recipe.loss],
        discriminator_terms=(class_of_real, class_of_fake) if auxiliary else (),
        generator_terms=(class_of_fake,) if auxiliary else (),
    )


def class_of_real(exchange: Exchange) -> Tensor:
    """-log P(class | real): the auxiliary classifier of Odena et al. 2017, equation 3, on real examples."""
    return cross_entropy(exchange.real.classes, exchange.condition)


def class_of_fake(exchange: Exchange) -> Tensor:
    """The same on fakes, minimised by both networks."""
    return cross_entropy(exchange.fake.classes, exchange.fake_condition)
