"""Differentiable augmentation against one image at a time, and in a discriminator."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.algorithm.random_streams import stream
from variants import DataSpec, Recipe, UserError
from variants.augmentation import POLICIES, Augmented, augment, count_draws
from variants.base import DiscriminatorOutput
from variants.blocks import draw_from
from variants.networks import build
from variants.recipe import AUGMENTATIONS

EVERYTHING = "color,translation,cutout"


class Sees(nn.Module):
    """Returns each example's sum as its logit, and keeps the examples."""

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        self.seen = examples
        return DiscriminatorOutput(examples.flatten(1).sum(1))


def draws(count: int, policy: str, seed: int = 0) -> Tensor:
    return torch.rand(count, count_draws(policy), generator=torch.Generator().manual_seed(seed))


def pictures(count: int, shape: tuple[int, int, int] = (3, 9, 12), seed: int = 1) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def recoloured(image: Tensor, u: list[float]) -> Tensor:
    brighter = image + u[0] - 0.5
    grey = sum(brighter) / len(brighter)
    saturated = torch.stack([(channel - grey) * u[1] * 2 + grey for channel in brighter])
    return (saturated - saturated.mean()) * (u[2] + 0.5) + saturated.mean()


def moved(image: Tensor, u: list[float]) -> Tensor:
    out = torch.zeros_like(image)
    _, height, width = image.shape
    down, right = (int(draw * (2 * most + 1)) - most for draw, most in zip(u, (1, 2), strict=True))
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                out[:, row, column] = image[:, row - down, column - right]
    return out


def with_hole(image: Tensor, u: list[float]) -> Tensor:
    out = image.clone()
    # Of 9 rows and 12 columns: a hole of 5 by 6, whose centre is any of 9 rows, and of 13 edges between columns.
    top, left = int(u[0] * 9) - 2, int(u[1] * 13) - 3
    for row in range(top, top + 5):
        for column in range(left, left + 6):
            if 0 <= row < 9 and 0 <= column < 12:
                out[:, row, column] = 0
    return out


@pytest.mark.parametrize(("name", "alone"), [("color", recoloured), ("translation", moved), ("cutout", with_hole)])
def test_each_image_is_changed_as_one_alone_by_its_own_draws(name: str, alone) -> None:
    images, uniform = pictures(200), draws(200, name)
    expected = torch.stack([alone(image, u) for image, u in zip(images, uniform.tolist(), strict=True)])
    torch.testing.assert_close(augment(images, uniform, name), expected)


def test_the_parts_of_a_policy_are_applied_in_turn_with_draws_of_their_own() -> None:
    images, uniform = pictures(5), draws(5, EVERYTHING)
    one_by_one = images
    for name, (columns) in zip(POLICIES, ((0, 3), (3, 5), (5, 7)), strict=True):
        one_by_one = augment(one_by_one, uniform[:, slice(*columns)], name)
    assert torch.equal(augment(images, uniform, EVERYTHING), one_by_one)


def test_every_shift_is_equally_likely_and_none_is_farther_than_an_eighth() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8, 8] = 1
    many = augment(image.expand(10_000, -1, -1, -1), draws(10_000, "translation"), "translation")
    rows = many.sum((1, 3)).argmax(1)
    assert rows.unique().tolist() == [6, 7, 8, 9, 10]
    # Of a fifth each: six standard errors.
    assert (rows.bincount(minlength=16)[6:11] / 10_000 - 0.2).abs().max() < 6 * 0.4 / 100


@pytest.mark.long
@pytest.mark.parametrize("name", POLICIES)
def test_gradients_pass_through(name: str) -> None:
    images, uniform = pictures(3, (2, 8, 8)).double().requires_grad_(), draws(3, name).double()
    assert torch.autograd.gradcheck(lambda x: augment(x, uniform, name), images)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, uniform, name) ** 3, images)


def test_only_training_augments_and_each_call_draws_anew() -> None:
    network, images = Augmented(Sees(), EVERYTHING), pictures(4)
    draw_from(network, stream(0, "layers"))
    network(images)
    first = network.discriminator.seen
    network(images)
    assert not torch.equal(first, network.discriminator.seen)
    draw_from(network, stream(0, "layers"))
    network(images)
    assert torch.equal(first, network.discriminator.seen)
    network.eval()(images)
    assert torch.equal(images, network.discriminator.seen)


def test_every_policy_of_the_recipe_exists_and_points_are_refused() -> None:
    for policy in AUGMENTATIONS[1:]:
        recipe = Recipe(diff_augment=policy, generator_widths=(4,), discriminator_widths=(4,))
        _, discriminator = build(DataSpec((1, 8, 8)), recipe)
        assert isinstance(discriminator, Augmented)
        assert augment(pictures(2), draws(2, policy), policy).shape == (2, 3, 9, 12)
        with pytest.raises(UserError, match="--diff-augment changes images, and this dataset has points"):
            build(DataSpec((2,), bounded=False), recipe)
    with pytest.raises(UserError, match="--diff-augment is one of"):
        Recipe(diff_augment="flip")


def test_a_discriminator_sees_augmented_packs_of_single_images() -> None:
    recipe = Recipe(diff_augment="translation", pack=2, generator_widths=(4,), discriminator_widths=(4,))
    _, discriminator = build(DataSpec((1, 8, 8)), recipe)
    draw_from(discriminator, stream(0, "layers"))
    assert discriminator(pictures(6, (1, 8, 8))).logits.shape == (3,)
