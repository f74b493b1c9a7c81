"""Classifiers are trained where none is pinned, once, and the same seed gives the same one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.datasets import Dataset, Split
from benchmarks.evaluation.classifiers import (
    PINNED_SEEDS,
    classifier_of,
    classifiers_of,
    classifiers_sha256,
    is_trained,
    jitter,
    label_views,
    list_caveats,
    make_views,
    train_classifier,
    train_extractor,
)
from benchmarks.evaluation.evaluator import Evaluator
from metrics.features import (
    load_extractor,
    read_extractor,
)
from variants.recipe import UserError


def quietly(sentence: str) -> None:
    """Says nothing."""


def test_jitter_moves_little_and_keeps_the_background() -> None:
    images = -torch.ones(64, 1, 28, 28)
    images[:, :, 10:18, 10:18] = 1
    moved = jitter(images, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, images)
    torch.testing.assert_close(moved[:, :, 0], images[:, :, 0])
    ink = (moved + 1).sum((1, 2, 3)) / (images + 1).sum((1, 2, 3))
    assert 0.75 < ink.min() < 1 < ink.max() < 1.3
    rows = torch.arange(28.0)[:, None]
    centres = ((moved + 1) * rows).sum((1, 2, 3)) / (moved + 1).sum((1, 2, 3))
    assert 0.5 < (centres - 13.5).abs().max() < 0.1 * 28


def test_training_is_the_same_twice_and_another_with_another_seed(digits: Dataset) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        train_classifier(digits.train.data, digits.train.labels, 10, seed, updates=5) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_few_updates_already_read_digits(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "digits-5.safetensors"
    told: list[str] = []
    extractor = train_extractor(digits, path, 5, 100, told.append)
    assert extractor.accuracy > 0.9
    assert extractor.seed == 5
    assert read_extractor(path).sha256 == extractor.sha256
    assert told[-1].startswith("update 100 of 100, loss ")


def test_data_without_a_pinned_classifier_get_one_at_first_use_and_keep_it(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    few = replace(digits, name="few", extractor="../../few digits", data_dir=tmp_path)
    assert not is_trained(few)
    first = classifier_of(few)
    assert is_trained(few)
    assert "few has no pinned classifier; one is trained now" in capsys.readouterr().err
    (kept,) = tmp_path.rglob("*.safetensors")
    assert kept.parent == tmp_path / "extractors"
    assert classifier_of(few).sha256 == first.sha256
    assert capsys.readouterr().err == ""
    assert [each.sha256 for each in classifiers_of(few)] == [first.sha256]
    kept.write_bytes(b"x")
    with pytest.raises(UserError, match="is damaged"):
        classifier_of(few)


def test_data_without_labels_have_no_classifier(digits: Dataset, tmp_path: Path) -> None:
    unlabelled = Split(digits.train.data)
    spec = replace(digits.spec, classes=None)
    dataset = replace(
        digits, name="grey", extractor="grey", train=unlabelled, test=unlabelled, spec=spec, data_dir=tmp_path
    )
    with pytest.raises(UserError, match="a classifier needs labelled images, and grey has none"):
        classifier_of(dataset)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 6)])
def test_the_views_of_an_image_are_its_symmetries(height: int, width: int) -> None:
    images = torch.arange(2 * 3 * height * width).reshape(2, 3, height, width)
    views = make_views(images)
    assert label_views(2).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    upright, first, second, third = views.split(2)
    assert torch.equal(upright, images)
    if height == width:
        assert torch.equal(first[0, 0], images[0, 0].T.flip(0))  # a quarter to the left
        assert torch.equal(second, images.flip((2, 3)))
        assert torch.equal(third[0, 0], images[0, 0].T.flip(1))
    else:
        assert torch.equal(first, images.flip((2, 3)))
        assert torch.equal(second, images.flip(3))
        assert torch.equal(third, images.flip(2))
    assert len({view.numpy().tobytes() for view in views}) == len(views)


@pytest.mark.long
@pytest.mark.parametrize("cut", [slice(None), slice(0, 6)])
def test_images_without_labels_are_judged_by_a_classifier_of_their_views(
    digits: Dataset, cut: slice, tmp_path: Path
) -> None:
    def unlabelled(split: Split) -> Split:
        return Split(split.data[:, :, cut].contiguous())

    spec = replace(digits.spec, classes=None, shape=tuple(unlabelled(digits.train).data.shape[1:]))
    train, test = unlabelled(digits.train), unlabelled(digits.test)
    bare = replace(
        digits, name="bare", extractor="bare", spec=spec, train=train, test=test, reference=test, modes=None,
        class_names=(), data_dir=tmp_path,
    )  # fmt: skip
    extractor = train_extractor(bare, tmp_path / "bare.safetensors", 0, 150, quietly)
    # Which way up a digit is: 1 and 0 look the same upside down, and chance is a quarter.
    assert extractor.accuracy > 0.5
    assert (extractor.classes, extractor.facts["task"]) == (4, "views")
    assert not {"classes", "modes", "labels"} & Evaluator(bare, 50, (extractor,)).facts
    (note,) = list_caveats(bare, (extractor,)) or ("",)
    assert "of the views of the test images" in note or extractor.accuracy > 0.9


def test_pinned_judges_come_in_the_order_of_their_seeds(digits: Dataset) -> None:
    assert [judge.seed for judge in classifiers_of(digits)] == list(PINNED_SEEDS)
    assert classifiers_of(replace(digits, extractor="")) == ()


def test_the_identity_of_the_judges_changes_with_each_of_them(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [load_extractor("digits", seed) for seed in PINNED_SEEDS]
    seen = set()
    for judges in (every, every[:1], every[:2], [replace(every[0], sha256="0" * 64), *every[1:]]):
        monkeypatch.setattr(
            "benchmarks.evaluation.classifiers.classifiers_of", lambda dataset, judges=judges: tuple(judges)
        )
        seen.add(classifiers_sha256(digits))
    assert len(seen) == 4
    assert every[0].sha256 in seen
    monkeypatch.setattr("benchmarks.evaluation.classifiers.classifiers_of", lambda dataset: ())
    assert classifiers_sha256(digits) == ""
