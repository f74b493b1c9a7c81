"""Each part of an update, by hand: on a generator that is one number, and a discriminator that is one slope."""

import math

import pytest
import torch

from benchmarks.algorithm.descent import descend, total_norm
from benchmarks.algorithm.device import resolve_device
from benchmarks.algorithm.epoch import Updates
from benchmarks.algorithm.gan import GAN, make_gan, make_optimizer
from benchmarks.algorithm.precision import ROUNDING
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import SATURATED, discriminator_update, generator_update
from tests.toy_gans import Point, Slope
from variants.batch import Batch
from variants.objective import objective
from variants.recipe import Recipe

REAL = torch.tensor([[2.0], [4.0]], dtype=torch.float64)


def recipe(**changes: object) -> Recipe:
    fixed = {"noise_size": 1, "batch_size": 2, "optimizer": "sgd", "beta1": 0.0}
    return Recipe(**{**fixed, "generator_lr": 0.1, "discriminator_lr": 0.1, **changes})


def both(theta: float = 1.0, psi: float = 0.5, **changes: object) -> tuple[GAN, Recipe]:
    asked = recipe(**changes)
    return make_gan(Point(theta), Slope(psi), asked), asked


def batch() -> Batch:
    return Batch(REAL, None, torch.zeros(2, 1), None, stream(0, "updates"))


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def test_a_discriminator_update_measures_what_it_saw_before_it() -> None:
    network, asked = both()
    measured = discriminator_update(network, objective(asked), asked, batch())
    # The logits are 1 and 2 on real examples, and twice 0.5 on fakes.
    real, fake = [sigmoid(1.0), sigmoid(2.0)], sigmoid(0.5)
    slope = (-(1 - real[0]) * 2 - (1 - real[1]) * 4) / 2 + fake * 1.0
    assert measured["d_real"].item() == pytest.approx(sum(real) / 2)
    assert measured["d_fake"].item() == pytest.approx(fake)
    assert measured["saturated"].item() == 0
    expected = -(math.log(real[0]) + math.log(real[1])) / 2 - math.log(1 - fake)
    assert measured["discriminator_loss"].item() == pytest.approx(expected)
    assert measured["discriminator_gradient"].item() == pytest.approx(abs(slope))
    assert network.discriminator.psi.item() == pytest.approx(0.5 - 0.1 * slope)
    assert network.generator.theta.item() == 1.0
    assert not any(value.requires_grad for value in measured.values())


def test_a_generator_update_moves_the_generator_alone() -> None:
    network, asked = both()
    measured = generator_update(network, objective(asked), asked, batch())
    slope = -(1 - sigmoid(0.5)) * 0.5
    assert measured["generator_loss"].item() == pytest.approx(-math.log(sigmoid(0.5)))
    assert measured["generator_gradient"].item() == pytest.approx(abs(slope))
    assert network.generator.theta.item() == pytest.approx(1.0 - 0.1 * slope)
    assert network.discriminator.psi.item() == 0.5


def test_a_logit_is_saturated_beyond_a_hundredth() -> None:
    # Logits of psi x 2, psi x 4 on real examples and twice psi on fakes.
    for psi, share in ((0.99 * SATURATED / 4, 0.0), (1.01 * SATURATED / 4, 0.25), (1.01 * SATURATED / 2, 0.5)):
        network, asked = both(psi=psi)
        measured = discriminator_update(network, objective(asked), asked, batch())
        assert measured["saturated"].item() == share


def test_weights_are_clipped_where_the_recipe_says_so() -> None:
    for clip, psi in ((0.0, 1.0), (0.25, 0.25)):
        network, asked = both(psi=1.0, loss="wasserstein", discriminator_lr=1e-9, weight_clip=clip)
        discriminator_update(network, objective(asked), asked, batch())
        assert network.discriminator.psi.item() == pytest.approx(psi)


def test_old_fakes_are_judged_where_the_recipe_says_so() -> None:
    network, asked = both(replay=0.5, replay_size=2, discriminator_lr=1e-9)
    discriminator_update(network, objective(asked), asked, batch())
    with torch.no_grad():
        network.generator.theta.fill_(3.0)
    measured = discriminator_update(network, objective(asked), asked, batch())
    # One of the two is as new, the other one of before.
    assert measured["d_fake"].item() == pytest.approx((sigmoid(1.5) + sigmoid(0.5)) / 2, rel=1e-6)


def test_the_generator_learns_from_a_discriminator_of_after_its_own_updates() -> None:
    network, asked = both(unrolled_steps=1, loss="wasserstein", weight_clip=1.0)
    measured = generator_update(network, objective(asked), asked, batch())
    # The slope after one update is .5 + .1 (3 - θ), so that the loss is -θ (.8 - .1 θ), of slope -.8 + .2 θ.
    assert measured["generator_loss"].item() == pytest.approx(-0.7)
    assert measured["generator_gradient"].item() == pytest.approx(0.6)
    assert network.generator.theta.item() == pytest.approx(1.06)
    assert network.discriminator.psi.item() == 0.5


def test_the_averaged_generator_follows_at_the_pace_of_the_recipe() -> None:
    network, asked = both(averaging=0.75, loss="wasserstein", weight_clip=1.0)
    assert not any(parameter.requires_grad for parameter in network.ema_generator.parameters())
    generator_update(network, objective(asked), asked, batch())
    assert network.generator.theta.item() == pytest.approx(1.05)
    assert network.ema_generator.theta.item() == pytest.approx(1.0 + 0.25 * 0.05)


def test_the_averaged_generator_has_the_buffers_of_the_generator() -> None:
    asked, generator = recipe(averaging=0.75), Point(1.0)
    generator.register_buffer("seen", torch.zeros(1))
    network = make_gan(generator, Slope(0.5), asked)
    generator.seen.fill_(3.0)
    generator_update(network, objective(asked), asked, batch())
    assert network.ema_generator.seen.item() == 3.0


def test_a_recipe_chooses_its_optimiser_and_what_belongs_to_it() -> None:
    descent = make_optimizer(Slope(1.0), recipe(beta1=0.3), 0.2)
    assert isinstance(descent, torch.optim.SGD)
    assert (descent.defaults["lr"], descent.defaults["momentum"]) == (0.2, 0.3)
    adam = make_optimizer(Slope(1.0), recipe(optimizer="adam", beta1=0.3, beta2=0.8), 0.2)
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.defaults["lr"], adam.defaults["betas"]) == (0.2, (0.3, 0.8))
    network, _ = both(generator_lr=0.3, discriminator_lr=0.4)
    rates = [each.defaults["lr"] for each in (network.generator_optimizer, network.discriminator_optimizer)]
    assert rates == [0.3, 0.4]
    assert (network.replay, network.ema_generator) == (None, None)


def test_a_step_forgets_the_gradients_of_the_one_before() -> None:
    slope = Slope(1.0)
    descent = torch.optim.SGD(slope.parameters(), lr=0.1)
    norms = [descend((slope.psi * 3).sum(), descent).item() for _ in range(2)]
    assert norms == [3.0, 3.0]
    assert slope.psi.item() == pytest.approx(1.0 - 2 * 0.3)


def test_the_norm_is_of_all_gradients_as_one_vector_for_each_seed() -> None:
    gradients = [torch.tensor([[3.0, 0.0], [1.0, 2.0]]), torch.tensor([[4.0], [2.0]])]
    assert total_norm(gradients, torch.Size([2])).tolist() == pytest.approx([5.0, 3.0])
    assert total_norm(gradients, torch.Size([])).item() == pytest.approx(math.sqrt(34))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_products_are_rounded_within_an_update_in_tf32_and_nowhere_else(precision: str, role: str) -> None:
    resolve_device("cpu")
    seen: list[set[str]] = []

    class Seeing(Slope):
        def forward(self, *inputs):
            seen.append({place.fp32_precision for place in ROUNDING})
            return super().forward(*inputs)

    asked = recipe()
    updates = Updates(make_gan(Point(1.0), Seeing(0.5), asked, precision), objective(asked), asked)
    getattr(updates, role)(batch())
    assert all(each == {"tf32" if precision == "tf32" else "ieee"} for each in seen)
    assert seen
    assert {place.fp32_precision for place in ROUNDING} == {"ieee"}
    updates.objective = None
    with pytest.raises(AttributeError):
        getattr(updates, role)(batch())
    assert {place.fp32_precision for place in ROUNDING} == {"ieee"}
