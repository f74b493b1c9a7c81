"""Label use and the generalisation gap of discriminators whose opinion is known."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.algorithm.gan import make_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Classes, Dataset, Split
from benchmarks.evaluation.probes import Moment
from benchmarks.evaluation.probes.ranking import (
    draw_batches,
    join_batches,
    measure_generalization_gap,
    measure_label_use,
)
from benchmarks.training.cache import load_dataset
from tests.benchmarks.evaluation.probes.conftest import figures, trained
from variants import DataSpec, DiscriminatorOutput, Recipe
from variants.objective import objective
from variants.remedies import Packed

LEARNING = Recipe(batch_size=2, conditioning="embedding")


class Stub(nn.Module):
    """A discriminator with an opinion of its own, that must be asked in evaluation mode."""

    def __init__(self, opinion: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        self.opinion = opinion

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        assert not self.training
        return DiscriminatorOutput(self.opinion(examples, condition))


def tiny(train_labels: list[int], test_labels: list[int]) -> Dataset:
    """Images of two pixels: the first tells the label, the second is 1 in training images and 0 in test images."""

    def split(labels: list[int], mark: int) -> Split:
        data = torch.tensor([[label, mark] for label in labels], dtype=torch.float32)
        return Split(data.reshape(-1, 1, 1, 2), torch.tensor(labels))

    train, test = split(train_labels, 1), split(test_labels, 0)
    classes = len({*train_labels, *test_labels})
    spec = DataSpec((1, 1, 2), classes=classes)
    return Dataset("tiny", spec, train, test, test, "", Classes(classes), tuple(map(str, range(classes))), "")


def asked(probe: Callable, data: Dataset, opinion: Callable, recipe: Recipe = LEARNING) -> float:
    """The one figure of a probe of a discriminator with that opinion."""
    judge = Stub(opinion)
    networks = make_gan(nn.Linear(1, 1), nn.Linear(1, 1), recipe)
    networks = replace(networks, discriminator=Packed(judge, recipe.pack) if recipe.pack > 1 else judge)
    config = RunConfig("cgan_mlp", recipe, DatasetConfig("digits"), 0, "", "")
    moment = Moment(config, data, networks, objective(recipe), None, None, 1, {})  # type: ignore[arg-type]
    (figure,) = probe(moment, stream(0, "test")).values()
    return figure


BALANCED = tiny([0, 1, 2] * 4, [0, 1, 2] * 2)


@pytest.mark.parametrize(
    ("opinion", "expected"),
    [
        (lambda x, y: -(x[:, 0, 0, 0] - y).abs(), 1.0),  # knows every label
        (lambda x, y: (x[:, 0, 0, 0] - y).abs(), 0.0),  # would rather have a wrong one
        (lambda x, y: x.sum((1, 2, 3)), 0.5),  # blind: every pair is a tie
        (lambda x, y: 1e-6 * -(x[:, 0, 0, 0] - y).abs(), 1.0),  # how sure it is does not matter
    ],
    ids=["knows", "opposite", "blind", "unsure"],
)
def test_label_use_of_a_discriminator_whose_opinion_is_known(opinion: Callable, expected: float) -> None:
    assert asked(measure_label_use, BALANCED, opinion) == expected


def test_label_use_is_of_every_wrong_label_of_test_images() -> None:
    """D(x, y) = y ranks label k above k of the other two: (3·0 + 1·2)/(4·2) of three zeros and a two."""
    data = tiny([0, 1, 2] * 4, [0, 0, 0, 2])
    assert asked(measure_label_use, data, lambda x, y: y.float()) == 0.25


def test_a_pack_shares_its_label() -> None:
    def opinion(x: Tensor, y: Tensor) -> Tensor:
        assert x.shape[1:] == (2, 1, 2)
        assert torch.equal(x[:, 0, 0, 0], x[:, 1, 0, 0])
        return -(x[:, :, 0, 0] - y[:, None]).abs().sum(1)

    packed = LEARNING.with_({"pack": 2, "batch_size": 4})
    assert asked(measure_label_use, BALANCED, opinion, packed) == 1.0
    assert asked(measure_generalization_gap, BALANCED, opinion, packed) == 0.5


def test_the_gap_is_the_chance_that_a_training_image_seems_more_real() -> None:
    def mark(x: Tensor, y: Tensor | None) -> Tensor:
        return x[:, 0, 0, 1]

    def mark_of_zero(x: Tensor, y: Tensor | None) -> Tensor:
        return x[:, 0, 0, 1] * (x[:, 0, 0, 0] == 0)

    assert asked(measure_generalization_gap, BALANCED, mark) == 1.0
    assert asked(measure_generalization_gap, BALANCED, lambda x, y: -mark(x, y)) == 0.0
    assert asked(measure_generalization_gap, BALANCED, lambda x, y: y.float()) == 0.5
    # It has learned a third of the training images by heart: ⅓·1 + ⅔·½.
    assert asked(measure_generalization_gap, BALANCED, mark_of_zero) == pytest.approx(2 / 3)


def test_a_logit_that_is_no_number_gives_none() -> None:
    def broken(x: Tensor, y: Tensor | None) -> Tensor:
        return torch.full((len(x),), math.nan)

    assert math.isnan(asked(measure_label_use, BALANCED, broken))
    assert math.isnan(asked(measure_generalization_gap, BALANCED, broken))


@pytest.mark.parametrize(("variant", "changes"), [("cgan_mlp", {"pack": 2}), ("cgan_conv", {})])
def test_all_batches_at_once_give_the_figures_of_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, changes: dict
) -> None:
    apart = figures(trained(tmp_path / "apart", variant, **changes))
    monkeypatch.setattr(
        "benchmarks.evaluation.probes.ranking.join_batches", lambda batches, recipe, device: [torch.cat(batches)]
    )
    for ours, theirs in zip(figures(trained(tmp_path / "at once", variant, **changes)), apart, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert 0 < ours["label_use"] < 1


def test_batches_stay_apart_on_a_cpu_and_where_their_examples_are_compared() -> None:
    batches, comparing = [torch.zeros(2), torch.ones(2)], Recipe(minibatch_discrimination=3)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert join_batches(batches, Recipe(), cpu) is join_batches(batches, comparing, gpu) is batches
    (whole,) = join_batches(batches, Recipe(), gpu)
    assert whole.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("conditioning", ["generator", "auxiliary"])
@pytest.mark.parametrize("variant", ["cgan_mlp", "cgan_conv"])
def test_a_discriminator_that_is_blind_to_labels_has_label_use_one_half(
    tmp_path: Path, variant: str, conditioning: str
) -> None:
    run = trained(tmp_path, variant, conditioning=conditioning)
    assert [line["label_use"] for line in figures(run)] == [0.5, 0.5, 0.5]


def test_a_discriminator_learns_to_use_labels_of_which_it_is_not_told(tmp_path: Path) -> None:
    """I2, in 20 seconds of training or so on a real machine: here in a fraction of that."""
    run = trained(tmp_path, epochs=1, epoch_updates=150, discriminator_lr=2e-3)
    before, after = (line["label_use"] for line in figures(run))
    assert abs(before - 0.5) < 0.1
    assert after > 0.7


def test_examples_are_drawn_with_the_frequencies_of_the_test_images_in_whole_batches() -> None:
    data = tiny([0] * 50 + [1] * 50, [0] * 30 + [1] * 10)
    batches = draw_batches(data.train, data.test, 1000, LEARNING.with_({"batch_size": 8}), stream(0, "a"))
    assert [len(images) for images, _ in batches] == [8] * 5
    labels = torch.cat([condition for _, condition in batches])
    assert labels.bincount().tolist() == [30, 10]
    assert torch.equal(torch.cat([images for images, _ in batches])[:, 0, 0, 0].long(), labels)


def test_no_example_is_drawn_twice_and_other_streams_draw_others() -> None:
    data = load_dataset(DatasetConfig("digits"), None, 0)
    first, again, other = (
        torch.cat([images for images, _ in draw_batches(data.train, data.test, 300, LEARNING, stream(0, name))])
        for name in "aab"
    )
    assert len(first) == 300
    assert len(first.flatten(1).unique(dim=0)) == 300
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
