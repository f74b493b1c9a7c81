"""Residual networks: their parts against slow references, their shapes, and the labels that cannot enter them."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu, max_pool2d

from variants import DataSpec, UserError, load_variant
from variants.blocks import BatchNorm, SpectralNorm, frozen_buffers
from variants.conditioning import ConditionalBatchNorm
from variants.networks import build
from variants.recipe import Recipe
from variants.residual import ResidualBlock, SelfAttention, normalization

DIGITS = DataSpec((1, 8, 8), classes=10)
RESIDUAL = Recipe(
    generator_layers="residual", discriminator_layers="residual", generator_widths=(6,), discriminator_widths=(6,)
)


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("after", [4, 6])
@pytest.mark.parametrize(("grow", "shrink"), [(False, False), (True, False), (False, True)])
def test_a_block_adds_two_convolutions_to_a_shortcut(after: int, grow: bool, shrink: bool) -> None:
    """As the papers draw it: doubled before the first convolution or halved after the second, and so the shortcut."""
    torch.manual_seed(0)
    block = ResidualBlock(4, after, normalization("none", DIGITS), 0.2, grow, shrink).double()
    x = pictures(3, 4, 6, 6)
    doubled = interpolate(x, scale_factor=2.0, mode="nearest") if grow else x
    new = interpolate(leaky_relu(x, 0.2), scale_factor=2.0, mode="nearest") if grow else leaky_relu(x, 0.2)
    new = conv2d(new, block.first.weight, block.first.bias, padding=1)
    new = conv2d(leaky_relu(new, 0.2), block.second.weight, block.second.bias, padding=1)
    short = doubled if isinstance(block.shortcut, nn.Identity) else conv2d(doubled, block.shortcut.weight)
    expected = avg_pool2d(new + short, 2) if shrink else new + short
    torch.testing.assert_close(block(x, None), expected, rtol=1e-12, atol=1e-12)
    assert isinstance(block.shortcut, nn.Identity) == (after == 4 and not grow and not shrink)


def test_attention_is_a_weighted_sum_over_places_that_begins_at_nothing() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(8).double()
    x = pictures(2, 8, 4, 6)
    assert torch.equal(layer(x), x)
    layer.scale.factor.data.fill_(0.7)
    ours = layer(x)

    def at(weight: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return conv2d(image, weight[:, :, None, None])

    for image, made in zip(x, ours, strict=True):
        queries = at(layer.queries.weight, image[None])[0]
        keys, values = (max_pool2d(at(part.weight, image[None]), 2)[0] for part in (layer.keys, layer.values))
        for row in range(4):
            for column in range(6):
                here = queries[:, row, column]
                scores = torch.stack([here @ keys[:, i, j] for i in range(2) for j in range(3)])
                shares = (scores - scores.max()).exp() / (scores - scores.max()).exp().sum()
                seen = sum(shares[3 * i + j] * values[:, i, j] for i in range(2) for j in range(3))
                expected = image[:, row, column] + 0.7 * layer.joined.weight @ seen
                torch.testing.assert_close(made[:, row, column], expected.detach(), rtol=1e-6, atol=1e-6)


def test_conditional_normalisation_has_the_gains_of_each_label() -> None:
    torch.manual_seed(0)
    ours, plain = ConditionalBatchNorm(3, 4), BatchNorm(4)
    ours.gain.weight.data.copy_(torch.tensor([1.0, 2.0, -3.0])[:, None])
    ours.bias.weight.data.copy_(torch.tensor([0.0, 5.0, 7.0])[:, None])
    x, labels = torch.randn(6, 4, 3, 3) * 2 + 1, torch.tensor([0, 1, 2, 2, 1, 0])
    normal, made = plain(x), ours(x, labels)
    for place, label in enumerate(labels):
        gain, bias = (1.0, 2.0, -3.0)[label], (0.0, 5.0, 7.0)[label]
        torch.testing.assert_close(made[place], normal[place] * gain + bias)
    with frozen_buffers(ours):
        before = ours.normal.running_mean.clone()
        ours(x + 9, labels)
    assert torch.equal(before, ours.normal.running_mean)


@pytest.mark.parametrize(
    ("shape", "widths", "sides", "maps"),
    [
        ((1, 8, 8), (6,), [4], [6]),
        ((1, 28, 28), (8, 6), [7, 14], [8, 6]),
        ((3, 32, 32), (8, 6), [4, 8, 16], [8, 8, 6]),
        ((3, 64, 64), (8, 6), [4, 8, 16, 32], [8, 8, 8, 6]),
    ],
)
def test_there_is_a_block_for_each_map_below_the_images(
    shape: tuple[int, int, int], widths: tuple[int, ...], sides: list[int], maps: list[int]
) -> None:
    recipe = RESIDUAL.with_({"generator_widths": widths, "discriminator_widths": widths[::-1], "attention": True})
    generator, discriminator = build(DataSpec(shape), recipe)
    seen: dict[str, list[tuple[int, ...]]] = {"generator": [], "discriminator": [], "attention": []}

    def look(name: str, network: nn.Module) -> None:
        for block in network.blocks:
            block.register_forward_hook(lambda _, __, made: seen[name].append(tuple(made.shape[1:])))
        network.attention.register_forward_hook(lambda _, __, made: seen["attention"].append(tuple(made.shape[1:])))

    look("generator", generator), look("discriminator", discriminator)
    logits = discriminator(generator(torch.randn(2, recipe.noise_size), None), None).logits
    assert logits.shape == (2,)
    assert seen["generator"] == [(channels, side, side) for channels, side in zip(maps, sides, strict=True)]
    # Each block but the last halves its map.
    assert [made[1] for made in seen["discriminator"]] == [*sides[::-1][1:], sides[0]]
    assert seen["attention"] == [(widths[-1], shape[1] // 2, shape[2] // 2)] * 2


def test_spectral_normalisation_of_a_generator_is_on_every_layer() -> None:
    variant = load_variant("sagan")
    generator, discriminator = variant.build(DIGITS, variant.recipe("small").with_({"generator_spectral": True}))
    for network in (generator, discriminator):
        layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        norms = [m for m in network.modules() if isinstance(m, SpectralNorm)]
        assert len(layers) == len(norms) > 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"conditioning": "embedding"},
            "--discriminator-layers residual takes a label by --conditioning projection or",
        ),
        ({"conditioning": "text"}, "--discriminator-layers residual takes a label by --conditioning"),
        (
            {"conditioning": "channel", "discriminator_layers": "convolutional"},
            "--generator-layers residual takes no label as a channel",
        ),
        (
            {"generator_normalization": "conditional_batch", "generator_layers": "convolutional"},
            "--generator-normalization conditional_batch needs --generator-layers residual",
        ),
        ({"generator_normalization": "conditional_batch"}, "--generator-normalization conditional_batch needs labels"),
        ({"upsampling": "resize"}, "--upsampling would change nothing here; it needs --generator-layers convolutional"),
        ({"downsampling": "pool"}, "--downsampling would change nothing here"),
        (
            {"attention": True, "generator_layers": "linear", "discriminator_layers": "linear"},
            "--attention would change nothing here; it needs --generator-layers residual",
        ),
        (
            {"conditioning": "projection", "generator_normalization": "conditional_batch", "embedding_size": 3},
            "--embedding-size would change nothing here",
        ),
    ],
)
def test_what_residual_networks_would_ignore_is_refused(changes: dict, sentence: str) -> None:
    spec = DataSpec((1, 8, 8), classes=10, vocabulary=("a", "b"))
    with pytest.raises(UserError) as refused:
        build(spec, RESIDUAL.with_(changes))
    assert str(refused.value).startswith(sentence)


def test_logits_of_the_defaults_are_small_at_first() -> None:
    """Within the margin of the hinge, where it has a gradient for every example."""
    for name in ("sngan", "r3gan"):
        variant = load_variant(name)
        torch.manual_seed(0)
        _, discriminator = variant.build(DataSpec((1, 28, 28)), variant.recipe("default"))
        images = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
        assert discriminator(images).logits.abs().max() < 1, name
        assert math.isfinite(discriminator(images * 1e3).logits.sum().item())
