"""Tutorials have the networks, losses and optimisers that they publish, and lose nothing by the size of the images."""

import math
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.timing.tutorials import (
    NOISE_SIZE,
    TUTORIALS,
    gradient_penalty,
    train_cgan,
    train_dcgan,
    train_wgan_gp,
)
from variants import DataSpec, UserError

MNIST = DataSpec((1, 28, 28), classes=10)
SPECS = [MNIST, DataSpec((1, 8, 8), classes=10), DataSpec((3, 32, 32), classes=100), DataSpec((3, 28, 40), classes=2)]


@pytest.fixture(autouse=True)
def own_random_state() -> Iterator[None]:
    """Tutorials draw from the global state."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        yield


def linear(*widths: int) -> int:
    """Counts the parameters of linear layers."""
    return sum(before * after + after for before, after in pairwise(widths))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "x".join(map(str, spec.shape)))
@pytest.mark.parametrize("name", TUTORIALS)
def test_networks_fit_the_images(name: str, spec: DataSpec) -> None:
    tutorial = TUTORIALS[name]
    generator, discriminator = tutorial.build(spec)
    labels = torch.arange(6) % spec.classes
    drawn = tutorial.sampler(generator, spec, torch.Generator().manual_seed(0))(labels, 6)
    assert drawn.shape == (6, *spec.shape)
    assert drawn.abs().max() <= 1
    # Sampling is in evaluation mode, so that a sample does not depend on the others; training goes on after it.
    again = tutorial.sampler(generator, spec, torch.Generator().manual_seed(0))(labels, 6)
    assert torch.equal(again, drawn)
    assert generator.training
    given = (labels,) if tutorial.conditional else ()
    fakes = generator(torch.randn(6, NOISE_SIZE), *given)
    assert discriminator(fakes, *given).numel() == 6


def test_the_linear_networks_are_those_that_are_published() -> None:
    generator, discriminator = TUTORIALS["cgan"].build(MNIST)
    batch_norms = 2 * (256 + 512 + 1024)
    assert count(generator) == 10 * 10 + linear(110, 128, 256, 512, 1024, 784) + batch_norms
    assert count(discriminator) == 10 * 10 + linear(794, 512, 512, 512, 1)
    block = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds(generator) == ["Linear", "LeakyReLU", *block, *block, *block, "Linear", "Tanh"]
    block = ["Linear", "Dropout", "LeakyReLU"]
    assert kinds(discriminator) == ["Linear", "LeakyReLU", *block, *block, "Linear"]
    layers = [*generator.modules(), *discriminator.modules()]
    assert {layer.eps for layer in layers if isinstance(layer, nn.BatchNorm1d)} == {0.8}
    assert {layer.momentum for layer in layers if isinstance(layer, nn.BatchNorm1d)} == {0.1}
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert {layer.p for layer in layers if isinstance(layer, nn.Dropout)} == {0.4}

    generator, critic = TUTORIALS["wgan_gp"].build(MNIST)
    assert count(generator) == linear(100, 128, 256, 512, 1024, 784) + batch_norms
    assert count(critic) == linear(784, 512, 256, 1)
    assert kinds(critic) == ["Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear"]


def test_the_convolutional_networks_are_those_that_are_published_without_the_layer_of_512_maps() -> None:
    generator, discriminator = TUTORIALS["dcgan"].build(MNIST)
    # No biases; batch norm after each layer but the last one, or the first one.
    assert count(generator) == 16 * (100 * 256 + 256 * 128 + 128 * 64 + 64) + 2 * (256 + 128 + 64)
    assert count(discriminator) == 16 * (64 + 64 * 128 + 128 * 256 + 256) + 2 * (128 + 256)
    block = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert kinds(generator) == [*block, *block, *block, "ConvTranspose2d", "Tanh"]
    block = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(discriminator) == ["Conv2d", "LeakyReLU", *block, *block, "Conv2d", "Sigmoid"]
    for layer in [*generator.layers, *discriminator.layers]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.kernel_size == (4, 4)
            # A thousand weights or more: their deviation is within a tenth of 0.02.
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert abs(layer.weight.mean().item()) < 0.002
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.02)
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("name", "batch_size", "critic_steps", "conditional"),
    [("cgan", 64, 1, True), ("dcgan", 128, 1, False), ("wgan_gp", 64, 5, False)],
)
def test_the_settings_are_those_that_are_published(
    name: str, batch_size: int, critic_steps: int, conditional: bool
) -> None:
    tutorial = TUTORIALS[name]
    assert (tutorial.batch_size, tutorial.critic_steps, tutorial.conditional) == (batch_size, critic_steps, conditional)
    networks = tutorial.build(MNIST)
    for network, optimizer in zip(networks, tutorial.optimizers(*networks), strict=True):
        [group] = optimizer.param_groups
        assert type(optimizer) is Adam
        assert list(map(id, group["params"])) == list(map(id, network.parameters()))
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)
    assert NOISE_SIZE == 100


class Says(nn.Module):
    """Says the same of every image, times a weight that is 1, and moves the other way from what it is asked to say."""

    def __init__(self, value: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.value, self.shape = value, shape
        self.weight = nn.Parameter(torch.ones(()))
        self.calls: list[Tensor] = []

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        self.calls.append(images.detach().clone())
        # It depends on the images, with no slope.
        return (self.value * self.weight + 0 * images.flatten(1).sum(1)).view(len(images), *self.shape)


class Draws(nn.Module):
    """Draws images that are all its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, 2)
        self.weight = nn.Parameter(torch.full((), 0.5))

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.weight * torch.ones(len(noise), 1, 2, 2)


def still(network: nn.Module) -> Adam:
    """Returns an optimiser that moves nothing, so that the losses of both steps are of the same networks."""
    return Adam(network.parameters(), lr=0.0)


REAL = [(-torch.ones(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))]


def test_the_conditional_tutorial_has_least_squares() -> None:
    generator, discriminator = Draws(), Says(0.7, (1,))
    [logged] = islice(train_cgan(generator, discriminator, still(generator), still(discriminator), REAL), 1)
    assert logged["generator_loss"] == pytest.approx(0.3**2)
    assert logged["discriminator_loss"] == pytest.approx((0.3**2 + 0.7**2) / 2)
    # The generator's step comes first; the discriminator sees the same fakes after the real images.
    assert [each.mean().item() for each in discriminator.calls] == [0.5, -1.0, 0.5]


def test_the_convolutional_tutorial_has_cross_entropy() -> None:
    generator, discriminator = Draws(), Says(0.7, ())
    [logged] = islice(train_dcgan(generator, discriminator, still(generator), still(discriminator), REAL), 1)
    assert logged["generator_loss"] == pytest.approx(-math.log(0.7))
    assert logged["discriminator_loss"] == pytest.approx(-math.log(0.7) - math.log(0.3))
    assert (logged["d_real"], logged["d_fake"]) == pytest.approx((0.7, 0.7))
    assert [each.mean().item() for each in discriminator.calls] == [-1.0, 0.5, 0.5]


def test_the_wasserstein_tutorial_updates_the_generator_with_every_fifth_batch_of_a_pass() -> None:
    generator, critic = Draws(), Says(0.7, (1,))
    read: list[int] = []

    class Loader:
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            for number in range(7):
                read.append(number)
                yield REAL[0]

    steps = train_wgan_gp(generator, critic, still(generator), still(critic), Loader())
    logged = next(steps)
    # As much for fakes as for real images, and a slope of 0 where 1 is wanted, ten times.
    assert logged["discriminator_loss"] == pytest.approx(10.0)
    assert logged["generator_loss"] == pytest.approx(-0.7)
    assert read == [0]
    next(steps)
    assert read == [0, 1, 2, 3, 4, 5]
    # The next pass begins with one.
    next(steps)
    assert read == [0, 1, 2, 3, 4, 5, 6, 0]


def test_the_penalty_of_a_linear_critic_is_that_of_its_slope() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        critic[1].weight.copy_(torch.tensor([[3.0, 0.0, 4.0, 0.0]]))
    penalty = gradient_penalty(critic, torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    penalty.backward()
    # 2 (‖w‖ − 1) w / ‖w‖
    assert critic[1].weight.grad.flatten().tolist() == pytest.approx([4.8, 0.0, 6.4, 0.0], rel=1e-5)


@pytest.mark.parametrize("name", TUTORIALS)
def test_an_update_moves_both_networks_by_the_rate(name: str) -> None:
    tutorial, data = TUTORIALS[name], load(DatasetConfig("digits"))
    networks = tutorial.build(data.spec)
    steps = tutorial.train(*networks, *tutorial.optimizers(*networks), tutorial.make_loader(data))
    before = [[p.detach().clone() for p in network.parameters()] for network in networks]
    assert all(math.isfinite(value) for value in next(steps).values())
    for network, weights in zip(networks, before, strict=True):
        moved = [not torch.equal(p, was) for p, was in zip(network.parameters(), weights, strict=True)]
        # The last bias of a critic counts for real and for fake images alike, so it has no slope.
        assert all(moved[:-1])
        # Adam's first step is of the rate, whatever the slope.
        for p, was in zip(network.parameters(), weights, strict=True):
            assert (p - was).abs().max().item() <= 1.01 * 2e-4


def test_padding_loses_nothing() -> None:
    """28×28 becomes 32×32 for the convolutions, with black around it, and the middle is what is judged."""
    tutorial = TUTORIALS["dcgan"]
    data = load(DatasetConfig("digits", image_size=28))
    example, _ = tutorial.make_loader(data).dataset[3]
    assert example.shape == (1, 32, 32)
    torch.testing.assert_close(example[:, 2:30, 2:30], data.train.images(torch.tensor([3]))[0])
    around = example.clone()
    around[:, 2:30, 2:30] = -1
    assert torch.equal(around, torch.full((1, 32, 32), -1.0))

    class Constant(nn.Module):
        def forward(self, noise: Tensor) -> Tensor:
            return example.expand(len(noise), -1, -1, -1)

    drawn = tutorial.sampler(Constant(), data.spec, torch.Generator())(None, 2)
    assert torch.equal(drawn[1], example[:, 2:30, 2:30])


def test_data_without_a_whole_batch_are_refused() -> None:
    few = load(DatasetConfig("digits", examples=100))
    TUTORIALS["cgan"].check(few)
    with pytest.raises(UserError, match=r"^the tutorial dcgan needs 128 examples for a batch, and digits has 100;"):
        TUTORIALS["dcgan"].check(few)
