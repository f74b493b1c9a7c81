"""What theory knows beforehand: the Dirac-GAN of each loss and penalty, and the best discriminator of two densities.

The Dirac-GAN (Mescheder et al. 2018): real data is the point 0, fakes are the point θ, and the discriminator is ψ·x.
Its only equilibrium is θ = ψ = 0. The updates are those of training, along the plain gradient: what is tested is
the sign and the size of what the networks are told, and no formula beside it.
"""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from benchmarks.algorithm.gan import GAN
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from tests.toy_gans import Point, Slope
from variants.batch import Batch
from variants.losses import LOSSES
from variants.objective import objective
from variants.recipe import Recipe

RATE = 0.2
STEPS = 300


def path(loss: str, steps: int = STEPS, rate: float = RATE, **changes: object) -> list[tuple[float, float]]:
    """(θ, ψ) from (1, 0.5) on, one entry an update of both."""
    recipe = Recipe(loss=loss, noise_size=1, batch_size=2, optimizer="sgd", beta1=0.0, **changes)
    generator, discriminator = Point(1.0), Slope(0.5)
    optimizers = (torch.optim.SGD(network.parameters(), lr=rate) for network in (generator, discriminator))
    gan, aim = GAN(generator, discriminator, *optimizers), objective(recipe)
    batch = Batch(torch.zeros(2, 1, dtype=torch.float64), None, torch.zeros(2, 1), None, stream(0, "dirac"))
    found = [(1.0, 0.5)]
    for _ in range(steps):
        discriminator_update(gan, aim, recipe, batch)
        generator_update(gan, aim, recipe, batch)
        found.append((generator.theta.item(), discriminator.psi.item()))
    return found


def radius(point: tuple[float, float]) -> float:
    return math.hypot(*point)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_is_the_one_of_theory(loss: str) -> None:
    """ψ goes along -dL_D/dψ at (θ, ψ), then θ along -dL_G/dθ at the new ψ, both worked out by hand."""

    def sigmoid(t: float) -> float:
        return 1 / (1 + math.exp(-t))

    theta, psi = 1.0, 0.5
    # The real logit is 0 whatever ψ is; the fake one is t = θψ, and dt/dψ = θ, dt/dθ = ψ.
    t = theta * psi
    for_psi = {
        "saturating": theta * sigmoid(t),
        "non_saturating": theta * sigmoid(t),
        "least_squares": theta * t,
        "hinge": theta,
        "wasserstein": theta,
        "relativistic": theta * sigmoid(t),
    }[loss]
    psi_after = psi - RATE * for_psi
    t = theta * psi_after
    for_theta = {
        "saturating": -psi_after * sigmoid(t),
        "non_saturating": -psi_after * sigmoid(-t),
        "least_squares": psi_after * (t - 1),
        "hinge": -psi_after,
        "wasserstein": -psi_after,
        "relativistic": -psi_after * sigmoid(-t),
    }[loss]
    assert path(loss, steps=1)[1] == pytest.approx((theta - RATE * for_theta, psi_after), rel=1e-12)


@pytest.mark.parametrize("loss", ["saturating", "non_saturating", "wasserstein", "hinge", "relativistic"])
def test_without_a_penalty_it_goes_round_and_does_not_converge(loss: str) -> None:
    """Mescheder et al. 2018, section 2: the unregularised Dirac-GAN is not locally convergent."""
    points = path(loss)
    assert min(map(radius, points[STEPS // 2 :])) > 0.3
    angles = [math.atan2(psi, theta) for theta, psi in points]
    turns = sum(abs(b - a) > math.pi for a, b in pairwise(angles))
    assert turns >= 4


@pytest.mark.long
@pytest.mark.parametrize("penalty", [{"r1": 1.0}, {"r2": 1.0}, {"instance_noise": 0.0, "r1": 0.5, "r2": 0.5}])
@pytest.mark.parametrize("loss", ["saturating", "non_saturating", "wasserstein", "relativistic"])
def test_a_penalty_on_the_gradient_at_the_data_makes_it_converge(loss: str, penalty: dict[str, float]) -> None:
    """Theorem 4.1 of that paper. Here the gradient of the logit is ψ everywhere, so R1 and R2 are the same."""
    points = path(loss, **penalty)
    assert radius(points[-1]) < 1e-3 < radius(points[STEPS // 10])


def test_a_penalty_on_gradient_norms_other_than_one_does_not_make_it_converge() -> None:
    """WGAN-GP (section 2 and figure 3 of that paper): ψ is pulled to ±1, where θ does not rest."""
    points = path("wasserstein", gradient_penalty=1.0)
    assert max(map(radius, points[-100:])) > 0.5


def test_clipped_weights_keep_the_slope_and_do_not_converge() -> None:
    """Figure 3 of that paper, WGAN with clipping."""
    points = path("wasserstein", weight_clip=0.2)
    assert all(abs(psi) <= 0.2 + 1e-12 for _, psi in points[1:])
    assert max(abs(theta) for theta, _ in points[-100:]) > 0.1


def test_the_equilibrium_is_one() -> None:
    """At θ = ψ = 0 nothing moves, whatever the loss."""
    for loss in LOSSES:
        recipe = Recipe(loss=loss, noise_size=1, batch_size=2, optimizer="sgd", beta1=0.0)
        generator, discriminator = Point(0.0), Slope(0.0)
        optimizers = (torch.optim.SGD(network.parameters(), lr=1.0) for network in (generator, discriminator))
        gan, aim = GAN(generator, discriminator, *optimizers), objective(recipe)
        batch = Batch(torch.zeros(2, 1, dtype=torch.float64), None, torch.zeros(2, 1), None, stream(0, "dirac"))
        discriminator_update(gan, aim, recipe, batch)
        generator_update(gan, aim, recipe, batch)
        assert (generator.theta.item(), discriminator.psi.item()) == (0.0, 0.0), loss


# Of two densities that are known, p of the real and q of the fakes, on a line of points.

POINTS = torch.linspace(-3, 3, 61, dtype=torch.float64)


def densities() -> tuple[Tensor, Tensor]:
    real = torch.exp(-((POINTS - 0.5) ** 2) / 2)
    fake = torch.exp(-((POINTS + 0.7) ** 2) / (2 * 0.8**2))
    return real / real.sum(), fake / fake.sum()


BEST = {
    # Goodfellow et al. 2014, proposition 1: D = p/(p+q), so the logit is ln p/q.
    "saturating": lambda p, q: (p / q).log(),
    "non_saturating": lambda p, q: (p / q).log(),
    # Mao et al. 2017, equation 5, with a = 0 and b = 1.
    "least_squares": lambda p, q: p / (p + q),
    # Lim & Ye 2017: +1 where the real density is larger, and -1 elsewhere.
    "hinge": lambda p, q: (p - q).sign(),
}


def integral(loss: str, logits: Tensor) -> Tensor:
    """The discriminator's loss over both densities, of a logit for each point."""
    p, q = densities()
    # The loss of one real and one fake logit is the sum of a part of each, so that each density weighs its own.
    none = torch.zeros(len(POINTS), 1, dtype=torch.float64)
    real, fake = LOSSES[loss].discriminator(logits[:, None], none), LOSSES[loss].discriminator(none, logits[:, None])
    return (p * real).sum() + (q * fake).sum()


@pytest.mark.parametrize("loss", BEST)
def test_the_best_discriminator_of_two_densities_is_the_known_one(loss: str) -> None:
    """There its loss has no slope, and everywhere else it is larger: at every point, either way, a little and a lot."""
    best = BEST[loss](*densities()).requires_grad_()
    least = integral(loss, best)
    if loss != "hinge":  # which has its corners there
        (slope,) = torch.autograd.grad(least, best)
        assert slope.abs().max() < 1e-15
    for step in (0.01, 0.5, 3.0):
        for place in range(len(POINTS)):
            for way in (-step, step):
                moved = best.detach().clone()
                moved[place] += way
                assert integral(loss, moved) > least


def test_with_the_best_discriminator_the_minimax_loss_is_the_jensen_shannon_divergence() -> None:
    """Goodfellow et al. 2014, theorem 1: -L_D = 2 JSD(p, q) - ln 4."""
    p, q = densities()
    logits = (p / q).log()
    drawn = stream(0, "densities")
    real, fake = (logits[torch.multinomial(each, 200_000, replacement=True, generator=drawn)] for each in (p, q))
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    measured = -LOSSES["saturating"].discriminator(real, fake)
    assert measured.item() == pytest.approx(2 * divergence.item() - math.log(4), abs=0.01)
