"""The command evaluate: prints and writes every figure, and refuses in one sentence what it cannot judge."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.evaluate import main as command
from tests.conftest import Done

COUNT = 40


@pytest.fixture
def real(own_folder: Path) -> np.ndarray:
    """Real digits, uint8 (COUNT, 1, 8, 8); their labels are in labels.npy."""
    data = load(DatasetConfig("digits"))
    np.save("labels.npy", data.train.labels[:COUNT].numpy())
    return data.train.data[:COUNT].numpy()


def test_the_command_prints_what_it_writes(real: np.ndarray, called: Callable[..., Done]) -> None:
    np.save("images.npy", real)
    words = ["images.npy", "--against", "digits", "--quick-metrics"]
    done = called(command, *words, "--labels", "labels.npy", "--json", "new/figures.json")
    assert (done.code, done.err) == (0, "")
    figures = json.loads(Path("new/figures.json").read_text())
    assert (figures["samples"], figures["labels"], figures["against"]) == (COUNT, True, {"name": "digits"})
    for name, value in figures["metrics"].items():
        row = next(line for line in done.out.splitlines() if re.search(rf"[│|] {name} ", line))
        assert f" {value:.4g} " in row
        assert name not in figures["real_data"] or f" {figures['real_data'][name]:.4g} " in row
    assert figures["metrics"]["accuracy"] > 0.9
    assert "wrote new/figures.json\n" in done.out
    without = called(command, *words)
    assert "not measured: accuracy, accuracy_class: no labels were given for the images\n" in without.out
    assert "accuracy_class_0" not in without.out


def test_a_folder_of_images_is_judged_against_another_one(
    called: Callable[..., Done], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    random = np.random.default_rng(0)
    for folder in ("real", "made"):
        for label in ("cat", "dog"):
            Path(folder, label).mkdir(parents=True)
            for number in range(10):
                pixels = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(Path(folder, label, f"{number}.png"))
    words = ["--image-size", "8x12", "--quick-metrics", "--json", "figures.json"]
    done = called(command, "made", "--against", "real", *words)
    assert done.code == 0, done.err
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["samples"], figures["labels"]) == (20, True)
    assert figures["against"] == {"name": "folder:real", "image_size": "8x12"}
    assert figures["metrics"].keys() >= {"fid", "accuracy_class_1"}


class Trap:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


def folder_with(*names: str, size: tuple[int, int] = (8, 8), colour: str = "") -> Callable[[np.ndarray], None]:
    def make(real: np.ndarray) -> None:
        for name in names:
            path = Path("images", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, colour or "grey").save(path)

    return make


def array(change: Callable[[np.ndarray], Any], **rest: Any) -> Callable[[np.ndarray], None]:
    return lambda real: np.save("images.npy", change(real), **rest)


def labels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], None]:
    def make(real: np.ndarray) -> None:
        np.save("images.npy", real)
        np.save("labels.npy", change(np.load("labels.npy")))

    return make


def with_nan(real: np.ndarray) -> np.ndarray:
    floats = (real / 127.5 - 1).astype(np.float32)
    floats[3, 0, 2, 2], floats[5, 0, 0, 0] = np.nan, np.inf
    return floats


def empty(real: np.ndarray) -> None:
    Path("images").mkdir()


def of_bytes(data: bytes) -> Callable[[np.ndarray], None]:
    return lambda real: Path("images.npy").write_bytes(data) and None


@pytest.mark.parametrize(
    ("make", "words", "sentence"),
    [
        (empty, "images", "images has no images; an evaluation needs at least 2"),
        (folder_with("0.png"), "images", "images has 1 image; an evaluation needs at least 2"),
        (
            folder_with("0.png", "1.png", size=(9, 8)),
            "images",
            "images/0.png has 8x9 pixels, and 8x8 are needed; nothing is resized here, which would change the figures: "
            "resize it, or choose another --image-size",
        ),
        (
            folder_with("0.png", "1.png", colour="red"),
            "images",
            "images/0.png is in colour, and the images of digits are grey",
        ),
        (
            folder_with("0.png", "1/1.png"),
            "images",
            "images has 1 image beside 1 folder; images lie in it, or in a folder for each class",
        ),
        (
            folder_with("cat/0.png", "cat/1.png"),
            "images",
            "the folder cat in images has the name of no class of digits, which are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; "
            "rename it, or put all images into one folder, for samples without labels",
        ),
        (
            folder_with("1/0.png", "1/1.png"),
            "images --against stacked_digits",
            "images has 1 folder, and the images of stacked_digits have no labels; put all images into one folder",
        ),
        (
            folder_with("1/0.png", "1/1.png"),
            "images --labels labels.npy",
            "images has a folder for each class, so --labels is not read; leave it out",
        ),
        (
            folder_with("0.png", "1.png"),
            "images --against ring8",
            "ring8 has points of the plane; give them as a .npy file of floats (n, 2)",
        ),
        (
            folder_with("0.png", "1.png"),
            "images --black 0",
            "--black is for floats, and images is a folder of image files; leave it out",
        ),
        (empty, "nowhere", "there is no folder or .npy file nowhere"),
        (
            array(lambda real: real[:, :, :7]),
            "images.npy",
            "images.npy holds an array of shape (40, 1, 7, 8), and digits has (n, 1, 8, 8) or (n, 8, 8, 1) or "
            "(n, 8, 8); nothing is resized here, but --image-size resizes the dataset",
        ),
        (
            array(lambda real: real.repeat(3, axis=1)),
            "images.npy",
            "images.npy holds an array of shape (40, 3, 8, 8), and digits has (n, 1, 8, 8) or (n, 8, 8, 1) or "
            "(n, 8, 8); nothing is resized here, but --image-size resizes the dataset",
        ),
        (array(lambda real: real[:0]), "images.npy", "images.npy has no samples; an evaluation needs at least 2"),
        (array(lambda real: real[:1]), "images.npy", "images.npy has 1 sample; an evaluation needs at least 2"),
        (
            array(with_nan),
            "images.npy",
            "2 of the 40 samples in images.npy have values that are not finite",
        ),
        (
            array(lambda real: real.astype(np.int64)),
            "images.npy",
            "images.npy holds int64; uint8, from 0 to 255, or floats are needed",
        ),
        (
            array(lambda real: real.astype(np.float32)),
            "images.npy",
            "the values in images.npy go from 0 to 255; floats are in [-1, 1], or in [0, 1] with --black 0",
        ),
        (
            array(lambda real: real / 127.5 - 1),
            "images.npy --black 0",
            "the values in images.npy go from -1 to 1; floats are in [0, 1]",
        ),
        (
            array(lambda real: real / 255),
            "images.npy",
            "no value in images.npy is below 0, so that its black could be 0 or -1; say which: --black 0 for images in "
            "[0, 1], --black -1 for images in [-1, 1]",
        ),
        (
            array(lambda real: real),
            "images.npy --black 0",
            "--black is for images of floats, and images.npy holds uint8, from 0 to 255; leave it out",
        ),
        (array(lambda real: real), "images.npy --black 2", "--black is -1 or 0, not 2"),
        (array(lambda real: real), "images.npy --seed -1", "--seed is at least 0, not -1"),
        (
            array(lambda real: real),
            "images.npy --extractor incepton",
            "unknown extractor 'incepton'; did you mean 'inception'? (it is inception)",
        ),
        (
            array(lambda real: np.array([Trap(), Trap()]), allow_pickle=True),
            "images.npy",
            "images.npy is not a .npy file of numbers (Array can't be memory-mapped: Python objects in dtype.)",
        ),
        (of_bytes(b"GIF89a"), "images.npy", "images.npy is not a .npy file of numbers ("),
        (of_bytes(b""), "images.npy", "images.npy is not a .npy file of numbers ("),
        (
            labels(lambda known: known[:-1]),
            "images.npy --labels labels.npy",
            "labels.npy holds labels of shape (39,), and (40,) are needed for 40 samples",
        ),
        (
            labels(lambda known: known + 1),
            "images.npy --labels labels.npy",
            "the labels in labels.npy go from 1 to 10; they are from 0 to 9",
        ),
        (
            labels(lambda known: known - 1),
            "images.npy --labels labels.npy",
            "the labels in labels.npy go from -1 to 8; they are from 0 to 9",
        ),
        (
            labels(lambda known: known.astype(np.float32)),
            "images.npy --labels labels.npy",
            "labels.npy holds float32; labels are whole numbers",
        ),
        (labels(lambda known: known), "images.npy --labels none.npy", "there is no file none.npy"),
        (array(lambda real: real), "images.npy --against digit", "unknown dataset 'digit'; did you mean 'digits'?"),
        (
            array(lambda real: real[:, 0, :1, :2] / 1),
            "images.npy --against ring8 --labels labels.npy",
            "images.npy holds an array of shape (40, 1, 2), and ring8 has (n, 2)",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(
    make: Callable[[np.ndarray], None], words: str, sentence: str, real: np.ndarray, called: Callable[..., Done]
) -> None:
    make(real)
    against = [] if "--against" in words else ["--against", "digits"]
    done = called(command, *words.split(), *against, "--json", "figures.json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {sentence}")
    assert done.err.count("\n") == 1
    assert not Path("figures.json").exists()
    assert not Path("unpickled").exists()


def test_the_trap_would_have_shut(real: np.ndarray) -> None:
    np.save("images.npy", np.array([Trap()]), allow_pickle=True)
    np.load("images.npy", allow_pickle=True)
    assert Path("unpickled").exists()
