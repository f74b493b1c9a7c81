"""Small datasets in the published formats, written for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets import images

TRAIN, TEST = 120, 40
FAMILY = {"mnist": "MNIST", "fashion_mnist": "FASHION_MNIST", "kmnist": "KMNIST"}


def write_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes every dataset that has files into a data folder; a folder of images is called own."""
    for name in FAMILY.values():
        monkeypatch.setattr(images, name, replace(getattr(images, name), contents={}))
    for number, name in enumerate(FAMILY.values()):
        write_mnist_family(root / getattr(images, name).folder, seed=number)
    write_cifar10(root / images.CIFAR10.folder)
    write_folder(root / "own")


def write_idx(path: Path, values: np.ndarray) -> None:
    """An IDX file of unsigned bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(length.to_bytes(4, "big") for length in values.shape)
    path.write_bytes(bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes())


def write_mnist_family(raw: Path, seed: int) -> None:
    """The four files of a dataset like MNIST: strokes of random place, width and slant, with random labels."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:28, :28]
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        place, width, slant = random.uniform(10, 18, count), random.uniform(1, 4, count), random.normal(0, 0.3, count)
        middle = place[:, None, None] - slant[:, None, None] * (down - 14)
        stroke = (abs(across - middle) < width[:, None, None]) & (abs(down - 14) < 10)
        write_idx(raw / f"{part}-images-idx3-ubyte", stroke * random.integers(128, 256, (count, 28, 28)))
        write_idx(raw / f"{part}-labels-idx1-ubyte", random.permutation(np.arange(count) % 10))


def write_cifar10(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The six files of CIFAR-10's binary version; returns the pixels and labels of each."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    written = {}
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        pixels = random.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
        labels = random.integers(0, 10, 12, dtype=np.uint8)
        (folder / name).write_bytes(np.concatenate([labels[:, None], pixels.reshape(12, -1)], axis=1).tobytes())
        written[name] = pixels, labels
    return written


def write_folder(root: Path, classes: tuple[str, ...] = ("cats", "dogs"), count: int = 16, mode: str = "RGB") -> None:
    """PNG images of random pixels, one subfolder a class."""
    random = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (20, 24) if mode == "L" else (20, 24, 3)
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(root / name / f"{index}.png")
