"""Codes that fakes have to show: drawn evenly from the noise, read back, and scored as by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmarks.algorithm.random_streams import stream
from variants import DataSpec, UserError, load_variant
from variants.base import DiscriminatorOutput
from variants.batch import Batch, LossInputs
from variants.information import Coded, code_loss
from variants.noise import NOISES
from variants.objective import objective
from variants.recipe import Recipe


class Shows(nn.Module):
    """Returns its noise as the image."""

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return noise


def test_a_code_is_one_of_its_classes_and_the_rest_of_the_noise_stays() -> None:
    noise = torch.tensor([[0.1, 0.9, -1.0, 5.0, -6.0], [2.0, 1.0, 3.0, 7.0, 8.0]])
    made = Coded(Shows(), 3)(noise)
    assert made.tolist() == [[0.0, 1.0, 0.0, 5.0, -6.0], [0.0, 0.0, 1.0, 7.0, 8.0]]


@pytest.mark.parametrize("name", [name for name in NOISES if name != "bernoulli"])
def test_each_class_of_a_code_has_the_same_chance(name: str) -> None:
    made = Coded(Shows(), 4)(NOISES[name]((10_000, 6), stream(0, "noise")))
    assert torch.equal(made[:, :4].sum(1), torch.ones(10_000))
    # Of a quarter each: six standard errors.
    assert (made[:, :4].mean(0) - 0.25).abs().max() < 6 * math.sqrt(0.25 * 0.75 / 10_000)


def inputs(noise: Tensor, code: Tensor) -> LossInputs:
    said = DiscriminatorOutput(code[..., 0], code=code)
    batch = Batch(noise, None, noise, None, stream(0, "updates"))
    return LossInputs(lambda *_: said, batch, noise, None, said, said)


def test_the_loss_of_a_code_is_cross_entropy_and_half_the_squared_distance() -> None:
    noise = torch.tensor([[0.0, 1.0, 0.5, 9.0], [2.0, 1.0, -1.0, 9.0]], dtype=torch.float64)
    said = torch.tensor([[0.0, math.log(3), 0.0], [0.0, 0.0, -3.0]], dtype=torch.float64)
    # Of the classes 1 and 0: -ln ¾ and -ln ½; of the value: (0 - ½)² / 2 and (-3 + 1)² / 2.
    expected = (-math.log(0.75) - math.log(0.5)) / 2 + (0.125 + 2.0) / 2
    assert code_loss(inputs(noise, said), 2).item() == pytest.approx(expected)
    # And for two seeds at once, each its own.
    both = code_loss(inputs(torch.stack([noise, noise.flip(0)]), torch.stack([said, said])), 2)
    alone = code_loss(inputs(noise.flip(0), said), 2)
    torch.testing.assert_close(both, torch.tensor([expected, alone.item()], dtype=torch.float64))
    values = code_loss(inputs(noise, said[:, :1]), 0)
    assert values.item() == pytest.approx((0.0 + 4.0) / 4)


def test_both_networks_minimise_the_loss_of_the_code_with_its_weight() -> None:
    aim = objective(load_variant("infogan").recipe("default").with_({"information": 0.25}))
    noise, said = torch.randn(4, 100, generator=stream(1, "noise")), torch.randn(4, 12, generator=stream(2, "noise"))
    seen = inputs(noise, said)
    plain = objective(load_variant("dcgan").recipe("default"))
    for network in ("discriminator", "generator"):
        more = getattr(aim, network)(seen) - getattr(plain, network)(seen)
        torch.testing.assert_close(more, 0.25 * code_loss(seen, 10))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code_classes": 1}, "--code-classes 1 codes nothing"),
        ({"code_classes": 10, "noise_size": 11, "code_values": 2}, "--noise-size 11 has no room for the 12 numbers"),
        ({"code_values": 2, "pack": 2}, "--pack judges several examples as one"),
        ({"code_values": 2, "replay": 0.5}, "--replay keeps fakes without the codes"),
        ({"code_classes": 10, "noise": "bernoulli"}, "--code-classes takes the largest of some noise"),
        ({"code_classes": 10, "unrolled_steps": 1}, "--unrolled-steps looks ahead by the adversarial loss alone"),
        ({"conditioning": "auxiliary", "unrolled_steps": 1}, "--unrolled-steps looks ahead by the adversarial loss"),
    ],
)
def test_a_code_that_would_be_lost_is_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        objective(Recipe(**changes))
    assert str(refused.value).startswith(sentence)


def test_networks_that_are_dealt_out_take_no_code() -> None:
    separate = load_variant("separate_gans")
    with pytest.raises(UserError, match="--code-classes does not apply to separate_gans"):
        separate.check(separate.recipe("small").with_({"code_classes": 3}), DataSpec((1, 8, 8), classes=10))


def test_a_generator_learns_to_show_its_code() -> None:
    """Without an adversary: the head's error on the code falls to almost nothing within a few updates."""
    variant = load_variant("infogan")
    recipe = variant.recipe("small").with_({"noise_size": 16, "code_values": 0})
    torch.manual_seed(0)
    generator, discriminator = variant.build(DataSpec((1, 8, 8)), recipe)
    descent = torch.optim.Adam([*generator.parameters(), *discriminator.parameters()], lr=5e-3)
    drawn, errors = stream(3, "noise"), []
    for _ in range(60):
        noise = torch.randn(64, 16, generator=drawn)
        loss = code_loss(inputs(noise, discriminator(generator(noise, None), None).code), 10)
        descent.zero_grad(), loss.backward(), descent.step()
        errors.append(loss.item())
    assert errors[0] > 2
    assert errors[-1] < 0.5
