"""The layers that are torch's own in another form give what torch's own give, and keep images in one layout."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.algorithm.gan import build_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from variants import DataSpec, load_variant
from variants.batch import Batch
from variants.blocks import FromImage, ToImage, Unflatten, draw_from, flat
from variants.objective import objective

SPEC = DataSpec((1, 28, 28), classes=10)


def of_order(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """What it gives, its gradients, and those of the norm of a gradient, which penalties take."""
    x = x.clone().requires_grad_()
    inputs = [x, *layer.parameters()]
    made = layer(x)
    first = torch.autograd.grad(made.pow(3).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), [x, layer.weight])
    return [made, *first, *second]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_convolution_of_an_image_is_torchs(channels: int, bias: bool) -> None:
    torch.manual_seed(0)
    usual, ours = (kind(channels, 8, 4, 2, 1, bias=bias).double() for kind in (nn.Conv2d, FromImage))
    ours.load_state_dict(usual.state_dict())
    x = torch.randn(5, channels, 28, 20, dtype=torch.float64)
    for expected, got in zip(of_order(usual, x), of_order(ours, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transposed_convolution_to_an_image_is_torchs(channels: int, kernel: int, bias: bool) -> None:
    torch.manual_seed(0)
    padding = (kernel - 1) // 2
    options = {"stride": 2, "padding": padding, "output_padding": 2 - kernel + 2 * padding, "bias": bias}
    usual, ours = (kind(8, channels, kernel, **options).double() for kind in (nn.ConvTranspose2d, ToImage))
    ours.load_state_dict(usual.state_dict())
    x = torch.randn(5, 8, 14, 10, dtype=torch.float64)
    for expected, got in zip(of_order(usual, x), of_order(ours, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "usual"), [(FromImage, nn.Conv2d), (ToImage, nn.ConvTranspose2d)])
def test_elsewhere_than_on_a_cpu_they_are_torchs_own(
    kind: type[nn.Module], usual: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = kind(1, 1, 4, 2, 1)
    called: list[nn.Module] = []
    forward = usual.forward
    monkeypatch.setattr(usual, "forward", lambda self, x, *rest: called.append(self) or forward(self, x, *rest))
    x = torch.empty(2, layer.in_channels, 8, 8)
    here, there = layer(x), layer.to("meta")(x.to("meta"))
    assert called == [layer]
    assert here.shape == there.shape


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (FromImage, {"stride": 1}),
        (FromImage, {"padding": 2}),
        (FromImage, {"kernel_size": 5, "padding": 2}),
        (FromImage, {"dilation": 2}),
        (ToImage, {"stride": (2, 1)}),
        (ToImage, {"output_padding": 1}),
        (ToImage, {"kernel_size": 5, "padding": 2}),
        (ToImage, {"groups": 2, "in_channels": 2, "out_channels": 2}),
    ],
    ids=str,
)
def test_what_does_not_go_by_blocks_is_refused(kind: type[nn.Module], options: dict) -> None:
    usual = {"in_channels": 1, "out_channels": 1, "kernel_size": 4, "stride": 2, "padding": 1}
    kind(**usual)
    with pytest.raises(ValueError, match="does not go by blocks of 2×2 pixels"):
        kind(**usual | options)


def test_features_are_flattened_back_with_its_gradient_in_its_own_layout() -> None:
    features = torch.randn(4, 3 * 7 * 5).requires_grad_()
    x = Unflatten(1, (3, 7, 5))(features)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert flat(x).equal(features)
    assert x.equal(features.unflatten(1, (3, 7, 5)))
    strides: list[tuple[int, ...]] = []
    x.register_hook(lambda gradient: strides.append(gradient.stride()))
    weights = torch.randn(4, 3 * 7 * 5)
    (flat(x.sin()) * weights).sum().backward()
    assert strides == [x.stride()]
    torch.testing.assert_close(features.grad, features.detach().cos() * weights)


class Layouts(TorchDispatchMode):
    """Sees which images are in which layout when a layer treats each value, or each channel, for itself."""

    watched = ("leaky_relu", "leaky_relu_backward", "native_batch_norm", "native_batch_norm_backward")

    def __init__(self) -> None:
        super().__init__()
        self.others: list[str] = []
        self.seen = 0

    def __torch_dispatch__(self, function: Callable, types, args=(), kwargs=None):
        name = function._overloadpacket.__name__
        for x in args if name in self.watched else ():
            if isinstance(x, Tensor) and x.ndim == 4:
                self.seen += 1
                if not x.is_contiguous(memory_format=torch.channels_last):
                    self.others.append(f"{name} {tuple(x.shape)}")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dcgan", {}),
        ("dcgan", {"upsampling": "resize"}),
        ("dcgan", {"upsampling": "pixel_shuffle", "downsampling": "pool"}),
        ("cgan_conv", {}),
        ("cgan_conv", {"conditioning": "channel"}),
        ("cgan_conv", {"conditioning": "projection", "dropout": 0.3}),
        ("sngan", {}),
        ("projection_gan", {"attention": True, "dropout": 0.3}),
        ("cgan_mlp", {"discriminator_layers": "convolutional", "discriminator_widths": (16, 32)}),
    ],
    ids=str,
)
def test_an_update_keeps_images_channels_last(name: str, changes: dict, precision: str) -> None:
    """Where two layouts meet, a LeakyReLU goes back twenty times slower."""
    variant = load_variant(name)
    recipe = variant.recipe("default").with_({"batch_size": 8, **changes})
    gan = build_gan(variant, SPEC, recipe, 0, torch.device("cpu"), precision)
    drawn = stream(0, "batch")
    for network in (gan.generator, gan.discriminator):
        network.train()
        draw_from(network, drawn)
    labels = torch.arange(8) % 10
    examples = torch.rand(8, *SPEC.shape, generator=drawn) * 2 - 1
    batch = Batch(examples, labels, torch.randn(8, recipe.noise_size, generator=drawn), labels, drawn)
    with Layouts() as layouts:
        discriminator_update(gan, objective(recipe), recipe, batch)
        generator_update(gan, objective(recipe), recipe, batch)
    assert layouts.seen > 10
    assert layouts.others == []
