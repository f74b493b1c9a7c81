"""Implements the loops of widely copied tutorials, to be trained until they are good enough.

Networks, losses, optimisers and the order of the steps are those that each tutorial publishes; the code is our own. All
draw from torch's global random state, log by `.item()`, and read their batches from the loader of `stock.make_loader`:
a `DataLoader` that turns each image into a tensor and normalises it. Four points differ from the publications, none to
the tutorial's harm: images keep the size of the data (or are padded with black, which loses nothing), the incomplete
last batch of a pass is dropped, noise comes from torch and not from numpy, and samples are judged in evaluation mode.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.optim import Adam
from torch.utils.data import DataLoader

from benchmarks.algorithm.sampling import Generate
from benchmarks.datasets import Dataset
from benchmarks.timing.stock import make_loader
from variants import DataSpec, UserError

NOISE_SIZE = 100
_GENERATOR_WIDTHS = (128, 256, 512, 1024)
_EPSILON = 0.8
"""Second argument of the tutorials' BatchNorm1d: the constant in the denominator, not the momentum."""
_SLOPE = 0.2
_MAPS = 64
"""Feature maps beside the image, as `ngf` and `ndf`."""
_LAMBDA = 10.0
_CRITIC_STEPS = 5

Networks = tuple[nn.Module, nn.Module]
Logged = dict[str, float]
Loop = Callable[[nn.Module, nn.Module, Adam, Adam, Iterable], Iterator[Logged]]


@dataclass(frozen=True)
class Tutorial:
    """Describes the training of a tutorial."""

    name: str
    # Address of the published code.
    source: str
    # Whether the generator is given labels.
    conditional: bool
    # Builds (generator, discriminator) for data, initialised from torch's global random state.
    build: Callable[[DataSpec], Networks]
    # Trains without end; yields what is logged after each generator update.
    train: Loop
    batch_size: int
    # Discriminator steps in an update of the generator.
    critic_steps: int = 1
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    # Images are padded to a multiple of this size.
    multiple: int = 1

    def check(self, dataset: Dataset) -> None:
        """Raises UserError for data that the tutorial cannot be trained on."""
        spec = dataset.spec
        if not spec.is_image:
            raise UserError(f"the tutorials draw images, which {dataset.name} has not; take --against none")
        if self.conditional and (not spec.classes or dataset.captions):
            raise UserError(f"the tutorial {self.name} needs labels, which {dataset.name} has not; take --against none")
        if len(dataset.train) < self.batch_size:
            raise UserError(
                f"the tutorial {self.name} needs {self.batch_size} examples for a batch, and {dataset.name} has "
                f"{len(dataset.train)}; take --against none"
            )

    def optimizers(self, generator: nn.Module, discriminator: nn.Module) -> tuple[Adam, Adam]:
        """Returns the optimisers of the generator and of the discriminator."""
        settings = {"lr": self.rate, "betas": self.betas}
        return Adam(generator.parameters(), **settings), Adam(discriminator.parameters(), **settings)

    def make_loader(self, dataset: Dataset) -> DataLoader:
        """Returns the loader of shuffled batches. Raises UserError for data that it cannot read."""
        return make_loader(dataset.train, self.batch_size, self._margins(dataset.spec))

    def sampler(self, generator: nn.Module, spec: DataSpec, noise: torch.Generator) -> Generate:
        """Returns a function that samples a generator in evaluation mode, with noise from one stream."""

        @torch.no_grad()
        def generate(condition: Tensor | None, count: int) -> Tensor:
            training = generator.training
            generator.eval()
            try:
                drawn = torch.randn(count, NOISE_SIZE, generator=noise)
                made = generator(drawn, condition) if self.conditional else generator(drawn)
            finally:
                generator.train(training)
            # A negative margin crops.
            return pad(made, [-margin for margin in self._margins(spec)])

        return generate

    def _margins(self, spec: DataSpec) -> tuple[int, int, int, int]:
        """Returns the pixels of padding on the left, right, top and bottom."""
        height, width = (
            padded - size for padded, size in zip(_padded(spec, self.multiple), spec.shape[1:], strict=True)
        )
        return width // 2, width - width // 2, height // 2, height - height // 2


def _padded(spec: DataSpec, multiple: int) -> tuple[int, int]:
    """Returns height and width of the images after padding."""
    height, width = (math.ceil(size / multiple) * multiple for size in spec.shape[1:])
    return height, width


# Linear networks


class LinearGenerator(nn.Module):
    """Maps noise (batch, 100), and an embedded label if there are classes, to images (batch, *shape) in [-1, 1]."""

    def __init__(self, spec: DataSpec, classes: int = 0) -> None:
        super().__init__()
        self.shape = spec.shape
        self.embedding = nn.Embedding(classes, classes) if classes else None
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise((NOISE_SIZE + classes, *_GENERATOR_WIDTHS))):
            layers.append(nn.Linear(before, after))
            # The first layer is not normalised.
            if number:
                layers.append(nn.BatchNorm1d(after, _EPSILON))
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Linear(_GENERATOR_WIDTHS[-1], spec.size), nn.Tanh())

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = noise if self.embedding is None else torch.cat((self.embedding(labels), noise), 1)
        return self.layers(inputs).unflatten(1, self.shape)


class LinearDiscriminator(nn.Module):
    """Maps images, and their embedded labels if there are classes, to a value (batch, 1) without bounds."""

    def __init__(self, spec: DataSpec, widths: Sequence[int], dropout: float = 0.0, classes: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, classes) if classes else None
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise((spec.size + classes, *widths))):
            layers.append(nn.Linear(before, after))
            # Dropout stands before the activation, and not in the first layer.
            if number and dropout:
                layers.append(nn.Dropout(dropout))
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = images.flatten(1)
        if self.embedding is not None:
            inputs = torch.cat((inputs, self.embedding(labels)), 1)
        return self.layers(inputs)


def build_cgan(spec: DataSpec) -> Networks:
    """Builds both networks of the conditional GAN: the label's embedding, as wide as there are classes, is joined."""
    classes = spec.classes or 0
    return LinearGenerator(spec, classes), LinearDiscriminator(spec, (512, 512, 512), 0.4, classes)


def train_cgan(
    generator: nn.Module, discriminator: nn.Module, for_generator: Adam, for_discriminator: Adam, loader: Iterable
) -> Iterator[Logged]:
    """Trains by least squares (Mao et al. 2017), the generator first; both steps share their fakes."""
    distance = nn.MSELoss()
    classes = generator.embedding.num_embeddings
    while True:
        for real, labels in loader:
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)

            for_generator.zero_grad()
            drawn = torch.randint(classes, (len(real),))
            fakes = generator(torch.randn(len(real), NOISE_SIZE), drawn)
            generator_loss = distance(discriminator(fakes, drawn), ones)
            generator_loss.backward()
            for_generator.step()

            for_discriminator.zero_grad()
            of_real = distance(discriminator(real, labels), ones)
            of_fakes = distance(discriminator(fakes.detach(), drawn), zeros)
            discriminator_loss = (of_real + of_fakes) / 2
            discriminator_loss.backward()
            for_discriminator.step()
            yield {"generator_loss": generator_loss.item(), "discriminator_loss": discriminator_loss.item()}


def build_wgan_gp(spec: DataSpec) -> Networks:
    """Builds the generator of the conditional GAN without labels, and a critic of two layers."""
    return LinearGenerator(spec), LinearDiscriminator(spec, (512, 256))


def gradient_penalty(critic: nn.Module, real: Tensor, fakes: Tensor) -> Tensor:
    """Returns the mean of (‖∇D(x)‖ − 1)² at points x between real and fake images (Gulrajani et al. 2017, eq. 3)."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1))
    between = (share * real + (1 - share) * fakes).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slopes.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def train_wgan_gp(
    generator: nn.Module, critic: nn.Module, for_generator: Adam, for_critic: Adam, loader: Iterable
) -> Iterator[Logged]:
    """Trains with a gradient penalty; every fifth batch of a pass, beginning with the first, updates the generator too.

    As published, the generator's step takes the noise of the critic's step, whose fakes are not detached: it clears the
    gradients that they leave in the generator.
    """
    while True:
        for number, (real, _) in enumerate(loader):
            for_critic.zero_grad()
            noise = torch.randn(len(real), NOISE_SIZE)
            fakes = generator(noise)
            critic_loss = critic(fakes).mean() - critic(real).mean()
            critic_loss = critic_loss + _LAMBDA * gradient_penalty(critic, real, fakes)
            critic_loss.backward()
            for_critic.step()

            for_generator.zero_grad()
            if number % _CRITIC_STEPS:
                continue
            generator_loss = -critic(generator(noise)).mean()
            generator_loss.backward()
            for_generator.step()
            yield {"generator_loss": generator_loss.item(), "discriminator_loss": critic_loss.item()}


# Convolutional networks


class ConvolutionalGenerator(nn.Module):
    """Maps noise (batch, 100) to images (batch, *shape) in [-1, 1], by doubling their size three times."""

    def __init__(self, spec: DataSpec, multiple: int) -> None:
        super().__init__()
        height, width = (size // multiple for size in _padded(spec, multiple))
        widths = (4 * _MAPS, 2 * _MAPS, _MAPS)
        layers: list[nn.Module] = [nn.ConvTranspose2d(NOISE_SIZE, widths[0], (height, width), 1, 0, bias=False)]
        for before, after in pairwise((*widths, spec.shape[0])):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise[:, :, None, None])


class ConvolutionalDiscriminator(nn.Module):
    """Maps images to the probability (batch,) that each is real, by halving their size three times."""

    def __init__(self, spec: DataSpec, multiple: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise((spec.shape[0], _MAPS, 2 * _MAPS, 4 * _MAPS))):
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            # The first layer is not normalised.
            if number:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        height, width = (size // multiple for size in _padded(spec, multiple))
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * _MAPS, 1, (height, width), 1, 0, bias=False), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


_DCGAN_MULTIPLE = 8


def build_dcgan(spec: DataSpec) -> Networks:
    """Builds both networks with weights from N(0, 0.02), those of batch norm from N(1, 0.02).

    The tutorial's images have 64×64 pixels, and its networks halve or double the size four times. These do it three
    times, for 32×32, without the layer of 512 maps. Of other sizes the kernel beside the noise, here 4×4, is another.
    """
    networks = (ConvolutionalGenerator(spec, _DCGAN_MULTIPLE), ConvolutionalDiscriminator(spec, _DCGAN_MULTIPLE))
    for network in networks:
        network.apply(_draw_weights)
    return networks


def _draw_weights(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


def train_dcgan(
    generator: nn.Module, discriminator: nn.Module, for_generator: Adam, for_discriminator: Adam, loader: Iterable
) -> Iterator[Logged]:
    """Trains by binary cross-entropy, the discriminator first, on real and fake images apart; both share the fakes."""
    cross_entropy = nn.BCELoss()
    while True:
        for real, _ in loader:
            ones, zeros = torch.ones(len(real)), torch.zeros(len(real))

            for_discriminator.zero_grad()
            said_of_real = discriminator(real)
            of_real = cross_entropy(said_of_real, ones)
            of_real.backward()
            fakes = generator(torch.randn(len(real), NOISE_SIZE))
            said_of_fakes = discriminator(fakes.detach())
            of_fakes = cross_entropy(said_of_fakes, zeros)
            of_fakes.backward()
            for_discriminator.step()

            for_generator.zero_grad()
            generator_loss = cross_entropy(discriminator(fakes), ones)
            generator_loss.backward()
            for_generator.step()
            yield {
                "generator_loss": generator_loss.item(),
                "discriminator_loss": (of_real + of_fakes).item(),
                "d_real": said_of_real.mean().item(),
                "d_fake": said_of_fakes.mean().item(),
            }


_PYTORCH_GAN = "https://github.com/eriklindernoren/PyTorch-GAN/blob/master/implementations"

TUTORIALS: dict[str, Tutorial] = {
    tutorial.name: tutorial
    for tutorial in (
        Tutorial("cgan", f"{_PYTORCH_GAN}/cgan/cgan.py", True, build_cgan, train_cgan, batch_size=64),
        Tutorial(
            "dcgan",
            "https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html",
            False,
            build_dcgan,
            train_dcgan,
            batch_size=128,
            multiple=_DCGAN_MULTIPLE,
        ),
        Tutorial(
            "wgan_gp",
            f"{_PYTORCH_GAN}/wgan_gp/wgan_gp.py",
            False,
            build_wgan_gp,
            train_wgan_gp,
            batch_size=64,
            critic_steps=_CRITIC_STEPS,
        ),
    )
}
"""Every tutorial by name, with the settings that its source publishes; what they share is Tutorial's default.

Those of wgan_gp are the tutorial's; Gulrajani et al. 2017, algorithm 1, have a rate of 1e-4 and betas of 0 and 0.9.
"""
