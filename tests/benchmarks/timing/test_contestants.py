"""What is timed is what it is said to be: operations by hand, seeds as one, units of the loop."""

from dataclasses import replace

import pytest
import torch

from benchmarks.algorithm.operations import count_operations
from benchmarks.algorithm.random_streams import stream
from benchmarks.timing.cases import Case
from benchmarks.timing.contestants import Ours
from tests.layer_operations import RING, count_by_hand
from variants import UserError


@pytest.fixture(scope="module")
def ring() -> Ours:
    return Ours(RING)


def test_the_operations_of_an_update_are_those_of_its_layers(ring: Ours) -> None:
    counted = count_by_hand(32, [2, 128, 128, 2], [2, 128, 128, 1])
    assert count_operations(ring.loop) == ring.facts()["operations"] == counted


def test_several_seeds_as_one_are_so_many_updates() -> None:
    ours = Ours(replace(RING, seeds=3))
    # All of one seed is told.
    assert count_operations(ours.loop) == 3 * ours.facts()["operations"] == 3 * Ours(RING).facts()["operations"]


def test_a_precision_that_the_device_has_not_is_not_timed() -> None:
    with pytest.raises(UserError, match=r"^the device 'cpu' does not train in tf32; take --precision float32$"):
        Ours(replace(RING, precision="tf32"))


def test_seeds_that_cannot_be_trained_as_one_are_not_timed_so() -> None:
    with pytest.raises(UserError, match=r"^seeds of separate_gans are trained one by one: each seed deals"):
        Ours(Case("separate_gans", "digits", seeds=2))


def test_a_unit_of_the_loop_is_one_update_and_epochs_follow_each_other(ring: Ours, monkeypatch) -> None:
    epochs: list[int] = []

    def noted(seed: int, name: str, epoch: int, device: torch.device) -> torch.Generator:
        epochs.append(epoch)
        return stream(seed, name, epoch, device)

    monkeypatch.setattr("benchmarks.algorithm.epoch.stream", noted)
    assert ring.seconds_for("loop", 7) > 0
    assert set(epochs) == {1, 2}
    assert ring.count_in("loop", 0.0) == 1
