"""Samples that anything made: read the same from every form in which they can be given, and judged as a run's are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets import Dataset, load
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.given import (
    NO_LABELS,
    GivenSamples,
    judge_samples,
    name_class_folders,
    read_samples,
)
from variants import UserError

COUNT = 60


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DatasetConfig("digits"))


@pytest.fixture
def pixels(digits: Dataset) -> np.ndarray:
    """Real images, uint8 (COUNT, 1, 8, 8)."""
    return digits.test.data[:COUNT].numpy()


def write_folder(root: Path, pixels: np.ndarray, names: list[str] | None = None, ending: str = "png") -> None:
    """Writes numbered images; names: of the class folder of each."""
    for number, image in enumerate(pixels):
        folder = root / names[number] if names else root
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(folder / f"{number:05d}.{ending}", quality=100)


SAVED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int | None]] = {
    "channels first": (lambda pixels: pixels, None),
    "channels last": (lambda pixels: np.moveaxis(pixels, 1, -1), None),
    "grey": (lambda pixels: pixels[:, 0], None),
    "in the order of Fortran": (np.asfortranarray, None),
    "floats from -1": (lambda pixels: (pixels / 127.5 - 1).astype(np.float32), None),
    "said to be from -1": (lambda pixels: (pixels / 127.5 - 1).astype(np.float64), -1),
    "floats from 0": (lambda pixels: pixels.astype(np.float32) / 255, 0),
    "of another byte order": (lambda pixels: (pixels / 127.5 - 1).astype(">f8"), None),
}


@pytest.mark.parametrize("form", SAVED)
def test_an_array_of_any_layout_and_range_gives_the_same_images(
    form: str, digits: Dataset, pixels: np.ndarray, own_folder: Path
) -> None:
    change, black = SAVED[form]
    np.save("images.npy", change(pixels))
    given = read_samples(Path("images.npy"), digits, black=black)
    torch.testing.assert_close(given.images, digits.test.images(slice(COUNT)), rtol=0, atol=1e-6)
    assert given.labels is None
    said = {-1: "taken as [-1, 1]", 0: "taken as [0, 1]", None: "taken as [-1, 1]" if "float" in form else ""}
    assert all(said[black] in note for note in given.notes)
    assert len(given.notes) == (change(pixels).dtype.kind == "f")


# JPEG rounds the coefficients of a transform: a pixel may be some levels off.
@pytest.mark.parametrize(("ending", "levels"), [("png", 0), ("bmp", 0), ("jpg", 4)])
def test_a_folder_gives_the_images_in_the_order_of_their_names_whatever_their_class(
    ending: str, levels: int, digits: Dataset, pixels: np.ndarray, own_folder: Path
) -> None:
    labels = digits.test.labels[:COUNT]
    write_folder(Path("all"), pixels, ending=ending)
    write_folder(Path("classes"), pixels, [str(label) for label in labels.tolist()], ending)
    np.save("labels.npy", labels.numpy().astype(np.uint8))
    for given in (
        read_samples(Path("classes"), digits),
        read_samples(Path("all"), digits, Path("labels.npy")),
    ):
        torch.testing.assert_close(given.images, digits.test.images(slice(COUNT)), rtol=0, atol=levels / 127.5)
        assert torch.equal(given.labels, labels)
    assert read_samples(Path("all"), digits).labels is None


def test_class_folders_have_the_names_of_classes_or_their_numbers(
    digits: Dataset, pixels: np.ndarray, own_folder: Path
) -> None:
    names = ("T-shirt/top", *(f"class {label}" for label in range(1, 10)))
    named = replace(digits, class_names=names)
    write_folder(Path("named"), pixels[:4], ["class 2", "T-shirt-top", "class 9", "class 2"])
    write_folder(Path("numbered"), pixels[:4], ["2", "0", "9", "2"])
    for folder in ("named", "numbered"):
        assert read_samples(Path(folder), named).labels.tolist() == [2, 0, 9, 2]
    write_folder(Path("strange"), pixels[:4], ["class 2", "T-shirt-top", "8", "class 2"])
    with pytest.raises(UserError, match=r"^the folder 8 in strange has the name of no class of digits, which are T-sh"):
        read_samples(Path("strange"), named)


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (("a/b", "..", "c"), ["0", "1", "2"]),
        (("a/b", "a?b", "c"), ["0", "1", "2"]),
        (("A", "a", "c"), ["0", "1", "2"]),
        (("one", "two"), ["0", "1", "2"]),
        (("../x", "Größe 1", ".c."), ["-x", "Größe 1", "c"]),
    ],
)
def test_the_folder_of_a_class_leads_nowhere_else_and_is_its_own(names: tuple[str, ...], folders: list[str]) -> None:
    assert name_class_folders(names, 3) == folders


def as_a_generator(images: Tensor) -> Callable[[Tensor | None, int], Tensor]:
    parts = iter(images)
    return lambda condition, count: torch.stack([next(parts) for _ in range(count)])


@pytest.mark.parametrize(
    "dataset", ["digits", "captions_digits", pytest.param("stacked_digits", marks=pytest.mark.long), "ring8"]
)
def test_given_samples_have_the_figures_of_a_generator_that_makes_them(dataset: str) -> None:
    data = load(DatasetConfig(dataset))
    evaluator = Evaluator(data, COUNT)
    chosen = data.train.images(torch.arange(COUNT))
    labelled = data.reference.labels is not None
    expected = evaluator.evaluate(as_a_generator(chosen), conditional=labelled)
    absent = dict(evaluator.absent)
    real = evaluator.measure_real_data(final=False)

    conditions = evaluator._conditions(data.reference, evaluator.chosen) if labelled else (None, None)
    found = judge_samples(GivenSamples(chosen, *conditions), data, thorough=False)
    assert len(expected) > 5
    assert found.metrics == expected
    assert found.absent == absent
    assert (found.real_data, found.real_data_note) == (real, evaluator.real_data_note)
    assert any(name.startswith("caption_") for name in found.metrics) == (dataset == "captions_digits")


def test_captions_are_the_labels_of_a_dataset_that_has_them(own_folder: Path) -> None:
    data = load(DatasetConfig("captions_digits"))
    np.save("images.npy", data.test.data[:COUNT].numpy())
    np.save("captions.npy", data.test.tokens[:COUNT].numpy())
    given = read_samples(Path("images.npy"), data, Path("captions.npy"))
    assert torch.equal(given.labels, data.test.labels[:COUNT])
    assert torch.equal(given.tokens, data.test.tokens[:COUNT])
    np.save("captions.npy", data.test.tokens[:COUNT].flip(1).numpy())
    with pytest.raises(UserError, match=r"^captions.npy holds captions that captions_digits has not: each has one"):
        read_samples(Path("images.npy"), data, Path("captions.npy"))


def test_without_labels_the_metrics_of_labels_are_absent_with_the_reason(digits: Dataset) -> None:
    found = judge_samples(GivenSamples(digits.train.images(torch.arange(COUNT))), digits, thorough=False)
    assert {name for name, why in found.absent.items() if why == NO_LABELS} == {"accuracy", "accuracy_class"}
    assert "fid" in found.metrics
    assert not any("accuracy" in name for name in found.metrics)
    assert "accuracy" in found.real_data


def test_what_few_images_cannot_show_is_absent_with_the_reason(digits: Dataset) -> None:
    found = judge_samples(GivenSamples(digits.train.images(torch.arange(2)), torch.tensor([0, 1])), digits)
    assert found.absent.keys() >= {"copies", "memorization"} - found.metrics.keys()
    assert found.absent
    assert all(why for why in found.absent.values())
    assert all(name in found.metrics or name in found.absent for name in ("fid", "kid", "precision", "gan_train"))
