"""Any combination of choices that is accepted trains, and any other is refused with a sentence."""

import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.algorithm.epoch import anneal
from benchmarks.algorithm.gan import GAN, make_gan, refuse_giants
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from variants import VARIANTS, DataSpec, UserError, load_variant
from variants.batch import Batch
from variants.blocks import draw_from
from variants.losses import LOSSES
from variants.noise import NOISES
from variants.objective import objective
from variants.recipe import FIELDS, Recipe

SPECS = (
    DataSpec((1, 8, 8), classes=3),
    DataSpec((3, 8, 8), classes=3),
    DataSpec((2,), bounded=False, classes=3),
    DataSpec((1, 8, 8), vocabulary=tuple("abcdefgh")),
    DataSpec((1, 8, 8)),
)
# Small ones, so that a step takes milliseconds; what is large is only more of the same.
NUMBERS = {
    "noise_size": (1, 5),
    "batch_size": (2, 8),
    "pack": (1, 2, 3),
    "replay_size": (1, 6),
    "generator_widths": ((8,), (8, 4), (4, 4, 4)),
    "discriminator_widths": ((8,), (4, 8), (4, 4, 4)),
    "embedding_size": (0, 2),
    "code_classes": (0, 1, 3),
    "code_values": (0, 2),
    "unrolled_steps": (0, 1),
    "minibatch_discrimination": (0, 2),
    "upsampling_kernel": (2, 3, 4, 5),
    "critic_steps": (1, 2),
    "epochs": (1, 3),
    "epoch_updates": (0, 2),
    "generator_lr": (1e-4, 1e-2),
    "discriminator_lr": (1e-4, 1e-2),
    "negative_slope": (0.0, 0.2),
    "beta1": (0.0, 0.5),
    "beta2": (0.9, 0.999),
}
UPDATES = 2


def choices(name: str) -> tuple[Any, ...]:
    field = FIELDS[name]
    if name in NUMBERS:
        return NUMBERS[name]
    if field.metadata.get("choices"):
        return field.metadata["choices"]
    if isinstance(field.default, bool):
        return (False, True)
    return {"loss": tuple(LOSSES), "noise": tuple(NOISES)}.get(name, (0.0, 0.3))


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, DataSpec, dict[str, Any]]:
    """A variant, data, and a few fields of its recipe that are changed."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True))
    changes = {name: draw(st.sampled_from(choices(name))) for name in names}
    return draw(st.sampled_from(sorted(VARIANTS))), draw(st.sampled_from(SPECS)), changes


def made(variant: str, spec: DataSpec, changes: dict[str, Any]) -> tuple[Recipe, GAN]:
    """Raises UserError for what cannot be."""
    known = load_variant(variant)
    small = {"batch_size": 6, "noise_size": 5}
    widths = {"generator_widths": (8, 4), "discriminator_widths": (4, 8)}
    recipe = known.recipe(known.recipe_for(spec)).with_({**small, **widths, **changes})
    known.check(recipe, spec)
    objective(recipe)
    refuse_giants(known, spec, recipe)
    with initialisation(0):
        networks = known.build(spec, recipe)
    return recipe, make_gan(*networks, recipe)


def trained(spec: DataSpec, recipe: Recipe, both: GAN, seed: int) -> list[dict[str, Tensor]]:
    """What two updates of each network measured, as training makes them."""
    aim, drawn = objective(recipe), stream(seed, "recipes")
    for network in (both.generator, both.discriminator):
        network.train()
        draw_from(network, drawn)
    size, measured = recipe.batch_size, []
    for update in range(UPDATES):
        anneal(both, recipe, remaining=1 - update / UPDATES)
        examples = torch.rand(size, *spec.shape, generator=drawn) * 2 - 1
        condition = None
        if spec.vocabulary:
            condition = torch.randint(len(spec.vocabulary), (size // recipe.pack, 3), generator=drawn)
        elif spec.classes:
            # Every class is there, if there is room for it.
            condition = torch.arange(size // recipe.pack) % spec.classes
        if condition is not None:
            condition = condition.repeat_interleave(recipe.pack, 0)
        noise = NOISES[recipe.noise]((size, recipe.noise_size), drawn)
        batch = Batch(examples, condition, noise, condition, drawn)
        measured.append(discriminator_update(both, aim, recipe, batch) | generator_update(both, aim, recipe, batch))
    return measured


def named(both: GAN) -> dict[str, Tensor]:
    parts = (("generator", both.generator), ("discriminator", both.discriminator))
    return {f"{role}.{name}": value for role, network in parts for name, value in network.named_parameters()}


def silent(recipe: Recipe) -> bool:
    """Whether units may be silent by design: below zero, dropped, or beyond the corner of the hinge."""
    return recipe.negative_slope == 0 or recipe.dropout > 0 or recipe.loss == "hinge"


@pytest.mark.long
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(asked())
def test_what_is_accepted_trains_and_what_is_not_is_refused_with_a_sentence(
    choice: tuple[str, DataSpec, dict[str, Any]],
) -> None:
    variant, spec, changes = choice
    said = ""
    try:
        recipe, both = made(variant, spec, changes)
    except UserError as refused:
        said = str(refused)
        event("refused")
        recipe, both = None, None
    if recipe is None:
        assert "\n" not in said
        assert 20 < len(said) < 500
        return
    event("trained")
    before = {name: value.detach().clone() for name, value in named(both).items()}
    measured = trained(spec, recipe, both, seed=0)
    for figures in measured:
        for name, value in figures.items():
            assert math.isfinite(value.item()), name
    loss = LOSSES[recipe.loss]
    for name, value in named(both).items():
        if value.grad is None:
            # Of separate networks, those learn whose class is in the batch.
            assert recipe.conditioning == "separate", f"{name} has no gradient"
            assert recipe.batch_size // recipe.pack < spec.classes, f"{name} has no gradient"
            continue
        assert value.grad.isfinite().all(), name
        last_bias = name.startswith("discriminator") and name.endswith("head.dense.bias")
        if last_bias and loss.shift_invariant:
            # Adding a constant to all logits changes nothing for these losses. The sum of 2 n terms of at most 1 / n is
            # off by no more than 2 n × 2⁻²⁴ × 2.
            assert value.grad.abs().max() <= 4 * (recipe.batch_size // recipe.pack) * 2.0**-24, name
        elif not silent(recipe):
            assert value.grad.abs().max() > 0, f"{name} learns nothing"
    moved = [name for name, value in named(both).items() if not torch.equal(value, before[name])]
    assert {name.partition(".")[0] for name in moved} == {"generator", "discriminator"}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(asked())
def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    choice: tuple[str, DataSpec, dict[str, Any]],
) -> None:
    variant, spec, changes = choice

    def weights(seed: int) -> dict[str, Tensor]:
        recipe, both = made(variant, spec, changes)
        trained(spec, recipe, both, seed)
        return {name: value.detach().clone() for name, value in named(both).items()}

    try:
        first = weights(0)
    except UserError:
        return
    again, other = weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    "changes",
    [
        {"generator_widths": (10**6, 10**6)},
        {"discriminator_widths": (10**9,)},
        {"noise_size": 10**10},
    ],
)
def test_networks_that_fill_the_memory_are_refused_before_they_are_made(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="parameters are too large"):
        made("cgan_mlp", SPECS[0], changes)
