"""Batches that are drawn for several updates at once, as on a GPU, are batches as they should be: on a CPU, by telling
how many ahead."""

import itertools

import pytest
import torch

from benchmarks.algorithm import batches
from benchmarks.algorithm.batches import AHEAD, AHEAD_BYTES, drawn_ahead, epoch_batches, stacked_batches
from benchmarks.datasets import Split
from variants import Recipe
from variants.batch import Batch

EXAMPLES, UPDATES = 60, 10
RECIPES = [
    Recipe(batch_size=12),
    Recipe(batch_size=12, conditioning="embedding"),
    Recipe(batch_size=12, conditioning="embedding", pack=3, critic_steps=2),
    Recipe(batch_size=12, conditioning="embedding", shuffled_conditions=True, critic_steps=3, critic_batch="same"),
]


def numbered(labels: int = 3) -> Split:
    """Images whose first pixel is the number of the example."""
    numbers = torch.arange(EXAMPLES)
    return Split(numbers.to(torch.uint8)[:, None, None, None].repeat(1, 1, 2, 2), numbers % labels)


def number(batch: Batch) -> torch.Tensor:
    return (batch.examples[..., 0, 0, 0] * 127.5 + 127.5).round().long()


@pytest.fixture(params=[(), (1,), (4,)], ids=["each for itself", "one ahead", "four ahead"])
def ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> batches.Ahead:
    monkeypatch.setattr("benchmarks.algorithm.batches.drawn_ahead", lambda recipe, data: request.param)
    return request.param


def turns(recipe: Recipe, seed: int = 0) -> list[Batch]:
    return list(itertools.islice(epoch_batches(recipe, numbered(), seed, 1), UPDATES * (recipe.critic_steps + 1)))


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_every_turn_has_what_it_should(recipe: Recipe, ahead: batches.Ahead) -> None:
    each, steps = turns(recipe), recipe.critic_steps
    for update in range(UPDATES):
        *critic, generator = each[update * (steps + 1) : (update + 1) * (steps + 1)]
        assert generator.examples is critic[-1].examples
        assert generator.condition is critic[-1].condition
        for batch in (*critic, generator):
            assert batch.examples.shape == (12, 1, 2, 2)
            assert batch.noise.shape == (12, recipe.noise_size)
            if recipe.conditioning == "none":
                assert batch.condition is batch.fake_condition is None
                continue
            own = number(batch) % 3
            # Where conditions are shuffled, each example has its neighbour's.
            assert torch.equal(batch.condition, own.roll(1) if recipe.shuffled_conditions else own)
            for labels in (batch.condition, batch.fake_condition):
                packs = labels.reshape(-1, recipe.pack)
                assert (packs == packs[:, :1]).all()
        assert all(batch.fake_condition is batch.condition for batch in critic)
        assert len({id(batch.examples) for batch in critic}) == (1 if recipe.critic_batch == "same" else steps)


def test_a_pass_shows_every_example_once(ahead: batches.Ahead) -> None:
    shown = torch.cat([number(batch) for batch in turns(RECIPES[0])[::2]])
    for seen in shown.split(EXAMPLES):
        assert torch.equal(seen.sort().values, torch.arange(EXAMPLES))
    assert not torch.equal(*shown.split(EXAMPLES))


def test_noise_and_labels_are_new_for_every_update(ahead: batches.Ahead) -> None:
    each = turns(RECIPES[1])
    assert len({tuple(batch.noise.flatten().tolist()) for batch in each}) == len(each)
    assert len({tuple(batch.fake_condition.tolist()) for batch in each[1::2]}) > UPDATES // 2


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_a_seed_among_others_sees_what_it_sees_alone(recipe: Recipe, ahead: batches.Ahead) -> None:
    seeds = (0, 7, 3)
    united = stacked_batches(recipe, [numbered()] * 3, seeds, 1)
    for all_, *alone in zip(united, *(turns(recipe, seed) for seed in seeds), strict=False):
        assert all_.stream != alone[0].stream
        assert len(all_.stream) == 3
        for place, own in enumerate(alone):
            for name, tensor in batches.tensors_of(own).items():
                assert torch.equal(getattr(all_, name)[place], tensor)
        assert (all_.fake_condition is all_.condition) == (own.fake_condition is own.condition)


def test_how_far_ahead_depends_on_the_device_and_the_size_of_a_batch() -> None:
    assert drawn_ahead(Recipe(batch_size=12), numbered()) == ()
    of_8_mebibytes = Recipe(batch_size=2)
    for side, recipe, updates in (
        (2, Recipe(batch_size=12), AHEAD),
        (1024, of_8_mebibytes, AHEAD_BYTES // 2**23),
        (1024, of_8_mebibytes.with_({"critic_steps": 2}), AHEAD_BYTES // 2**24),
        (1024, of_8_mebibytes.with_({"critic_steps": 2, "critic_batch": "same"}), AHEAD_BYTES // 2**23),
        (4096, of_8_mebibytes, 1),
    ):
        there = Split(torch.empty(100, 1, side, side, dtype=torch.uint8, device="meta"))
        assert drawn_ahead(recipe, there) == (updates,)
