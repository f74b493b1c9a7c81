"""Measures which words are true of an image of a digit: which digit, how thick, which way it leans.

The rule is deterministic, and the same for real and for generated images. The digit comes from a label or a classifier;
thickness and slant are measured from the pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
THICKNESSES = ("thin", "bold")
SLANTS = ("left", "upright", "right")
KINDS = ("digit", "thickness", "slant")
"""What the words of a caption tell, in their order."""
WORDS = (*DIGITS, *THICKNESSES, *SLANTS)
"""The vocabulary: a token is a word's index."""


@dataclass(frozen=True)
class CaptionRule:
    """Holds the thresholds between words, for one kind of image."""

    # The thickness, in pixels, above which a stroke is bold.
    bold: float
    # For each digit the slant that counts as upright.
    upright: tuple[float, ...]
    # How far the slant must be from upright, to either side, before the digit leans.
    lean: float


# All chosen, not tuned, from quantiles of the training images. `bold` is the median thickness. On MNIST a digit leans
# beyond a shear of 0.15, or 8.5 degrees, from the vertical: 17 % left, 40 % upright, 43 % right. On 8x8 images, where
# digits fill their box, the moments say more of a digit's shape than of its slant (the median is -0.20 for sixes and
# 0.14 for sevens). So there a digit leans against the median of its kind, and `lean` makes about equal parts.
RULES = {
    "mnist": CaptionRule(bold=2.48, upright=(0.0,) * 10, lean=0.15),
    "digits": CaptionRule(
        bold=1.67, upright=(-0.03, 0.0, -0.15, -0.09, 0.0, -0.01, -0.20, 0.14, 0.01, -0.10), lean=0.04
    ),
}


def thickness(images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, " batch"]:
    """Returns the mean width of the strokes, in pixels: twice the area of the ink over the length of its outline.

    A stroke of width w and length L has area w L and, without its ends, outline 2 L. The outline is the total variation
    of the ink, by Roberts' differences over 2x2 pixels: soft edges count as much as hard ones, and paler ink changes
    nothing. An empty image has thickness 0.
    """
    ink = _ink(images)
    spread = pad(ink, (1, 1, 1, 1))
    falling = spread[:, 1:, 1:] - spread[:, :-1, :-1]
    rising = spread[:, 1:, :-1] - spread[:, :-1, 1:]
    outline = torch.sqrt((falling.square() + rising.square()) / 2).sum((1, 2))
    return 2 * ink.sum((1, 2)) / outline.clamp_min(1e-6)


def slant(images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, " batch"]:
    """Returns the shear of the ink: pixels to the right for one pixel up. Positive leans right; 0 is upright or empty.

    It is the ratio of second central moments -mu_11 / mu_02, which is commonly used to straighten handwriting.
    """
    ink = _ink(images)
    height, width = ink.shape[1:]
    down = torch.arange(height, dtype=ink.dtype, device=ink.device)[:, None]
    across = torch.arange(width, dtype=ink.dtype, device=ink.device)[None, :]
    mass = ink.sum((1, 2), keepdim=True).clamp_min(1e-6)
    down = down - (ink * down).sum((1, 2), keepdim=True) / mass
    across = across - (ink * across).sum((1, 2), keepdim=True) / mass
    return -(ink * across * down).sum((1, 2)) / (ink * down * down).sum((1, 2)).clamp_min(1e-6)


def caption_tokens(
    images: Float[Tensor, "batch 1 height width"], digits: Int64[Tensor, " batch"], rule: CaptionRule
) -> Int64[Tensor, "batch 3"]:
    """Returns the words of each image, as tokens: digit, thickness, slant.

    images: in [-1, 1]. digits: the digit in each image.
    """
    bold = (thickness(images) > rule.bold).long()
    leaning = slant(images) - torch.tensor(rule.upright, device=images.device)[digits]
    towards = (leaning > -rule.lean).long() + (leaning > rule.lean).long()
    return torch.stack([digits, len(DIGITS) + bold, len(DIGITS) + len(THICKNESSES) + towards], dim=1)


def all_captions() -> Int64[Tensor, "captions 3"]:
    """Returns every combination of a digit, a thickness and a slant, as tokens, in the order of the words."""
    parts = (DIGITS, THICKNESSES, SLANTS)
    starts = (0, len(DIGITS), len(DIGITS) + len(THICKNESSES))
    return torch.cartesian_prod(*(torch.arange(len(part)) + start for part, start in zip(parts, starts, strict=True)))


def _ink(images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch height width"]:
    return (images[:, 0] + 1) / 2
