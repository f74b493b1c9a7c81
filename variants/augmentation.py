"""Augments real examples and fakes alike, differentiably, before a discriminator sees them (Zhao et al. 2020).

Without it, few training images are soon known by heart; with it, a discriminator sees other versions of them each time,
and a generator that copied them would not be told apart. Strengths are those of the paper: brightness ± ½, saturation
× 0 to 2, contrast × ½ to 1½; translation by up to ⅛ of the side, padded with 0; a hole of 0 of half the side.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from variants.base import DiscriminatorOutput

Images = Float[Tensor, "batch channels height width"]
Draws = Float[Tensor, "batch draws"]


class Augmented(nn.Module):
    """Applies a policy to the examples in training; every example has draws of its own.

    examples (batch, channels, height, width) -> DiscriminatorOutput. policy: names of POLICIES, with commas between.
    """

    def __init__(self, discriminator: nn.Module, policy: str) -> None:
        super().__init__()
        self.discriminator, self.policy = discriminator, policy
        self.stream: Generator | Sequence[Generator] | None = None

    def forward(self, examples: Images, condition: Tensor | None = None) -> DiscriminatorOutput:
        if self.training:
            uniform = self.empty_draws(examples).uniform_(generator=self.stream)
            examples = augment(examples, uniform, self.policy)
        return self.discriminator(examples, condition)

    def empty_draws(self, examples: Images) -> Draws:
        """Returns room for the draws of one call: float32 whatever the examples are, so that the draws are the same."""
        return torch.empty(len(examples), count_draws(self.policy), dtype=torch.float32, device=examples.device)


def augment(images: Images, uniform: Draws, policy: str) -> Images:
    """Augments images by a policy. uniform: draws from [0, 1), `count_draws(policy)` for each image."""
    for name, each in zip(policy.split(","), uniform.split(_split(policy), dim=1), strict=True):
        _, function = POLICIES[name]
        images = function(images, each)
    return images


def count_draws(policy: str) -> int:
    """Counts the random numbers that a policy needs for each image."""
    return sum(_split(policy))


def _split(policy: str) -> list[int]:
    return [POLICIES[name][0] for name in policy.split(",")]


def change_colours(images: Images, uniform: Draws) -> Images:
    """Changes brightness, saturation and contrast; saturation has no effect on grey images."""
    brightness, saturation, contrast = (each.view(-1, 1, 1, 1) for each in uniform.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Images, uniform: Draws) -> Images:
    """Moves each image by up to an eighth of its height and of its width; what comes in is 0."""
    for axis, each in zip((2, 3), uniform.unbind(1), strict=True):
        side = images.shape[axis]
        most = int(side / 8 + 0.5)
        moved = torch.arange(side, device=images.device) - ((each * (2 * most + 1)).floor() - most)[:, None]
        shape = (len(images), 1, side, 1) if axis == 2 else (len(images), 1, 1, side)
        there = ((moved >= 0) & (moved < side)).view(shape)
        places = moved.clamp(0, side - 1).long().view(shape).expand(images.shape)
        images = images.gather(axis, places) * there
    return images


def cut_out(images: Images, uniform: Draws) -> Images:
    """Sets a rectangle of half the height and half the width to 0; its centre lies anywhere in the image."""
    inside = []
    for axis, each in zip((2, 3), uniform.unbind(1), strict=True):
        side = images.shape[axis]
        hole = int(side / 2 + 0.5)
        start = (each * (side + 1 - hole % 2)).floor() - hole // 2
        distance = torch.arange(side, device=images.device) - start[:, None]
        inside.append((distance >= 0) & (distance < hole))
    rows, columns = inside
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


POLICIES: dict[str, tuple[int, Callable[[Images, Draws], Images]]] = {
    "color": (3, change_colours),
    "translation": (2, translate),
    "cutout": (2, cut_out),
}
"""Holds for each part of a policy how many draws it needs for an image, and its function."""
