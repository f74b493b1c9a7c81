"""Builds the generator and the discriminator of a recipe, each linear or convolutional."""

from dataclasses import replace

from torch import nn

from variants.augmentation import Augmented
from variants.base import DataSpec
from variants.blocks import normalize_spectrally
from variants.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from variants.linear import LinearDiscriminator, LinearGenerator
from variants.recipe import NEUTRAL, Recipe, UserError
from variants.remedies import Noisy, Packed

READS = frozenset(
    """generator_layers discriminator_layers generator_widths discriminator_widths generator_normalization
    discriminator_normalization negative_slope dropout minibatch_discrimination upsampling upsampling_kernel
    downsampling diff_augment""".split()
)
CONDITIONAL_READS = READS | {"conditioning", "embedding_size"}
LABELLED = ("none", "embedding", "channel", "projection", "auxiliary", "generator")


def build(spec: DataSpec, recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Builds both networks; wraps the discriminator where the recipe packs, disturbs or augments examples.

    Raises UserError for a field that the layers or the data would ignore.
    """
    refuse_what_is_not_read(recipe)
    if recipe.diff_augment != "none" and not spec.is_image:
        raise UserError("--diff-augment changes images, and this dataset has points")
    generator = {"linear": LinearGenerator, "convolutional": ConvolutionalGenerator}
    discriminator = {"linear": LinearDiscriminator, "convolutional": ConvolutionalDiscriminator}
    seen = replace(spec, shape=(spec.shape[0] * recipe.pack, *spec.shape[1:]))
    network = discriminator[recipe.discriminator_layers](seen, recipe)
    if recipe.discriminator_normalization == "spectral":
        normalize_spectrally(network)
    if recipe.pack > 1:
        network = Packed(network, recipe.pack)
    if recipe.instance_noise:
        network = Noisy(network, recipe.instance_noise)
    if recipe.diff_augment != "none":
        network = Augmented(network, recipe.diff_augment)
    return generator[recipe.generator_layers](spec, recipe), network


def refuse_what_is_not_read(recipe: Recipe) -> None:
    """Raises UserError for a field that the layers or the conditioning of this recipe would ignore."""
    unread = {
        "upsampling": (recipe.generator_layers == "linear", "--generator-layers convolutional"),
        "upsampling_kernel": (recipe.generator_layers == "linear", "--generator-layers convolutional"),
        "downsampling": (recipe.discriminator_layers == "linear", "--discriminator-layers convolutional"),
        "embedding_size": (recipe.conditioning in ("none", "channel"), "a --conditioning by embedding"),
    }
    for name, (ignored, wanted) in unread.items():
        if ignored and getattr(recipe, name) != getattr(NEUTRAL, name):
            raise UserError(f"--{name.replace('_', '-')} would change nothing here; it needs {wanted}")
