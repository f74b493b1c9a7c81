"""The optimiser does what torch's does, bit by bit, and leaves out what torch's would import."""

import copy
import subprocess
import sys
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from benchmarks.algorithm.adam import Adam

BETAS = (0.5, 0.999)


def network() -> nn.Module:
    torch.manual_seed(1)
    layers = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(), nn.Flatten(), nn.Linear(128, 1))
    return layers.to(memory_format=torch.channels_last)


def descend(layers: nn.Module, optimizer: torch.optim.Optimizer, rates: Iterable[float]) -> None:
    examples = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        layers(examples).square().mean().backward()
        optimizer.step()


def weights(layers: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in layers.parameters()]


@pytest.fixture(scope="module")
def wanted() -> nn.Module:
    """After five steps of torch's own."""
    layers = network()
    descend(layers, torch.optim.Adam(layers.parameters(), 1e-3, BETAS, fused=True), [1e-3, 1e-3, 5e-4, 5e-4, 1e-4])
    return layers


def test_it_takes_the_steps_of_torch(wanted: nn.Module) -> None:
    layers = network()
    descend(layers, Adam(layers.parameters(), 1e-3, BETAS), [1e-3, 1e-3, 5e-4, 5e-4, 1e-4])
    assert all(map(torch.equal, weights(layers), weights(wanted)))


def test_a_state_is_taken_up_whatever_its_layout_in_memory(wanted: nn.Module) -> None:
    layers, again = network(), network()
    optimizer = Adam(layers.parameters(), 1e-3, BETAS)
    descend(layers, optimizer, [1e-3, 1e-3, 5e-4])
    kept = copy.deepcopy(optimizer.state_dict())
    moments = [value for state in kept["state"].values() for value in state.values()]
    assert any(not moment.is_contiguous() for moment in moments)
    for state in kept["state"].values():
        for name, value in state.items():
            state[name] = value.contiguous()
    again.load_state_dict(layers.state_dict())
    resumed = Adam(again.parameters(), 1e-3, BETAS)
    resumed.load_state_dict(kept)
    descend(again, resumed, [5e-4, 1e-4])
    assert all(map(torch.equal, weights(again), weights(wanted)))


def test_a_parameter_without_a_gradient_stays_as_it_is() -> None:
    layers = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    before = layers[1].weight.detach().clone()
    optimizer = Adam(layers.parameters(), 1e-3, BETAS)
    layers[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert torch.equal(layers[1].weight, before)
    assert set(optimizer.state) == set(layers[0].parameters())


def test_a_copy_goes_its_own_way() -> None:
    layers = network()
    optimizer = Adam(layers.parameters(), 1e-3, BETAS)
    descend(layers, optimizer, [1e-3])
    before = [weight.clone() for weight in weights(layers)]
    descend(*copy.deepcopy((layers, optimizer)), [1e-3])
    assert all(map(torch.equal, weights(layers), before))


@pytest.mark.long
def test_training_does_not_import_the_compiler() -> None:
    """It takes seconds, and nothing is compiled."""
    code = """
import sys, torch
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.algorithm.gan import build_gan, refuse_giants
from benchmarks.algorithm.epoch import Updates, train_updates
from variants import load_variant
from variants.objective import objective
conditional, digits = load_variant("cgan_mlp"), load(DatasetConfig("digits"))
refuse_giants(conditional, digits.spec, conditional.recipe("default"))
variant, data = load_variant("vanilla_gan"), load(DatasetConfig("ring8"))
recipe = variant.recipe("points")
both = build_gan(variant, data.spec, recipe, 0, torch.device("cpu"))
assert len(list(train_updates(Updates(both, objective(recipe), recipe), data.train, 0, 1, 2))) == 2
print(sorted({name.partition(".")[2].partition(".")[0] for name in sys.modules if name.startswith("torch.")}))
print("sympy", "sympy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'optim'" in done.stdout
    assert "'_dynamo'" not in done.stdout
    assert "sympy False" in done.stdout
