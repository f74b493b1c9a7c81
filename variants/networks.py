"""The linear and the convolutional generator and discriminator, built from a DataSpec and a Recipe.

They serve 1 or 3 channels and any image size. The convolutional ones halve an image as long as both its sides are even
and above 4 (28 → 14 → 7, 32 → 16 → 8 → 4, 8 → 4); the generator comes back the same way. A recipe's widths are
read from the image's side: where there are fewer of them than layers, the one farthest from the image is repeated, and
where there are more, the farthest are left out.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from variants.base import DataSpec, DiscriminatorOutput
from variants.blocks import BatchNorm, Dropout, FromImage, ToImage, Unflatten, flat, normalize_spectrally
from variants.conditioning import Head, embedding, generator_label, join, label_channel
from variants.recipe import NEUTRAL, Recipe, UserError
from variants.remedies import Noisy, Packed

READS = frozenset(
    """generator_layers discriminator_layers generator_widths discriminator_widths generator_normalization
    discriminator_normalization negative_slope dropout minibatch_discrimination upsampling upsampling_kernel
    downsampling""".split()
)
CONDITIONAL = READS | {"conditioning", "embedding_size"}
LABELLED = ("none", "embedding", "channel", "projection", "auxiliary", "generator")

# An image's own channels, and that of a label.
IMAGE_CHANNELS = 4

Layer = Callable[..., nn.Module]
Noise = Float[Tensor, "batch noise"]
Examples = Float[Tensor, "batch *shape"]


def build(spec: DataSpec, recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """The generator and the discriminator of a recipe, each linear or convolutional, with what wraps the latter."""
    refuse_what_is_not_read(recipe)
    generator = {"linear": LinearGenerator, "convolutional": ConvolutionalGenerator}
    discriminator = {"linear": LinearDiscriminator, "convolutional": ConvolutionalDiscriminator}
    seen = replace(spec, shape=(spec.shape[0] * recipe.pack, *spec.shape[1:]))
    judge = discriminator[recipe.discriminator_layers](seen, recipe)
    if recipe.discriminator_normalization == "spectral":
        normalize_spectrally(judge)
    if recipe.pack > 1:
        judge = Packed(judge, recipe.pack)
    if recipe.instance_noise:
        judge = Noisy(judge, recipe.instance_noise)
    return generator[recipe.generator_layers](spec, recipe), judge


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


class LinearGenerator(nn.Module):
    """Linear layers with LeakyReLU (I3b); tanh at the end where the data is bounded."""

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.shape = spec.shape
        self.label = generator_label(spec, recipe)
        width = recipe.noise_size + (self.label.size if self.label else 0)
        self.layers = nn.Sequential()
        for units in recipe.generator_widths:
            self.layers.extend(hidden(nn.Linear, width, units, recipe.generator_normalization, recipe.negative_slope))
            width = units
        self.layers.extend(output(nn.Linear(width, spec.size), spec))

    def forward(self, noise: Noise, condition: Tensor | None = None) -> Examples:
        x = noise if self.label is None else join(noise, self.label(condition))
        return self.layers(x).unflatten(1, self.shape)


class LinearDiscriminator(nn.Module):
    """Linear layers with LeakyReLU and dropout on the flattened example (I3b, I3c); a label joins it there (I1b)."""

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.label = None
        if recipe.conditioning in ("embedding", "text"):
            self.label = embedding(spec, recipe)
        elif recipe.conditioning == "channel":
            self.label = label_channel(spec)
        width = spec.size + (self.label.size if self.label else 0)
        self.layers = nn.Sequential()
        kind, slope = recipe.discriminator_normalization, recipe.negative_slope
        for units in recipe.discriminator_widths:
            self.layers.extend(hidden(nn.Linear, width, units, kind, slope))
            self.layers.extend(dropout(recipe))
            width = units
        self.head = Head(width, spec, recipe)

    def forward(self, examples: Examples, condition: Tensor | None = None) -> DiscriminatorOutput:
        x = examples.flatten(1)
        x = x if self.label is None else join(x, self.label(condition))
        return self.head(self.layers(x), condition)


class ConvolutionalGenerator(nn.Module):
    """A dense layer to a small feature map, then transposed convolutions of stride 2 (C2; Radford et al. 2016).

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
        x = self.dense(join(noise, self.label(condition)) if self.joins_noise else noise)
        return self.layers(x if self.label is None or self.joins_noise else join(x, self.label(condition)))


class ConvolutionalDiscriminator(nn.Module):
    """Convolutions of stride 2 with LeakyReLU, channels growing, ended by a classifier (C1; Radford et al. 2016).

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
        x = self.layers(examples if self.channel is None else join(examples, self.channel(condition)))
        if self.embedding is not None:
            x = self.joined(join(x, self.embedding(condition)))
        return self.head(flat(x), condition)


def hidden(layer: Layer, before: int, after: int, kind: str, slope: float) -> list[nn.Module]:
    """A layer, its normalisation and LeakyReLU; no bias before a normalisation, which would take it away again."""
    if kind == "batch":
        return [layer(before, after, bias=False), BatchNorm(after), nn.LeakyReLU(slope)]
    return [layer(before, after), nn.LeakyReLU(slope)]


def dropout(recipe: Recipe) -> list[nn.Module]:
    return [Dropout(recipe.dropout)] if recipe.dropout else []


def output(layer: nn.Module, spec: DataSpec) -> list[nn.Module]:
    return [layer, nn.Tanh()] if spec.bounded else [layer]


def dense(before: int, after: int, bias: bool = True, *, shape: tuple[int, int]) -> nn.Module:
    """(batch, before) -> (batch, after, height, width)."""
    height, width = shape
    return nn.Sequential(nn.Linear(before, after * height * width, bias=bias), Unflatten(1, (after, height, width)))


def transposed(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """(batch, before, h, w) -> (batch, after, 2h, 2w). C3: each input entry is multiplied with the whole kernel.

    Where the stride of 2 does not divide the kernel, outputs overlap unevenly (Odena et al. 2016).
    """
    padding = (kernel - 1) // 2
    layer = ToImage if after <= IMAGE_CHANNELS else nn.ConvTranspose2d
    return layer(before, after, kernel, 2, padding, output_padding=2 - kernel + 2 * padding, bias=bias)


def resized(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """The same growth by nearest neighbours, then a convolution (Odena et al. 2016); as many weights as transposed."""
    return nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), *same_size(before, after, kernel, bias))


def shuffled(before: int, after: int, bias: bool = True, *, kernel: int) -> nn.Module:
    """The same growth by a convolution to four times the channels, dealt out to pixels (Shi et al. 2016).

    Its kernel is half as large, so that an even one gives as many weights as transposed.
    """
    return nn.Sequential(*same_size(before, 4 * after, (kernel + 1) // 2, bias), nn.PixelShuffle(2))


def strided(before: int, after: int, bias: bool = True) -> nn.Module:
    """(batch, before, 2h, 2w) -> (batch, after, h, w)."""
    layer = FromImage if before <= IMAGE_CHANNELS else nn.Conv2d
    return layer(before, after, kernel_size=4, stride=2, padding=1, bias=bias)


def pooled(before: int, after: int, bias: bool = True) -> nn.Module:
    """The same shrinking by a convolution of stride 1 and max pooling; as many weights as strided."""
    return nn.Sequential(*same_size(before, after, 4, bias), nn.MaxPool2d(2))


def same_size(before: int, after: int, kernel: int, bias: bool) -> list[nn.Module]:
    """A convolution of stride 1 that leaves height and width as they are."""
    left, right = (kernel - 1) // 2, kernel // 2
    # An even kernel has one more to the right; torch would pad by a copy, and warn of it.
    return [nn.ZeroPad2d((left, right, left, right)), nn.Conv2d(before, after, kernel, bias=bias)]


GROWING = {"transposed": transposed, "resize": resized, "pixel_shuffle": shuffled}
SHRINKING = {"strided": strided, "pool": pooled}


def halvings(spec: DataSpec) -> int:
    """How often convolutions halve such an image. Raises UserError if they cannot."""
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
    """As many widths as there are layers, from widths that are given from the image's side."""
    if not widths:
        raise UserError(f"--{network}-widths is empty; a convolutional {network} needs at least one")
    return (widths + widths[-1:] * count)[:count]
