"""Trains a fresh network on samples alone and tests it on real data: GAN-train.

In [0, 1], larger is better. It falls with wrong labels, missing variety and unreal samples, and does not saturate as
GAN-test does. Shmelkov et al. 2018, section 3. The network, its training and the number of samples are fixed: one
hidden layer of 256 ReLU units, Adam 1e-3, batches of 100, 500 updates (chosen, not tuned).
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam

from metrics.chunks import repeat_recorded
from metrics.thinning import thin
from metrics.two_sample import TwoSampleMetric, figure

MOST_SAMPLES = 5000
_SEEDS = (0, 1, 2)
_HIDDEN = 256
_UPDATES = 500
_BATCH = 100
_ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
_WITHOUT = {"weight_decay": 0.0, "amsgrad": False, "maximize": False}

# Weights and biases of both layers, each (seeds, inputs, outputs).
_Weights = tuple[Tensor, Tensor, Tensor, Tensor]


def gan_train(
    samples: Float[Tensor, "n *shape"],
    labels: Int[Tensor, " n"],
    real: Float[Tensor, "m *shape"],
    real_labels: Int[Tensor, " m"],
    classes: int,
    seeds: tuple[int, ...] = _SEEDS,
) -> float:
    """Returns the mean accuracy on real data of networks of several seeds, trained on the samples and their labels."""
    x, test = samples.flatten(1), real.flatten(1)
    weights = _train(x, labels, classes, seeds)
    with torch.no_grad():
        read = _logits(test.expand(len(seeds), -1, -1), weights).argmax(2)
    return (read == real_labels).double().mean().item()


def _train(x: Float[Tensor, "n values"], labels: Int[Tensor, " n"], classes: int, seeds: tuple[int, ...]) -> _Weights:
    """Trains a network for each seed, all as one, since call overhead dominates small networks. Returns the weights."""
    weights = _initialize(x.shape[1], classes, seeds, x.device)
    batch = min(_BATCH, len(x))
    batches = [_batches(len(x), batch, seed) for seed in seeds]
    order = torch.stack([torch.stack([next(each) for each in batches]) for _ in range(_UPDATES)]).to(x.device)
    done = torch.zeros(1, dtype=torch.long, device=x.device)
    means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    steps = [torch.zeros((), device=x.device) for _ in weights]

    def update() -> None:
        (chosen,) = order[done]
        logits = _logits(x[chosen], weights)
        # Summed over the networks, so that each has the gradient of its own mean.
        loss = functional.cross_entropy(logits.flatten(0, 1), labels[chosen.flatten()], reduction="sum") / batch
        # The fused update assumes that gradients lie in memory as the weights do.
        gradients = [gradient.contiguous() for gradient in torch.autograd.grad(loss, weights)]
        with torch.no_grad():
            done.add_(1)
            adam(list(weights), gradients, means, squares, [], steps, fused=True, **_ADAM, **_WITHOUT)

    repeat_recorded(update, _UPDATES, x.device)
    return weights


def _initialize(values: int, classes: int, seeds: tuple[int, ...], device: torch.device) -> _Weights:
    networks = []
    with torch.random.fork_rng(devices=()):
        for seed in seeds:
            torch.manual_seed(seed)
            networks.append((nn.Linear(values, _HIDDEN), nn.Linear(_HIDDEN, classes)))
    parts = [[(layer.weight.mT, layer.bias[None]) for layer in layers] for layers in zip(*networks, strict=True)]
    stacked = [torch.stack(each) for layers in parts for each in zip(*layers, strict=True)]
    first, first_bias, second, second_bias = (each.detach().to(device).requires_grad_() for each in stacked)
    return first, first_bias, second, second_bias


def _logits(x: Float[Tensor, "seeds batch values"], weights: _Weights) -> Float[Tensor, "seeds batch classes"]:
    first, first_bias, second, second_bias = weights
    return torch.baddbmm(second_bias, torch.baddbmm(first_bias, x, first).relu(), second)


def _batches(examples: int, batch: int, seed: int) -> Iterator[Int[Tensor, " batch"]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        shuffled = torch.randperm(examples, generator=generator)
        yield from reversed(shuffled.split(batch)[: examples // batch])


class GANTrain(TwoSampleMetric):
    """Computes the accuracy on real images of networks trained on samples, as `gan_train` does.

    At most MOST_SAMPLES samples train, with the label frequencies of all. Keeps images and labels. See TwoSampleMetric.

    classes: how many there are.

    >>> import torch
    >>> metric = GANTrain(2)
    >>> images, labels = torch.tensor([[-1.0], [1.0]]).repeat(50, 1), torch.tensor([0, 1]).repeat(50)
    >>> metric.update(images, labels, real=True)
    >>> metric.update(images, 1 - labels, real=False)
    >>> metric.compute()
    tensor(0., dtype=torch.float64)
    """

    rows = ("images", "labels")
    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)
        self.classes = classes

    def update(self, images: Tensor, labels: Tensor, real: bool) -> None:
        """Adds a batch of images (batch, *shape), with the label that each was asked for or, if real, has."""
        self.add_rows(real, images, labels)

    def compute(self) -> Tensor:
        images, labels = self.get_rows(real=False)
        real, real_labels = self.get_rows(real=True)
        samples, asked = (thin(rows, MOST_SAMPLES, labels) for rows in (images, labels))
        return figure(gan_train(samples, asked, real, real_labels, self.classes))
