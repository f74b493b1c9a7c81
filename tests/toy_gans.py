"""Networks small enough to follow by hand."""

import torch
from torch import Tensor, nn

from variants.base import DiscriminatorOutput


class Point(nn.Module):
    """A generator that makes θ of any noise."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([[theta]], dtype=torch.float64))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        return self.theta.expand(len(noise), 1)


class Slope(nn.Module):
    """A discriminator with the logit ψ·x."""

    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([psi], dtype=torch.float64))

    def forward(self, examples: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        return DiscriminatorOutput(examples[:, 0] * self.psi)
