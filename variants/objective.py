"""Makes the objective of a recipe: the adversarial loss plus weighted terms, which are functions of LossInputs.

It also refuses fields of a recipe that exclude each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import softplus

from variants.batch import LossInputs
from variants.information import code_loss
from variants.losses import LOSSES, AdversarialLoss, class_loss
from variants.penalties import gradient_penalty, gradient_penalty_around_data, r1, r2
from variants.recipe import Recipe, UserError, code_size, unknown

Term = Callable[[LossInputs], Tensor]

PENALTIES: dict[str, Term] = {"between": gradient_penalty, "data": gradient_penalty_around_data}


@dataclass(frozen=True)
class Objective:
    """Holds the losses that both networks minimise: the adversarial loss, and terms with their weights."""

    adversarial: AdversarialLoss
    discriminator_terms: tuple[tuple[float, Term], ...] = ()
    generator_terms: tuple[tuple[float, Term], ...] = ()

    def discriminator(self, inputs: LossInputs) -> Tensor:
        loss = self.adversarial.discriminator(inputs.real.logits, inputs.fake.logits)
        return sum((weight * term(inputs) for weight, term in self.discriminator_terms), start=loss)

    def generator(self, inputs: LossInputs) -> Tensor:
        loss = self.adversarial.generator(inputs.real.logits, inputs.fake.logits)
        return sum((weight * term(inputs) for weight, term in self.generator_terms), start=loss)


def objective(recipe: Recipe) -> Objective:
    """Makes the objective of a recipe. Raises UserError for an unknown loss, and for fields that exclude each other."""
    if recipe.loss not in LOSSES:
        raise unknown("loss", recipe.loss, LOSSES)
    loss = LOSSES[recipe.loss]
    refuse_what_excludes_itself(recipe, loss)
    auxiliary = float(recipe.conditioning == "auxiliary")
    information = (recipe.information * bool(code_size(recipe)), partial(code_loss, classes=recipe.code_classes))
    for_discriminator = (
        (recipe.r1, r1),
        (recipe.r2, r2),
        (recipe.gradient_penalty, PENALTIES[recipe.gradient_penalty_at]),
        (recipe.label_smoothing, label_smoothing_term),
        (float(recipe.matching_aware), matching_aware),
        (auxiliary, class_of_real),
        (auxiliary, class_of_fake),
        information,
    )
    for_generator = ((auxiliary, class_of_fake), information)
    return Objective(
        loss,
        discriminator_terms=tuple((weight, term) for weight, term in for_discriminator if weight),
        generator_terms=tuple((weight, term) for weight, term in for_generator if weight),
    )


def refuse_what_excludes_itself(recipe: Recipe, loss: AdversarialLoss) -> None:
    """Raises UserError for the first pair of fields that exclude each other."""
    entropic = ", ".join(name for name, other in LOSSES.items() if other.cross_entropy)
    if recipe.label_smoothing and not loss.cross_entropy:
        raise UserError(f"--label-smoothing is for cross-entropy, which --loss {recipe.loss} has not; take {entropic}")
    if recipe.matching_aware and not loss.cross_entropy:
        raise UserError(f"--matching-aware adds to cross-entropy, which --loss {recipe.loss} has not; take {entropic}")
    if recipe.matching_aware and recipe.conditioning != "text":
        raise UserError("--matching-aware compares captions, so it needs --conditioning text, as in dcgan_text")
    if recipe.shuffled_conditions and recipe.conditioning == "none":
        raise UserError("--shuffled-conditions shuffles labels or captions, and --conditioning none has none")
    if recipe.discriminator_normalization == "batch":
        for name in ("gradient_penalty", "r1", "r2"):
            if getattr(recipe, name):
                raise UserError(
                    f"--{name.replace('_', '-')} needs the gradient of each example alone, and batch normalisation "
                    "mixes them; take --discriminator-normalization none or spectral"
                )
    if recipe.gradient_penalty_at != "between" and not recipe.gradient_penalty:
        raise UserError("--gradient-penalty-at moves a penalty that has no weight; give it one by --gradient-penalty")
    if recipe.weight_clip and recipe.discriminator_normalization == "spectral":
        raise UserError("--weight-clip and spectral normalisation both bound the weights; take one of them")
    if recipe.batch_size % recipe.pack:
        raise UserError(f"--batch-size {recipe.batch_size} cannot be cut into packs of {recipe.pack}")
    if recipe.pack > 1 and recipe.replay and recipe.conditioning != "none":
        raise UserError("--replay would tear apart the packs of one label that --pack makes; take one of them")
    if recipe.unrolled_steps and (recipe.conditioning == "auxiliary" or code_size(recipe)):
        raise UserError(
            "--unrolled-steps looks ahead by the adversarial loss alone, which trains no head that reads classes "
            "or codes; leave it out"
        )
    refuse_codes_that_are_lost(recipe)
    if recipe.replay and recipe.loss == "relativistic":
        raise UserError("--replay has no pairs of real and fake for --loss relativistic; take another loss")


def refuse_codes_that_are_lost(recipe: Recipe) -> None:
    """Raises UserError for a code that could not be read from every fake, or is not drawn evenly."""
    size = code_size(recipe)
    if recipe.code_classes == 1:
        raise UserError("--code-classes 1 codes nothing; take 0, or at least 2")
    if size > recipe.noise_size:
        raise UserError(f"--noise-size {recipe.noise_size} has no room for the {size} numbers of the code")
    if size and recipe.pack > 1:
        raise UserError("--pack judges several examples as one, and each has a code of its own; take one of them")
    if size and recipe.replay:
        raise UserError("--replay keeps fakes without the codes that they were made of; take one of them")
    if recipe.code_classes and recipe.noise == "bernoulli":
        raise UserError("--code-classes takes the largest of some noise, and --noise bernoulli has ties; take gaussian")


def label_smoothing_term(inputs: LossInputs) -> Tensor:
    """Adds one-sided label smoothing (Salimans et al. 2016, section 3.4).

    With target 1 - s in place of 1, cross-entropy grows by s·(softplus(l) - softplus(-l)) = s·l; s is the weight.
    """
    return inputs.real.logits.mean(-1)


def matching_aware(inputs: LossInputs) -> Tensor:
    """Counts real examples with captions of others as fakes, half of all fakes (Reed et al. 2016, algorithm 1)."""
    batch = inputs.batch
    wrong = batch.condition.roll(1, -2)
    differs = (wrong != batch.condition).any(-1).to(batch.examples.dtype)
    logits = inputs.discriminator(batch.examples, wrong).logits
    mismatched = (softplus(logits) * differs).sum(-1) / differs.sum(-1).clamp(min=1)
    return (mismatched - softplus(inputs.fake.logits).mean(-1)) / 2


def class_of_real(inputs: LossInputs) -> Tensor:
    """Returns -log P(class | example) of real examples: the auxiliary classifier of Odena et al. 2017, equation 3."""
    return class_loss(inputs.real.classes, inputs.batch.condition)


def class_of_fake(inputs: LossInputs) -> Tensor:
    """Returns -log P(class | example) of fakes, which both networks minimise."""
    return class_loss(inputs.fake.classes, inputs.fake_condition)
