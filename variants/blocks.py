"""Provides layers that torch lacks: they can freeze their buffers, draw from a given stream, or are faster on a CPU.

A training step of one network runs the other in training mode, but must leave it as it was, statistics included.
Dropout must not draw from the global random state, or a run could not be repeated beside others.

Feature maps are channels_last throughout, in both directions: where an operation meets two layouts, or few channels,
torch takes a path on a CPU that is up to twenty times slower.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d, normalize, pad, pixel_shuffle, pixel_unshuffle
from torch.nn.utils.parametrize import register_parametrization

from variants.base import DataSpec
from variants.recipe import Recipe

Layer = Callable[..., nn.Module]
Noise = Float[Tensor, "batch noise"]
Examples = Float[Tensor, "batch *shape"]


class BatchNorm(nn.Module):
    """Normalises a batch over every axis but the second (Ioffe & Szegedy 2015).

    In training it uses the batch's own statistics and, unless `frozen_buffers` is set, updates the running ones, which
    it uses in evaluation. (batch, features, ...) -> the same shape. affine: whether it has gains and biases.
    """

    def __init__(self, features: int, momentum: float = 0.1, epsilon: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.momentum, self.epsilon, self.frozen_buffers = momentum, epsilon, False
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.frozen_buffers:
            return batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.epsilon)
        mean, variance = self.running_mean, self.running_var
        return batch_norm(x, mean, variance, self.weight, self.bias, self.training, self.momentum, self.epsilon)

    def extra_repr(self) -> str:
        return str(self.running_mean.numel())


class Scale(nn.Module):
    """Multiplies by one learned factor, 0 at first. Any shape, unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Dropout(nn.Module):
    """Sets a share of the values to zero in training and scales up the rest (Srivastava et al. 2014).

    `draw_from` sets the stream that it draws from. Any shape, unchanged.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.stream: Generator | Sequence[Generator] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if self.stream is None:
            raise RuntimeError("dropout has no stream to draw from: call draw_from(network, stream) first")
        keep = torch.empty_like(x).bernoulli_(1 - self.share, generator=self.stream)
        return x * keep.div_(1 - self.share)

    def extra_repr(self) -> str:
        return str(self.share)


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value, as a parametrisation (Miyato et al. 2018, algorithm 1).

    One power iteration a forward pass in training follows that value, unless `frozen_buffers` is set. torch's own
    layer cannot be frozen, and fails under vmap.
    """

    def __init__(self, weight: Tensor, epsilon: float = 1e-12) -> None:
        super().__init__()
        self.epsilon, self.frozen_buffers = epsilon, False
        self.register_buffer("left", normalize(torch.randn(len(weight)), dim=0))
        # A few iterations now, so that the first steps already see about the right value.
        with torch.no_grad():
            for _ in range(15):
                self.left, _ = self._iterated(weight.flatten(1))

    def _iterated(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        right = normalize(matrix.t() @ self.left, dim=0, eps=self.epsilon)
        return normalize(matrix @ right, dim=0, eps=self.epsilon), right

    def forward(self, weight: Tensor) -> Tensor:
        # In the weight's own type, whatever the layers calculate in: the value is followed over many steps.
        if weight.is_meta:
            return self._normalized(weight)
        with torch.autocast(weight.device.type, enabled=False):
            return self._normalized(weight)

    def _normalized(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        with torch.no_grad():
            left, right = self._iterated(matrix)
            if self.training and not self.frozen_buffers:
                self.left.copy_(left)
        return weight / torch.dot(left, matrix @ right)


class FromImage(nn.Conv2d):
    """Convolves an image, which has few channels, with stride 2: (batch, channels, 2h, 2w) -> (batch, after, h, w).

    On a CPU it convolves blocks of 2×2 pixels with stride 1: the same sums, and the gradient of the image in a third of
    the time.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        refuse_other_strides(self)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        (margin, _), blocks = self.padding, pixel_unshuffle(self.weight, 2)
        return conv2d(pixel_unshuffle(pad(x, (margin,) * 4), 2), blocks, self.bias)


class ToImage(nn.ConvTranspose2d):
    """Makes an image by a transposed convolution of stride 2: (batch, before, h, w) -> (batch, channels, 2h, 2w).

    On a CPU it makes blocks of 2×2 pixels, as FromImage reads them. An odd kernel gets a last row and column of zeros.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        refuse_other_strides(self)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        (kernel, _), (left, _), (height, width) = self.kernel_size, self.padding, x.shape[2:]
        weight = pad(self.weight, (0, kernel % 2) * 2) if kernel % 2 else self.weight
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        whole = pixel_shuffle(conv_transpose2d(x, pixel_unshuffle(weight, 2), bias), 2)
        return whole[:, :, left : left + 2 * height, left : left + 2 * width]


def refuse_other_strides(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Raises ValueError for a layer that does not halve, or double, height and width by a stride of 2."""
    kernel, margin = layer.kernel_size[0], (layer.kernel_size[0] - 1) // 2
    more = 2 - kernel + 2 * margin if layer.transposed else 0
    wanted = {"kernel_size": kernel, "stride": 2, "padding": margin, "output_padding": more, "dilation": 1}
    right = all(getattr(layer, name) == (value, value) for name, value in wanted.items()) and layer.groups == 1
    if not right or (kernel % 2 and not layer.transposed):
        raise ValueError(f"{layer} does not go by blocks of 2×2 pixels")


class Unflatten(nn.Unflatten):
    """Reshapes (batch, channels · height · width) to (batch, channels, height, width), channels_last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(super().forward(x))


def flat(x: Tensor) -> Tensor:
    """Reshapes (batch, channels, height, width) to (batch, channels · height · width), the inverse of Unflatten."""
    return in_its_layout(x).flatten(1)


def in_its_layout(x: Tensor) -> Tensor:
    """Returns a feature map unchanged, whose gradient comes back channels_last whatever is done with it next."""
    if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
        x.register_hook(channels_last)
    return x


def channels_last(x: Tensor) -> Tensor:
    """Returns the same values with channels last in memory, copied only where they are not."""
    return x.contiguous(memory_format=torch.channels_last)


def normalize_spectrally(network: nn.Module) -> None:
    """Puts spectral normalisation on every linear and convolutional layer of a network."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            register_parametrization(module, "weight", SpectralNorm(module.weight))


def draw_from(network: nn.Module, stream: Generator | Sequence[Generator]) -> None:
    """Sets the stream of every layer that draws at random; one stream a seed for stacked seeds."""
    for module in network.modules():
        if hasattr(module, "stream"):
            module.stream = stream


def _layers_with_buffers(network: nn.Module) -> list[nn.Module]:
    """Lists the layers that can freeze their buffers; once, since a walk takes as long as a small layer."""
    kept = network.__dict__
    if "_layers_with_buffers" not in kept:
        kept["_layers_with_buffers"] = [module for module in network.modules() if hasattr(module, "frozen_buffers")]
    return kept["_layers_with_buffers"]


@contextmanager
def frozen_buffers(network: nn.Module) -> Iterator[None]:
    """Keeps the buffers of a network as they are during forward passes in training mode."""
    layers = _layers_with_buffers(network)
    for layer in layers:
        layer.frozen_buffers = True
    try:
        yield
    finally:
        for layer in layers:
            layer.frozen_buffers = False


def hidden(layer: Layer, before: int, after: int, kind: str, slope: float) -> list[nn.Module]:
    """Makes a layer, its normalisation and LeakyReLU; without a bias where the normalisation would remove it."""
    if kind == "batch":
        return [layer(before, after, bias=False), BatchNorm(after), nn.LeakyReLU(slope)]
    return [layer(before, after), nn.LeakyReLU(slope)]


def dropout(recipe: Recipe) -> list[nn.Module]:
    return [Dropout(recipe.dropout)] if recipe.dropout else []


def output(layer: nn.Module, spec: DataSpec) -> list[nn.Module]:
    return [layer, nn.Tanh()] if spec.bounded else [layer]
