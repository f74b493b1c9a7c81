"""GAN-train: networks trained as one, and what makes the accuracy fall."""

import pytest
import torch
from torch import Tensor, nn

from metrics import gan_train as gan_train_module
from metrics.gan_train import gan_train
from tests.tensors import normal


def shapes(seed: int, count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 4
    return nn.functional.one_hot(labels, 16).float().view(-1, 1, 4, 4) + 0.3 * normal(
        seed, count, 1, 4, 4
    ).float(), labels


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
def test_networks_that_are_trained_as_one_are_those_that_are_trained_alone(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("metrics.gan_train._UPDATES", 30)
    x, labels = normal(1, 450, 6, dtype=dtype), torch.arange(450) % 3
    together = gan_train_module._train(x, labels, 3, (5, 7))
    for place, seed in enumerate((5, 7)):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            alone = torch.nn.Sequential(torch.nn.Linear(6, 256), torch.nn.ReLU(), torch.nn.Linear(256, 3))
        optimizer, order = torch.optim.Adam(alone.parameters(), lr=1e-3), torch.Generator().manual_seed(seed)
        batches: list[Tensor] = []
        for _ in range(30):
            batches = batches or list(torch.randperm(450, generator=order).split(100)[:4])
            chosen = batches.pop()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(alone(x[chosen]), labels[chosen]).backward()
            optimizer.step()
        first, first_bias, second, second_bias = (weight[place].detach() for weight in together)
        ours = {"0.weight": first.mT, "0.bias": first_bias[0], "2.weight": second.mT, "2.bias": second_bias[0]}
        for name, weight in alone.state_dict().items():
            torch.testing.assert_close(ours[name], weight, rtol=1e-9, atol=1e-12)


def test_gan_train_falls_with_wrong_labels_and_missing_classes() -> None:
    samples, labels = shapes(1, 400)
    real, truth = shapes(2, 200)

    def measured(samples: Tensor, labels: Tensor) -> float:
        return gan_train(samples, labels, real, truth, 4, seeds=(0,))

    before = torch.random.get_rng_state()
    right = measured(samples, labels)
    assert right > 0.85
    assert torch.equal(torch.random.get_rng_state(), before)
    assert right == measured(samples, labels)
    assert measured(samples, (labels + 1) % 4) < 0.1
    three = labels != 3
    assert measured(samples[three], labels[three]) == pytest.approx(0.75 * right, abs=0.1)


def test_fewer_samples_than_a_batch_are_enough() -> None:
    samples, labels = shapes(1, 30)
    assert gan_train(samples, labels, samples, labels, 4, seeds=(0,)) == 1.0
