"""Labelled images that are published: the digits of scikit-learn, the MNIST family, CIFAR-10."""

import gzip
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Classes, Dataset, Split, checksum_of, takes
from variants.base import DataSpec
from variants.recipe import Refused

AGAINST_TEST = "against the {count:,} real test images, which no variant was trained on"
TEN_DIGITS = tuple("0123456789")


def labelled(
    name: str,
    train: Split,
    test: Split,
    class_names: tuple[str, ...],
    *,
    reference: Split | None = None,
    reference_note: str = "",
    extractor: str = "",
) -> Dataset:
    """A dataset of labelled images, judged against its test split unless told otherwise."""
    classes = len(class_names)
    return Dataset(
        name=name,
        spec=DataSpec(tuple(train.data.shape[1:]), bounded=True, classes=classes),
        train=train,
        test=test,
        reference=reference or test,
        reference_note=reference_note or AGAINST_TEST.format(count=len(test)),
        modes=Classes(classes),
        class_names=class_names,
        checksum=checksum_of(train, test),
        extractor=extractor or name,
    )


@takes()
def digits(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """1,797 real digits, 8x8, grey; comes with scikit-learn, so it needs no network

    Alpaydin & Kaynak 1998, the test part. Values 0 to 16 become 0 to 255, rounded. Split: with the images put in order
    of their class, and within a class of the file, every fifth of that sequence, from the first on, is for testing.
    This gives 1,437 for training and 360 for testing, each class in its share to within one image; both splits keep the
    order of the file.

    Protocol of the distribution metrics: the reference is all 1,797 images, training ones too. The bias of FID falls
    as one over the number of images, and against 360 of them alone it is as large as a whole GAN's FID; so memorising
    is not seen by FID here and is measured on its own.
    """
    images, labels = _bundled_digits()
    testing = torch.zeros(len(labels), dtype=torch.bool)
    testing[torch.argsort(labels, stable=True)[::5]] = True
    return labelled(
        "digits",
        Split(images[~testing], labels[~testing]),
        Split(images[testing], labels[testing]),
        TEN_DIGITS,
        reference=Split(images, labels),
        reference_note="against all 1,797 real images, training ones included: 360 test images alone are too few for FID",
    )


def _bundled_digits() -> tuple[UInt8[Tensor, "images 1 8 8"], Int64[Tensor, " images"]]:
    # Importing sklearn.datasets costs two seconds and reads this same file; so it is found without importing sklearn.
    package = find_spec("sklearn")
    if package is None or not package.origin:
        raise Refused("the digits come with scikit-learn, which is not installed; pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = np.loadtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", dtype=np.int64)
        values, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits  # a version that keeps its file elsewhere

        values, labels = load_digits(return_X_y=True)
    scaled = np.rint(values.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64))


@takes()
def mnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """60,000 + 10,000 real digits, 28x28, grey (LeCun et al. 1998)"""
    raw = data_dir / "MNIST" / "raw"
    train, test = (
        Split(_idx(raw / f"{part}-images-idx3-ubyte", 3)[:, None], _idx(raw / f"{part}-labels-idx1-ubyte", 1).long())
        for part in ("train", "t10k")
    )
    return labelled("mnist", train, test, TEN_DIGITS)


def _idx(path: Path, axes: int) -> Tensor:
    content = np.fromfile(path, dtype=np.uint8)
    sizes = content[4 : 4 + 4 * axes].view(">i4")
    return torch.from_numpy(content[4 + 4 * axes :].reshape(tuple(sizes)))


@takes()
def auto(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """mnist where it is on disk or can be downloaded, else digits, and it says so"""
    return mnist(config, data_dir, seed)
