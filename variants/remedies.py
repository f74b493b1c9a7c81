"""Provides remedies that change what the discriminator sees or what the generator foresees.

Packed                  B1a: judges several examples together
MinibatchDiscrimination B1a: compares the examples of a batch
Replay                  B1c: mixes old fakes into the new ones
Noisy                   adds noise to real examples and fakes
unrolled                lets the generator answer the discriminator of some updates later
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from variants.base import DiscriminatorOutput


class Packed(nn.Module):
    """Judges packs of m examples as one, joined along their channels (PacGAN, Lin et al. 2018).

    examples (batch, channels, ...) -> DiscriminatorOutput of (batch / m,) logits. A pack is m examples in a row and
    shares the condition of its first. The batch is divisible by m.
    """

    def __init__(self, discriminator: nn.Module, pack: int) -> None:
        super().__init__()
        self.discriminator, self.pack = discriminator, pack

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        together = examples.reshape(-1, self.pack * examples.shape[1], *examples.shape[2:])
        return self.discriminator(together, None if condition is None else condition[:: self.pack])


class Noisy(nn.Module):
    """Adds Gaussian noise to real examples and fakes in training (Sønderby et al. 2017, section 3.2)."""

    def __init__(self, discriminator: nn.Module, deviation: float) -> None:
        super().__init__()
        self.discriminator, self.deviation = discriminator, deviation
        self.stream: Generator | Sequence[Generator] | None = None

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        if self.training and self.deviation:
            noise = torch.empty_like(examples).normal_(std=self.deviation, generator=self.stream)
            examples = examples + noise
        return self.discriminator(examples, condition)


class MinibatchDiscrimination(nn.Module):
    """Appends to each example how close the others of its batch are: (batch, features) -> (batch, features + kernels).

    o(x_i)_b = Σ_{j ≠ i} exp(-|M_ib - M_jb|₁) with M_i = f(x_i)·T in kernels × dimensions (Salimans et al. 2016, section
    3.2; there the sum has j = i too, which only adds 1).
    """

    def __init__(self, features: int, kernels: int, dimensions: int = 5) -> None:
        super().__init__()
        self.kernels, self.dimensions = kernels, dimensions
        self.size = features + kernels
        self.tensor = nn.Linear(features, kernels * dimensions, bias=False)

    def forward(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch more"]:
        m = self.tensor(features).unflatten(1, (self.kernels, self.dimensions))
        distances = (m[:, None] - m[None]).abs().sum(-1)
        return torch.cat((features, distances.neg().exp().sum(1) - 1), dim=1)


class Replay:
    """Keeps old fakes with their conditions, and puts a share of them into each discriminator batch.

    Once the buffer is full, the new fakes that were left out of the batch replace the old ones that entered it
    (Shrivastava et al. 2017, section 2.3).
    """

    def __init__(self, share: float, size: int) -> None:
        self.share, self.size, self.filled = share, size, 0
        self.fakes: Tensor | None = None
        self.condition: Tensor | None = None

    def restore(self, fakes: Tensor, condition: Tensor | None) -> None:
        """Fills the buffer with the fakes and conditions of a checkpoint."""
        self.filled = len(fakes)
        self.fakes = fakes.new_empty(self.size, *fakes.shape[1:])
        self.fakes[: self.filled] = fakes
        if condition is not None:
            self.condition = condition.new_empty(self.size, *condition.shape[1:])
            self.condition[: self.filled] = condition

    def mix(self, fakes: Tensor, condition: Tensor | None, stream: Generator) -> tuple[Tensor, Tensor | None]:
        """Replaces the first examples of a batch by old ones, once there are enough of them."""
        count = round(self.share * len(fakes))
        if self.fakes is None:
            self.fakes = fakes.new_empty(self.size, *fakes.shape[1:])
            self.condition = None if condition is None else condition.new_empty(self.size, *condition.shape[1:])
        if self.filled < self.size:
            place = torch.arange(self.filled, min(self.filled + count, self.size), device=fakes.device)
            old = None
            if self.filled >= count:
                old = torch.randint(self.filled, (count,), generator=stream, device=fakes.device)
            self.filled += len(place)
        else:
            place = old = torch.randint(self.size, (count,), generator=stream, device=fakes.device)
        mixed = fakes if old is None else torch.cat((self.fakes[old], fakes[count:]))
        mixed_condition = condition
        if condition is not None and old is not None:
            mixed_condition = torch.cat((self.condition[old], condition[count:]))
        self.fakes[place] = fakes[: len(place)]
        if condition is not None:
            self.condition[place] = condition[: len(place)]
        return mixed, mixed_condition


def unrolled(
    discriminator: nn.Module, optimizer: Optimizer, loss: Callable[[Callable], Tensor], steps: int
) -> Callable[..., DiscriminatorOutput]:
    """Returns the discriminator as it will be after some of its own updates; gradients pass through these.

    loss: of a discriminator `(examples, condition) -> DiscriminatorOutput`. The updates are Adam's, from its state, or
    plain gradient descent (Metz et al. 2017, section 2.2); the discriminator itself does not change. Adam's epsilon
    is moved under the root, because a root has no derivative at 0.
    """
    weights = dict(discriminator.named_parameters())
    (group,) = optimizer.param_groups
    adam = "betas" in group
    state = [optimizer.state[p] for p in weights.values()]
    first = [s["exp_avg"] if s else 0.0 for s in state] if adam else []
    second = [s["exp_avg_sq"] if s else 0.0 for s in state] if adam else []
    done = int(state[0]["step"]) if adam and state[0] else 0

    def discriminate(examples: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        return functional_call(discriminator, weights, (examples, condition))

    for step in range(done + 1, done + steps + 1):
        gradients = torch.autograd.grad(loss(discriminate).sum(), tuple(weights.values()), create_graph=True)
        if adam:
            (b1, b2), epsilon = group["betas"], group["eps"]
            first = [b1 * m + (1 - b1) * g for m, g in zip(first, gradients, strict=True)]
            second = [b2 * v + (1 - b2) * g * g for v, g in zip(second, gradients, strict=True)]
            gradients = [
                (m / (1 - b1**step)) / (v / (1 - b2**step) + epsilon**2).sqrt()
                for m, v in zip(first, second, strict=True)
            ]
        weights = {
            name: weight - group["lr"] * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
    return discriminate
