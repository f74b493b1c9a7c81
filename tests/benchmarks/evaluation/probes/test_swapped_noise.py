"""Another noise is fed into the trained generator."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmarks.algorithm.gan import make_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.evaluation.probes import Moment
from benchmarks.evaluation.probes.swapped_noise import measure_noise_swap
from variants import Recipe
from variants.objective import objective


def test_another_noise_is_fed_into_the_trained_generator() -> None:
    """A generator that passes its noise on, judged by the variance of its samples: ⅓ of uniform noise, 1 of others."""

    class Variance:
        facts, device = frozenset(), torch.device("cpu")

        def evaluate(self, generate: Callable, *, conditional: bool, only: set[str]) -> dict[str, float]:
            assert (conditional, only) == (False, {"fid"})
            return {"fid": generate(None, 20_000).var().item()}

    class Same(nn.Linear):
        def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
            return noise

    recipe = Recipe(noise_size=2)
    networks = make_gan(Same(1, 1), nn.Linear(1, 1), recipe)
    config = RunConfig("vanilla_gan", recipe, DatasetConfig("ring8"), 0, "", "")
    measured = measure_noise_swap(
        Moment(config, None, networks, objective(recipe), Variance(), None, 1, {"fid": 1.0}),  # type: ignore[arg-type]
        stream(0, "noise"),
    )
    expected = {"uniform": math.log(1 / 3), "uniform_unit": 0, "bernoulli": 0, "truncated_gaussian": 0}
    assert measured == pytest.approx({f"noise_swap_{name}": value for name, value in expected.items()}, abs=0.03)
