"""What an example costs each network, counted by torch, is what its layers say."""

import pytest
import torch

from benchmarks.algorithm.gan import build_gan
from benchmarks.algorithm.operations import count_forward
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from variants import VARIANTS, load_variant


def test_linear_layers_have_two_operations_for_each_weight() -> None:
    variant, spec = load_variant("vanilla_gan"), load(DatasetConfig("ring8")).spec
    recipe = variant.recipe("points").with_({"generator_widths": (5, 7), "discriminator_widths": (3,), "noise_size": 4})
    gan = build_gan(variant, spec, recipe, 0, torch.device("cpu"))
    counted = count_forward(gan.generator, gan.discriminator, spec, recipe)
    assert counted == {"generator": 2 * (4 * 5 + 5 * 7 + 7 * 2), "discriminator": 2 * (2 * 3 + 3 * 1)}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_counted_and_left_as_it_was(name: str) -> None:
    variant = load_variant(name)
    spec = load(DatasetConfig("captions_digits" if name == "dcgan_text" else "digits")).spec
    recipe = variant.recipe(variant.recipe_for(spec))
    gan = build_gan(variant, spec, recipe, 0, torch.device("cpu"))
    before = {key: value.clone() for key, value in gan.discriminator.state_dict().items()}
    random = torch.get_rng_state()
    counted = count_forward(gan.generator, gan.discriminator, spec, recipe)
    assert min(counted.values()) > 0
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[key]) for key, value in gan.discriminator.state_dict().items())
    assert gan.generator.training
    assert gan.discriminator.training
    # Twice as much with twice the examples, so it is that of one.
    packed = recipe.with_({"pack": 2}) if "pack" in variant.reads else None
    if packed is not None:
        wide = build_gan(variant, spec, packed, 0, torch.device("cpu"))
        assert count_forward(wide.generator, wide.discriminator, spec, packed)["generator"] == counted["generator"]
