"""Losses against their formulas, their gradients, and where they saturate; noise against its distribution."""

import math

import pytest
import torch

from benchmarks.algorithm.random_streams import stream
from variants.losses import LOSSES
from variants.noise import NOISES


def formula(name: str, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(discriminator, generator) as the papers write them, in terms of D = sigmoid(logit)."""
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    minimax = -(d_real.log().mean() + (1 - d_fake).log().mean())
    return {
        "saturating": lambda: (minimax, (1 - d_fake).log().mean()),
        "non_saturating": lambda: (minimax, -d_fake.log().mean()),
        "least_squares": lambda: (((real - 1) ** 2 / 2).mean() + (fake**2 / 2).mean(), ((fake - 1) ** 2 / 2).mean()),
        "hinge": lambda: ((1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean(), -fake.mean()),
        "wasserstein": lambda: (fake.mean() - real.mean(), -fake.mean()),
        "relativistic": lambda: (-(real - fake).sigmoid().log().mean(), -(fake - real).sigmoid().log().mean()),
    }[name]()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_those_of_its_formula(name: str) -> None:
    drawn = stream(0, "logits")
    real, fake = (torch.randn(64, generator=drawn, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = LOSSES[name]
    for ours, written in zip(
        (loss.discriminator(real, fake), loss.generator(real, fake)), formula(name, real, fake), strict=True
    ):
        torch.testing.assert_close(ours, written, rtol=1e-12, atol=1e-12)
        for logits in (real, fake):
            (expected,) = torch.autograd.grad(written, logits, retain_graph=True, allow_unused=True)
            (gradient,) = torch.autograd.grad(ours, logits, retain_graph=True, allow_unused=True)
            if expected is not None and gradient is not None:
                torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)
            else:
                assert gradient is expected


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_of_itself_what_is_so(name: str) -> None:
    drawn, loss = stream(0, "logits"), LOSSES[name]
    real, fake, other = (torch.randn(64, generator=drawn, dtype=torch.float64) for _ in range(3))
    one, moved = loss.discriminator(real, fake), loss.discriminator(real + 3, fake + 3)
    assert torch.allclose(one, moved) == loss.shift_invariant
    assert (not torch.equal(loss.generator(real, fake), loss.generator(other, fake))) == loss.compares
    assert torch.allclose(one, formula("non_saturating", real, fake)[0]) == loss.cross_entropy


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [-50.0, 50.0, -1e4, 1e4])
def test_a_loss_is_finite_and_of_the_right_sign_where_it_saturates(name: str, size: float) -> None:
    real = torch.full((4,), size, requires_grad=True)
    fake = torch.full((4,), size, requires_grad=True)
    discriminator, generator = LOSSES[name].discriminator(real, fake), LOSSES[name].generator(real, fake)
    assert discriminator.isfinite()
    assert generator.isfinite()
    on_real, on_fake = torch.autograd.grad(discriminator, (real, fake))
    (for_generator,) = torch.autograd.grad(generator, fake)
    if name == "least_squares":  # it pulls to its targets from both sides
        assert (on_real.sign() == (real - 1).sign()).all()
        assert (on_fake.sign() == fake.sign()).all()
        assert (for_generator.sign() == (fake - 1).sign()).all()
    else:  # the discriminator wants real logits higher and fake ones lower; the generator wants fake ones higher
        assert (on_real <= 0).all()
        assert (on_fake >= 0).all()
        assert (for_generator <= 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_leading_axis_of_seeds_passes_through(name: str) -> None:
    drawn = stream(0, "logits")
    real, fake = torch.randn(2, 3, 16, generator=drawn)
    for kind in ("discriminator", "generator"):
        together = getattr(LOSSES[name], kind)(real, fake)
        alone = torch.stack([getattr(LOSSES[name], kind)(r, f) for r, f in zip(real, fake, strict=True)])
        torch.testing.assert_close(together, alone)


def test_the_saturating_gradient_vanishes_where_the_other_does_not() -> None:
    """B2: at D(G(z)) = sigmoid(-20), log(1 - D) has slope D = 2e-9 in the logit, log D has slope 1 - D = 1."""
    for name, slope in (
        ("saturating", math.exp(-20) / (1 + math.exp(-20))),
        ("non_saturating", 1 / (1 + math.exp(-20))),
    ):
        fake = torch.full((1,), -20.0, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(LOSSES[name].generator(fake, fake), fake)
        assert gradient.item() == pytest.approx(-slope, rel=1e-9)


def test_an_undecided_discriminator_loses_two_ln_two() -> None:
    half = torch.zeros(8)
    assert LOSSES["non_saturating"].discriminator(half, half).item() == pytest.approx(2 * math.log(2))
    assert LOSSES["non_saturating"].generator(half, half).item() == pytest.approx(math.log(2))
    assert LOSSES["saturating"].generator(half, half).item() == pytest.approx(-math.log(2))


# Variance and fourth moment. Of a normal cut off at ±2: variance 1 - 4φ(2)/Z = 0.77374, fourth moment
# (3·0.77374 - 2·2³·φ(2)/Z) = 1.41618, each to be divided by the variance, squared for the latter.
MOMENTS = {
    "gaussian": (1.0, 3.0),
    "uniform": (1 / 3, 1 / 5),
    "uniform_unit": (1.0, 9 / 5),
    "bernoulli": (1.0, 1.0),
    "truncated_gaussian": (1.0, 1.41618 / 0.77374**2),
}


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_the_moments_of_its_distribution(name: str) -> None:
    count = 200_000
    drawn = NOISES[name]((count,), stream(0, "noise")).double()
    variance, fourth = MOMENTS[name]
    # Five standard errors.
    assert drawn.mean().abs() < 5 * math.sqrt(variance / count)
    assert abs(drawn.square().mean() - variance) < 5 * math.sqrt((fourth - variance**2) / count) + 1e-9
    assert drawn.pow(4).mean().item() == pytest.approx(fourth, rel=0.05)


@pytest.mark.parametrize("name", NOISES)
def test_noise_draws_from_its_stream_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first = NOISES[name]((3, 4), stream(5, "noise", 2))
    assert torch.equal(first, NOISES[name]((3, 4), stream(5, "noise", 2)))
    assert not torch.equal(first, NOISES[name]((3, 4), stream(5, "noise", 3)))
    assert not torch.equal(first, NOISES[name]((3, 4), stream(6, "noise", 2)))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["discriminator", "generator"])
def test_a_gradient_is_what_finite_differences_say(name: str, kind: str) -> None:
    """Central differences in float64, at logits from -50 to 50 but for the corners of the hinge."""
    sides = torch.tensor([[-50.0, -7.3, -0.4, 0.2, 3.1, 50.0], [50.0, 0.7, -2.2, 4.4, -9.1, -50.0]]).double()
    loss, step = getattr(LOSSES[name], kind), 1e-5
    logits = sides.clone().requires_grad_()
    value = loss(logits[0], logits[1])
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    for place in range(sides.numel()):
        there, back = sides.clone().flatten(), sides.clone().flatten()
        there[place] += step
        back[place] -= step
        slope = (loss(*there.view(2, -1)) - loss(*back.view(2, -1))) / (2 * step)
        assert gradient.flatten()[place].item() == pytest.approx(slope.item(), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("size", [-50.0, 50.0])
def test_cross_entropy_at_the_ends_is_the_number_of_theory(size: float) -> None:
    """softplus(50) = 50 + e^-50, and softplus(-50) = e^-50, which a probability rounded to 0 or 1 would lose."""
    logits = torch.full((3,), size, dtype=torch.float64)
    large, small = 50.0, math.exp(-50)
    one = LOSSES["non_saturating"]
    expected = (large, small) if size < 0 else (small, large)
    assert one.generator(logits, logits).item() == pytest.approx(expected[0], rel=1e-12)
    assert LOSSES["saturating"].generator(logits, logits).item() == pytest.approx(-expected[1], rel=1e-12)
    assert one.discriminator(logits, -logits).item() == pytest.approx(2 * expected[0], rel=1e-12)
