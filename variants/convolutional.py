"""Builds the convolutional generator and discriminator, and the ways to double and to halve an image.

They serve any number of channels and any image with even sides above 4. They halve it as long as both its sides are
even and above 4 (28 → 14 → 7, 32 → 16 → 8 → 4, 8 → 4); the generator comes back the same way. A recipe's widths are
read from the image's side: the one farthest from the image is repeated where there are more layers, and the farthest
are left out where there are fewer.
"""

from functools import partial

from torch import Tensor, nn

from variants.base import DataSpec, DiscriminatorOutput
from variants.blocks import Examples, FromImage, Noise, ToImage, Unflatten, dropout, flat, hidden, output
from variants.conditioning import Head, embedding, generator_label, join_label, label_channel
from variants.recipe import Recipe, UserError

# Most channels of an image, with one for the label; chosen, not tuned.
IMAGE_CHANNELS = 4


class ConvolutionalGenerator(nn.Module):
    """Maps noise to images: a dense layer, then transposed convolutions of stride 2 (C2; Radford et al. 2016).

    A label's embedding joins the noise; a label's channel joins the small feature map (I1a).
    """

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        doublings = halvings(spec)
        channels, height, width = spec.shape
        height, width = height >> doublings, width >> doublings
        maps = fitted(recipe.generator_widths[::-1], doublings, "generator")[::-1]
        self.label = generator_label(spec, recipe, doublings)
        self.joins_noise = self.label is not None and recipe.conditioning != "channel"
        joins_map = self.label is not None and not self.joins_noise
        inputs = recipe.noise_size + (self.label.size if self.joins_noise else 0)
        kind, slope = recipe.generator_normalization, recipe.negative_slope
        self.dense = nn.Sequential(*hidden(partial(dense, shape=(height, width)), inputs, maps[0], kind, slope))
        self.layers = nn.Sequential()
        grow = partial(GROWING[recipe.upsampling], kernel=recipe.upsampling_kernel)
        before = maps[0] + joins_map
        for after in maps[1:]:
            self.layers.extend(hidden(grow, before, after, kind, slope))
            before = after
        self.layers.extend(output(grow(before, channels), spec))

    def forward(self, noise: Noise, condition: Tensor | None = None) -> Examples:
        x = self.dense(join_label(noise, self.label(condition)) if self.joins_noise else noise)
        return self.layers(x if self.label is None or self.joins_noise else join_label(x, self.label(condition)))


class ConvolutionalDiscriminator(nn.Module):
    """Judges images by convolutions of stride 2 with growing channels and LeakyReLU (C1; Radford et al. 2016).

    The first layer has no normalisation, as there. A label's channel joins the image (I1a), an embedding or a text's
    encoding the last feature map.
    """

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        count = halvings(spec)
        channels, height, width = spec.shape
        self.channel = label_channel(spec) if recipe.conditioning == "channel" else None
        self.layers = nn.Sequential()
        before = channels + (self.channel is not None)
        for layer, after in enumerate(fitted(recipe.discriminator_widths, count, "discriminator")):
            kind = recipe.discriminator_normalization if layer else "none"
            self.layers.extend(hidden(SHRINKING[recipe.downsampling], before, after, kind, recipe.negative_slope))
            self.layers.extend(dropout(recipe))
            before = after
        self.embedding = embedding(spec, recipe) if recipe.conditioning in ("embedding", "text") else None
        if self.embedding is not None:
            # A convolution after the join, or the label could only shift the logit, whatever the image (Reed et al.
            # 2016, section 4.1).
            kind = recipe.discriminator_normalization
            joined = hidden(
                partial(nn.Conv2d, kernel_size=1), before + self.embedding.size, before, kind, recipe.negative_slope
            )
            self.joined = nn.Sequential(*joined)
        self.head = Head(before * (height * width >> 2 * count), spec, recipe)

    def forward(self, examples: Examples, condition: Tensor | None = None) -> DiscriminatorOutput:
        x = self.layers(examples if self.channel is None else join_label(examples, self.channel(condition)))
        if self.embedding is not None:
            x = self.joined(join_label(x, self.embedding(condition)))
        return self.head(flat(x), condition)


def dense(before: int, after: int, bias: bool = True, *, shape: tuple[int, int]) -> nn.Module:
    """Makes a dense layer to a feature map: (batch, before) -> (batch, after, height, width)."""
    height, width = shape
    return nn.Sequential(nn.Linear(before, after * height * width, bias=bias), Unflatten(1, (after, height, width)))


def transposed(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """Makes a transposed convolution: (batch, before, h, w) -> (batch, after, 2h, 2w).

    Each input entry is multiplied with the whole kernel (C3).

    Where the stride of 2 does not divide the kernel, outputs overlap unevenly (Odena et al. 2016).
    """
    padding = (kernel - 1) // 2
    layer = ToImage if after <= IMAGE_CHANNELS else nn.ConvTranspose2d
    return layer(before, after, kernel, 2, padding, output_padding=2 - kernel + 2 * padding, bias=bias)


def resized(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """Doubles by nearest neighbours, then a convolution (Odena et al. 2016); has as many weights as `transposed`."""
    return nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), *same_size(before, after, kernel, bias))


def shuffled(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """Doubles by a convolution to four times the channels, which become pixels (Shi et al. 2016).

    The kernel is half as large, so that an even one gives as many weights as `transposed`.
    """
    return nn.Sequential(*same_size(before, 4 * after, (kernel + 1) // 2, bias), nn.PixelShuffle(2))


def strided(before: int, after: int, bias: bool = True) -> nn.Module:
    """Makes a convolution of stride 2: (batch, before, 2h, 2w) -> (batch, after, h, w)."""
    layer = FromImage if before <= IMAGE_CHANNELS else nn.Conv2d
    return layer(before, after, kernel_size=4, stride=2, padding=1, bias=bias)


def pooled(before: int, after: int, bias: bool = True) -> nn.Module:
    """Halves by a convolution of stride 1 and max pooling; has as many weights as `strided`."""
    return nn.Sequential(*same_size(before, after, 4, bias), nn.MaxPool2d(2))


def same_size(before: int, after: int, kernel: int, bias: bool) -> list[nn.Module]:
    """Makes a convolution of stride 1 that keeps height and width."""
    left, right = (kernel - 1) // 2, kernel // 2
    # An even kernel needs one more on the right; torch would pad by a copy, and warn.
    return [nn.ZeroPad2d((left, right, left, right)), nn.Conv2d(before, after, kernel, bias=bias)]


GROWING = {"transposed": transposed, "resize": resized, "pixel_shuffle": shuffled}
SHRINKING = {"strided": strided, "pool": pooled}


def halvings(spec: DataSpec) -> int:
    """Counts how often convolutions halve such an image. Raises UserError if they cannot."""
    if not spec.is_image:
        raise UserError("convolutional layers need images, not points of the plane; take linear ones")
    _, height, width = spec.shape
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > 4:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise UserError(f"convolutional layers need images with even sides above 4, not {height}×{width}")
    return count


def fitted(widths: tuple[int, ...], count: int, network: str) -> tuple[int, ...]:
    """Returns as many widths as there are layers, from widths that are given from the image's side."""
    if not widths:
        raise UserError(f"--{network}-widths is empty; a convolutional {network} needs at least one")
    return (widths + widths[-1:] * count)[:count]
