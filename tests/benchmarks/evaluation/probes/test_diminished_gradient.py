"""The generator's gradients under two losses, by hand and while a discriminator wins."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks.algorithm.gan import make_gan
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.config import DatasetConfig
from benchmarks.evaluation.probes.diminished_gradient import (
    BATCHES,
    generator_gradient,
    log_spaced_updates,
    total_norm,
    train_discriminator,
)
from benchmarks.training.cache import load_dataset
from tests.benchmarks.evaluation.probes.conftest import figures, trained
from tests.gpu import on_a_gpu
from variants import Recipe, load_variant
from variants.losses import LOSSES
from variants.objective import objective


@pytest.mark.parametrize("bias", [0.0, -5.0, -200.0, 150.0])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_a_gpu, id="gpu")])
def test_gradients_of_both_losses_by_hand_even_where_float32_knows_only_zero(device: str, bias: float) -> None:
    """With G(z) = w·z and a logit of a·G(z) + b: d/dw log(1 - D) = -mean(σ(l)·a·z), and -mean(σ(-l)·a·z) of -log D."""
    weight, a = torch.tensor(0.5, device=device, requires_grad=True), 3.0
    noise = torch.tensor([1.0, 2.0, -0.5], device=device)
    logits = weight * noise * a + bias
    exact = logits.detach().double()
    for loss, share in (("saturating", exact), ("non_saturating", -exact)):
        expected = (-(share.sigmoid() * a * noise.double()).mean()).item()
        (found,), scale = generator_gradient(LOSSES[loss], logits, [weight])
        assert (found * scale).item() == pytest.approx(expected, rel=1e-5, abs=0)
        assert (scale * total_norm([found])).item() == pytest.approx(abs(expected), rel=1e-5, abs=0)
        assert expected != 0


def digits_players(recipe: Recipe, variant: str = "cgan_mlp"):
    data = load_dataset(DatasetConfig("digits"), None, 0)
    with initialisation(0):
        return make_gan(*load_variant(variant).build(data.spec, recipe), recipe), data.train


def test_the_saturating_gradient_vanishes_as_the_discriminator_wins_and_the_other_does_not() -> None:
    wide = {"generator_widths": (256, 512), "discriminator_widths": (512, 256)}
    recipe = load_variant("cgan_mlp").recipe("small").with_({"discriminator_lr": 1e-3, **wide})
    networks, data = digits_players(recipe)
    before = {name: value.clone() for name, value in networks.generator.state_dict().items()}
    points = train_discriminator(networks, objective(recipe), recipe, data, stream(0, "probe"), 100)

    assert [point.updates for point in points] == sorted({0, *log_spaced_updates(100)})
    medians = {loss: [torch.tensor(point.norms[loss]).median().item() for point in points] for loss in points[0].norms}
    assert medians["saturating"][-1] < medians["saturating"][0] / 10
    assert medians["non_saturating"][-1] > medians["non_saturating"][0]
    assert points[-1].d_fake < 0.01 < 0.3 < points[0].d_fake
    assert all(len(norms) == BATCHES for norms in points[0].norms.values())
    # Frozen: its weights and its batch-norm statistics.
    assert all(torch.equal(value, before[name]) for name, value in networks.generator.state_dict().items())


def test_the_step_is_what_the_generators_optimiser_makes_of_the_gradient() -> None:
    """Of SGD without momentum, the learning rate times the norm; of Adam's first step, about the rate a weight."""
    recipe = load_variant("cgan_mlp").recipe("small").with_({"generator_lr": 0.01, "beta1": 0.0})
    for optimizer in ("sgd", "adam"):
        own = recipe.with_({"optimizer": optimizer})
        networks, data = digits_players(own)
        (point,) = train_discriminator(networks, objective(own), own, data, stream(0, "probe"), 0)
        weights = sum(p.numel() for p in networks.generator.parameters())
        for loss, step in point.steps.items():
            if optimizer == "sgd":
                assert step == pytest.approx(0.01 * point.norms[loss][0], rel=1e-3)
            else:
                assert 0.8 < step / (0.01 * math.sqrt(weights)) < 1.01


def test_a_decay_of_the_learning_rate_does_not_stop_the_probe() -> None:
    recipe = load_variant("cgan_mlp").recipe("small")
    networks, data = digits_players(recipe)
    networks.discriminator_optimizer.param_groups[0]["lr"] = 0.0
    before = [p.detach().clone() for p in networks.discriminator.parameters()]
    train_discriminator(networks, objective(recipe), recipe, data, stream(0, "probe"), 1)
    assert not all(map(torch.equal, before, networks.discriminator.parameters()))


@pytest.mark.parametrize("updates", [1, 2, 500])
def test_gradients_are_taken_at_log_spaced_points_up_to_the_last(updates: int) -> None:
    due = sorted(log_spaced_updates(updates))
    assert (due[0], due[-1]) == (1, updates)
    assert len(due) <= 29
    assert all(after / before < 1.4 for before, after in itertools.pairwise(due) if before > 5)


def test_the_gradient_probe_leaves_its_points_and_a_picture(tmp_path: Path, short: None) -> None:
    run = trained(tmp_path, probes=("gradient",), epochs=1)
    names = {path.name for path in (run.path / "probes").iterdir()}
    assert names == {f"gradient_epoch_{epoch:03d}.{kind}" for epoch in (0, 1) for kind in ("json", "png")}
    kept = json.loads((run.path / "probes" / "gradient_epoch_001.json").read_text())
    assert [point["updates"] for point in kept["points"]] == [0, 1, 2, 3]
    start = {loss: sorted(norms) for loss, norms in kept["points"][0]["norms"].items()}
    ratio = math.log10(sum(start["saturating"]) / sum(start["non_saturating"]))  # of two batches
    assert figures(run)[1]["gradient_ratio"] == pytest.approx(ratio)


def test_the_ratio_of_norms_is_that_of_the_gradients_at_the_same_weights(tmp_path: Path, shortest: None) -> None:
    (_, last) = figures(trained(tmp_path, probes=("gradient_norms",), epochs=1))
    difference = last["gradient_norm_saturating"] - last["gradient_norm_non_saturating"]
    assert last["gradient_norm_ratio"] == pytest.approx(difference)
