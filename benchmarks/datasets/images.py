"""Loads the images that need no choice: the digits of scikit-learn, and `auto`, MNIST where it can be had."""

import gzip
import io
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Dataset, Split, takes
from benchmarks.datasets.download import IMPATIENCE, MissingData
from benchmarks.datasets.prepared import AGAINST_TEST, make_labelled
from benchmarks.datasets.published import (
    OPTIONS,
    TEN_DIGITS,
    check_size,
    load_published,
    mnist,
    name_resized,
    resize_array,
)
from variants.recipe import UserError


@takes(*OPTIONS, seed=False)
def auto(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """The default: mnist where it is on disk or can be downloaded, else digits, and it says so"""
    try:
        return load_published(mnist.row, config, data_dir, IMPATIENCE)
    except MissingData as error:
        note = f"THIS IS `digits`, NOT MNIST: 1,797 images of 8x8, whose figures are not MNIST's; for {error.what}"
        return replace(digits(config, data_dir, seed), notes=(note,))


@takes(*OPTIONS, seed=False)
def digits(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """1,797 real digits, 8x8, grey; comes with scikit-learn, so it needs no network

    Alpaydin & Kaynak 1998, the test part. Values 0 to 16 become 0 to 255, rounded. Split: with the images sorted by
    class, and within a class in the order of the file, every second one is for testing. This gives 899 for training and
    898 for testing, each class in its share to within one image; both splits keep the order of the file.

    The reference of the distribution metrics is the test split, which training never sees, so that a generator which
    repeats its training images is not nearer to it than real images are. The price is the bias of FID, proportional to
    one over the number of images: with 898 of them it is twice that of all 1,797.
    """
    images, labels = _read_digits()
    testing = torch.zeros(len(labels), dtype=torch.bool)
    testing[torch.argsort(labels, stable=True)[1::2]] = True
    own, size = tuple(images.shape[2:]), check_size("digits", config)
    if size and size != own:
        images = torch.from_numpy(np.stack([resize_array(image, size) for image in images.numpy()]))
    test = Split(images[testing], labels[testing])
    return make_labelled(
        "digits",
        Split(images[~testing], labels[~testing]),
        test,
        TEN_DIGITS,
        extractor=name_resized("digits", own, size or own),
        reference_note=AGAINST_TEST.format(count=len(test))
        + "; so few images make every FID larger, by an amount that falls as one over their number",
    )


def _read_digits() -> tuple[UInt8[Tensor, "images 1 8 8"], Int64[Tensor, " images"]]:
    # Importing sklearn.datasets takes two seconds, and reads this same file.
    package = find_spec("sklearn")
    if package is None or not package.origin:
        raise UserError("the digits come with scikit-learn, which is not installed; pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = np.loadtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", dtype=np.int64)
        values, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits  # a version that keeps its file elsewhere

        values, labels = load_digits(return_X_y=True)
    scaled = np.rint(values.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64))
