"""The first variants are what they were when others were added: their configs have the same keys, their updates losses.

Runs of before would otherwise not be found, and be compared with runs of other networks.
"""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import configure
from benchmarks.algorithm.epoch import Updates, train_updates
from benchmarks.config import DatasetConfig
from tests.stacked_recipes import examples, loaded, started
from variants import load_variant
from variants.objective import objective
from variants.recipe import FIELDS

# Written by the code of before, from `key_of` and `measured` below.
BEFORE = json.loads((Path(__file__).parents[1] / "data" / "first_variants.json").read_text())
UPDATES = 3


def key_of(variant: str, dataset: str, recipe: str) -> str:
    return configure(variant, dataset, recipe=recipe).key


def measured(variant: str, dataset: str) -> dict[str, float]:
    """What the last of a few updates of each network measures."""
    known, spec = load_variant(variant), loaded(DatasetConfig(dataset)).spec
    recipe = known.recipe(known.recipe_for(spec)).with_({"batch_size": 16})
    data = examples(dataset, 0, torch.float64)
    updates = Updates(started(variant, recipe, dataset, 0), objective(recipe), recipe)
    *_, last = train_updates(updates, data, 0, 1, UPDATES)
    return {name: value.item() for name, value in last.items()}


@pytest.mark.parametrize("case", BEFORE["keys"])
def test_a_config_of_before_has_its_key(case: str) -> None:
    assert key_of(*case.split()) == BEFORE["keys"][case]


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
@pytest.mark.parametrize("case", BEFORE["measured"])
def test_the_updates_of_before_have_their_losses(case: str, dtype: torch.dtype) -> None:
    """In float64: the order of a sum, which depends on the processor, moves a loss in its fourteenth digit or so."""
    assert measured(*case.split()) == pytest.approx(BEFORE["measured"][case], rel=1e-6)


def test_fields_of_before_have_their_neutral_values() -> None:
    """A key leaves out the fields at their neutral values, so these never change."""
    now = {name: list(f.default) if isinstance(f.default, tuple) else f.default for name, f in FIELDS.items()}
    assert {name: now[name] for name in BEFORE["neutral"]} == BEFORE["neutral"]
