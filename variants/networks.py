"""Builds the generator and the discriminator of a recipe, each linear, convolutional or residual."""

from dataclasses import replace

from torch import nn

from variants.augmentation import Augmented
from variants.base import DataSpec
from variants.blocks import normalize_spectrally
from variants.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from variants.information import Coded
from variants.linear import LinearDiscriminator, LinearGenerator
from variants.recipe import NEUTRAL, Recipe, UserError
from variants.remedies import Noisy, Packed
from variants.residual import ResidualDiscriminator, ResidualGenerator

READS = frozenset(
    """generator_layers discriminator_layers generator_widths discriminator_widths generator_normalization
    generator_spectral discriminator_normalization negative_slope dropout minibatch_discrimination attention
    code_classes code_values upsampling upsampling_kernel downsampling diff_augment""".split()
)
CONDITIONAL_READS = READS | {"conditioning", "embedding_size"}
LABELLED = ("none", "embedding", "channel", "projection", "auxiliary", "generator")

GENERATORS = {
    "linear": LinearGenerator,
    "convolutional": ConvolutionalGenerator,
    "residual": ResidualGenerator,
}
DISCRIMINATORS = {
    "linear": LinearDiscriminator,
    "convolutional": ConvolutionalDiscriminator,
    "residual": ResidualDiscriminator,
}


def build(spec: DataSpec, recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Builds both networks; wraps the discriminator where the recipe packs, disturbs or augments examples.

    Raises UserError for a field that the layers or the data would ignore.
    """
    refuse_what_is_not_read(recipe)
    if recipe.diff_augment != "none" and not spec.is_image:
        raise UserError("--diff-augment changes images, and this dataset has points")
    refuse_what_does_not_fit(recipe)
    seen = replace(spec, shape=(spec.shape[0] * recipe.pack, *spec.shape[1:]))
    network = DISCRIMINATORS[recipe.discriminator_layers](seen, recipe)
    if recipe.discriminator_normalization == "spectral":
        normalize_spectrally(network)
    if recipe.pack > 1:
        network = Packed(network, recipe.pack)
    if recipe.instance_noise:
        network = Noisy(network, recipe.instance_noise)
    if recipe.diff_augment != "none":
        network = Augmented(network, recipe.diff_augment)
    generator = GENERATORS[recipe.generator_layers](spec, recipe)
    if recipe.generator_spectral:
        normalize_spectrally(generator)
    if recipe.code_classes:
        generator = Coded(generator, recipe.code_classes)
    return generator, network


def refuse_what_is_not_read(recipe: Recipe) -> None:
    """Raises UserError for a field that the layers or the conditioning of this recipe would ignore."""
    generator, discriminator = recipe.generator_layers, recipe.discriminator_layers
    # Where neither network has a table of label embeddings.
    untold = recipe.conditioning in ("none", "channel")
    untold = untold or (by_conditional_norm(recipe) and recipe.conditioning != "embedding")
    unread = {
        "upsampling": (generator != "convolutional", "--generator-layers convolutional"),
        "upsampling_kernel": (generator != "convolutional", "--generator-layers convolutional"),
        "downsampling": (discriminator != "convolutional", "--discriminator-layers convolutional"),
        "attention": ("residual" not in (generator, discriminator), "--generator-layers residual"),
        "embedding_size": (untold, "a --conditioning by embedding"),
    }
    for name, (ignored, wanted) in unread.items():
        if ignored and getattr(recipe, name) != getattr(NEUTRAL, name):
            raise UserError(f"--{name.replace('_', '-')} would change nothing here; it needs {wanted}")


def by_conditional_norm(recipe: Recipe) -> bool:
    return recipe.generator_normalization == "conditional_batch"


def refuse_what_does_not_fit(recipe: Recipe) -> None:
    """Raises UserError for a label that could not enter the layers of this recipe in the way that it asks for."""
    kind = recipe.conditioning
    if recipe.discriminator_layers == "residual" and kind in ("embedding", "channel", "text"):
        raise UserError(
            f"--discriminator-layers residual takes a label by --conditioning projection or auxiliary, not {kind}"
        )
    if recipe.generator_layers == "residual" and kind == "channel":
        raise UserError("--generator-layers residual takes no label as a channel; take --conditioning projection")
    if by_conditional_norm(recipe) and recipe.generator_layers != "residual":
        raise UserError("--generator-normalization conditional_batch needs --generator-layers residual")
    if by_conditional_norm(recipe) and kind in ("none", "text"):
        raise UserError(
            "--generator-normalization conditional_batch needs labels, as --conditioning projection has them"
        )
