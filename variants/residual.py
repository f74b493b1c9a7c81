"""Builds the residual generator and discriminator of SNGAN, projection GANs, SAGAN and R3GAN, small.

The papers' blocks also work on maps of the image's own size, which would take most of the time. Here the image is
written and read by a layer of stride 2, as in convolutional.py, and residual blocks work on all smaller maps: one block
for each width. So 28×28 images have blocks of 7×7 and 14×14. The image's sides are halved as often as there.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from variants.base import DataSpec, DiscriminatorOutput
from variants.blocks import BatchNorm, Examples, Noise, Scale, dropout, flat, output
from variants.conditioning import ConditionalBatchNorm, Head, generator_label, join_label
from variants.convolutional import dense, fitted, halvings, strided, transposed
from variants.recipe import Recipe

Normalization = Callable[[int], nn.Module | None]


def normalization(kind: str, spec: DataSpec) -> Normalization:
    """Returns what makes the normalisation of so many features: batch, conditional_batch, or None for the others."""
    if kind == "conditional_batch":
        return partial(ConditionalBatchNorm, spec.classes)
    return BatchNorm if kind == "batch" else lambda features: None


def normalized(norm: nn.Module | None, x: Tensor, condition: Tensor | None) -> Tensor:
    """Applies a normalisation, to which only a conditional one's labels matter."""
    if norm is None:
        return x
    return norm(x, condition) if isinstance(norm, ConditionalBatchNorm) else norm(x)


class ResidualBlock(nn.Module):
    """Adds two convolutions to its input, each after a normalisation and LeakyReLU (He et al. 2016, pre-activation).

    (batch, before, h, w) -> (batch, after, h, w); grow doubles h and w before the first convolution, shrink halves them
    after the second one, and only then are there other channels (Miyato et al. 2018, appendix B.4). The shortcut does
    likewise, by a 1×1 convolution.
    """

    def __init__(
        self, before: int, after: int, normal: Normalization, slope: float, grow: bool = False, shrink: bool = False
    ) -> None:
        super().__init__()
        between = before if shrink else after
        self.normals = nn.ModuleList([normal(before), normal(between)])
        # A normalisation of every block takes a constant away again.
        bias = self.normals[0] is None
        self.activation = nn.LeakyReLU(slope)
        self.first = nn.Conv2d(before, between, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(between, after, 3, padding=1, bias=bias)
        self.grow = nn.Upsample(scale_factor=2.0, mode="nearest") if grow else nn.Identity()
        self.shrink = nn.AvgPool2d(2) if shrink else nn.Identity()
        alike = before == after and not (grow or shrink)
        self.shortcut = nn.Identity() if alike else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        first, second = self.normals
        new = self.first(self.grow(self.activation(normalized(first, x, condition))))
        new = self.second(self.activation(normalized(second, new, condition)))
        # Pooling and doubling commute with the 1×1 convolution, which is cheaper on the smaller map.
        return self.shrink(new) + self.grow(self.shortcut(self.shrink(x)))


class SelfAttention(nn.Module):
    """Adds to each place what it attends to elsewhere: (batch, channels, h, w) -> the same.

    Zhang et al. 2019, equations 1 to 3. As in the paper's own code, keys and values are pooled 2×2; queries and keys
    have an eighth of the channels, and values a half. A learned factor, 0 at first, scales what is added.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        # A 1×1 convolution is a linear layer of each place.
        self.queries, self.keys = (nn.Linear(channels, few, bias=False) for _ in range(2))
        self.values, self.joined = nn.Linear(channels, half, bias=False), nn.Linear(half, channels, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        # (batch, height, width, channels), which is how channels_last maps lie in memory.
        places = x.movedim(1, -1)
        keys, values = (
            self.pool(made.movedim(-1, 1)).movedim(1, -1).flatten(1, 2)
            for made in (self.keys(places), self.values(places))
        )
        weights = torch.bmm(self.queries(places).flatten(1, 2), keys.mT).softmax(-1)
        seen = self.joined(torch.bmm(weights, values)).unflatten(1, x.shape[2:])
        return x + self.scale(seen).movedim(-1, 1)


class ResidualGenerator(nn.Module):
    """Maps noise to images: a dense layer, residual blocks that double their maps, and a transposed convolution.

    A label sets the gains of conditional batch normalisation, or else its embedding joins the noise.
    """

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        doublings = halvings(spec)
        channels, height, width = spec.shape
        maps = fitted(recipe.generator_widths[::-1], doublings, "generator")[::-1]
        kind, slope = recipe.generator_normalization, recipe.negative_slope
        self.label = None if kind == "conditional_batch" else generator_label(spec, recipe)
        inputs = recipe.noise_size + (self.label.size if self.label else 0)
        self.dense = dense(inputs, maps[0], shape=(height >> doublings, width >> doublings))
        normal = normalization(kind, spec)
        befores = (maps[0], *maps)
        self.blocks = nn.ModuleList(
            ResidualBlock(before, after, normal, slope, grow=place > 0)
            for place, (before, after) in enumerate(zip(befores, maps, strict=False))
        )
        self.attention = SelfAttention(maps[-1]) if recipe.attention else None
        self.normal, self.activation = normal(maps[-1]), nn.LeakyReLU(slope)
        self.image = nn.Sequential(*output(transposed(maps[-1], channels, kernel=4), spec))

    def forward(self, noise: Noise, condition: Tensor | None = None) -> Examples:
        x = self.dense(noise if self.label is None else join_label(noise, self.label(condition)))
        for block in self.blocks:
            x = block(x, condition)
        x = x if self.attention is None else self.attention(x)
        return self.image(self.activation(normalized(self.normal, x, condition)))


class ResidualDiscriminator(nn.Module):
    """Judges images: a convolution of stride 2, residual blocks that halve their maps, and a dense layer.

    The last block leaves its map as large as it is. A label enters at the end alone, by the head. The papers sum the
    last map over its places; the dense layer of a DCGAN, which tells them apart, keeps the first logits small here.
    """

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        count = halvings(spec)
        maps = fitted(recipe.discriminator_widths, count, "discriminator")
        normal = normalization(recipe.discriminator_normalization, spec)
        self.image = strided(spec.shape[0], maps[0])
        self.attention = SelfAttention(maps[0]) if recipe.attention else None
        self.blocks = nn.ModuleList(
            ResidualBlock(before, after, normal, recipe.negative_slope, shrink=place < count - 1)
            for place, (before, after) in enumerate(zip(maps, (*maps[1:], maps[-1]), strict=True))
        )
        self.activation = nn.LeakyReLU(recipe.negative_slope)
        self.dropout = nn.Sequential(*dropout(recipe))
        _, height, width = spec.shape
        self.head = Head(maps[-1] * (height * width >> 2 * count), spec, recipe)

    def forward(self, examples: Examples, condition: Tensor | None = None) -> DiscriminatorOutput:
        x = self.image(examples)
        x = x if self.attention is None else self.attention(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.head(self.dropout(flat(self.activation(x))), condition)
