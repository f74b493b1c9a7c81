"""Loads published labelled images: the digits of scikit-learn, the MNIST family, CIFAR-10."""

import gzip
import hashlib
import io
import math
import os
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import REDUCIBLE, Classes, Dataset, Split, checksum_of, takes
from benchmarks.datasets.download import PIECE, Unreachable, download_file, md5_of, write_file
from variants.base import DataSpec
from variants.recipe import UserError

AGAINST_TEST = "against the {count:,} real test images, which no variant was trained on"
TEN_DIGITS = tuple("0123456789")

# Seconds to wait for an answer: for data that the user asked for, and for data that has a replacement.
PATIENCE, IMPATIENCE = 30.0, 8.0


class MissingData(UserError):
    """Tells that a published dataset is neither on disk nor can be downloaded. what: the sentence without advice."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; connect to a network, put that file there, or choose --dataset digits")
        self.what = what


def make_labelled(
    name: str,
    train: Split,
    test: Split,
    class_names: tuple[str, ...],
    *,
    reference: Split | None = None,
    reference_note: str = "",
    extractor: str = "",
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Makes a dataset of labelled images, whose reference is its test split by default."""
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
        notes=notes,
    )


@takes(*REDUCIBLE, seed=False)
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
    test = Split(images[testing], labels[testing])
    return make_labelled(
        "digits",
        Split(images[~testing], labels[~testing]),
        test,
        TEN_DIGITS,
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


@takes(*REDUCIBLE, seed=False)
def mnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """60,000 + 10,000 real digits, 28x28, grey (LeCun et al. 1998)"""
    return _load_mnist_family(MNIST, data_dir, PATIENCE)


@takes(*REDUCIBLE, seed=False)
def fashion_mnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """60,000 + 10,000 pieces of clothing, 28x28, grey (Xiao et al. 2017)"""
    return _load_mnist_family(FASHION_MNIST, data_dir, PATIENCE)


@takes(*REDUCIBLE, seed=False)
def kmnist(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """60,000 + 10,000 cursive Japanese characters, 28x28, grey (Clanuwat et al. 2018)"""
    return _load_mnist_family(KMNIST, data_dir, PATIENCE)


@takes(*REDUCIBLE, seed=False)
def auto(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """The default: mnist where it is on disk or can be downloaded, else digits, and it says so"""
    try:
        return _load_mnist_family(MNIST, data_dir, IMPATIENCE)
    except MissingData as error:
        note = f"THIS IS `digits`, NOT MNIST: 1,797 images of 8x8, whose figures are not MNIST's; for {error.what}"
        return replace(digits(config, data_dir, seed), notes=(note,))


@takes(*REDUCIBLE, seed=False)
def cifar10(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """50,000 + 10,000 photographs in 10 classes, 32x32, colour (Krizhevsky 2009)

    The binary version, because torchvision's version is read with pickle, which can run code from the file.
    """
    folder = data_dir / CIFAR10.folder
    training = [folder / f"data_batch_{number}.bin" for number in range(1, 6)]
    testing = folder / "test_batch.bin"
    missing = [path for path in (*training, testing) if not path.is_file()]
    if missing:
        archive = data_dir / CIFAR10_ARCHIVE
        _ensure_archive(CIFAR10, archive, CIFAR10.archives[CIFAR10_ARCHIVE], data_dir, PATIENCE)
        _unpack_cifar10(archive, missing)
    batches = [_read_cifar10_batch(path) for path in training]
    train = Split(torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches]))
    return make_labelled("cifar10", train, Split(*_read_cifar10_batch(testing)), CIFAR10.class_names)


@dataclass(frozen=True)
class PublishedFiles:
    """Describes a dataset as it is published."""

    # Its usual name.
    title: str
    # Its name on the command line.
    name: str
    # The folder of its files, below the data folder, as in torchvision.
    folder: str
    # Addresses, each a prefix of the files' names.
    mirrors: tuple[str, ...]
    # The MD5 of each published file.
    archives: Mapping[str, str]
    class_names: tuple[str, ...]
    # The MD5 of each unpacked file, where it is known.
    contents: Mapping[str, str] = field(default_factory=dict)
    # The folder of its archives below share/datasets, where a package of the system may install them.
    installed: str = ""


def _load_mnist_family(published: PublishedFiles, data_dir: Path, patience: float) -> Dataset:
    folder = data_dir / published.folder
    for archive, md5 in published.archives.items():
        path = folder / archive.removesuffix(".gz")
        if not path.is_file():
            packed = _installed(published, archive)
            if packed is None:
                packed = folder / archive
                _ensure_archive(published, packed, md5, data_dir, patience)
            with gzip.open(packed) as file:
                write_file(path, iter(lambda: file.read(PIECE), b""))
    train, test = (_read_idx_split(published, folder, part) for part in ("train", "t10k"))
    return make_labelled(published.name, train, test, published.class_names)


def _installed(published: PublishedFiles, archive: str) -> Path | None:
    """Finds an archive that a package of the system has installed, such as Debian's dataset-fashion-mnist.

    Packages pack their archives again, so only the unpacked contents can be checked; they are when they are read.
    """
    if published.installed:
        for share in (Path(sys.prefix, "share"), Path("/usr/share")):
            if (path := share / "datasets" / published.installed / archive).is_file():
                return path
    return None


def _ensure_archive(published: PublishedFiles, path: Path, md5: str, data_dir: Path, patience: float) -> None:
    """Downloads the archive unless it is there and is the published one."""
    if path.is_file() and md5_of(path) == md5:
        return
    try:
        download_file(path, [mirror + path.name for mirror in published.mirrors], md5, patience)
    except Unreachable as error:
        where, name = data_dir / published.folder, path.name
        raise MissingData(
            f"{published.title} is not complete in {where}: {name} could not be downloaded ({error})"
        ) from None


def _read_idx_split(published: PublishedFiles, folder: Path, part: str) -> Split:
    images, labels = (folder / f"{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    split = Split(_read_idx(published, images, 3)[:, None], _read_idx(published, labels, 1).long())
    if tuple(split.data.shape[1:]) != (1, 28, 28):
        raise _damaged(images, f"its images are {split.data.shape[2]}x{split.data.shape[3]}, not 28x28")
    if len(split.labels) != len(split):
        raise _damaged(labels, f"it has {len(split.labels)} labels for {len(split)} images")
    if len(split) and split.labels.max() >= len(published.class_names):
        raise _damaged(labels, f"it has a label above {len(published.class_names) - 1}")
    return split


def _read_idx(published: PublishedFiles, path: Path, axes: int) -> UInt8[Tensor, "..."]:
    """Reads an IDX file of unsigned bytes: two zeros, type, number of axes, their big-endian lengths, values."""
    start = 4 + 4 * axes
    with open(path, "rb") as file:
        header = file.read(start)
        if len(header) < start or header[:4] != bytes((0, 0, 8, axes)):
            raise _damaged(path, f"it does not begin as an IDX file of {axes} axes does")
        sizes = tuple(int.from_bytes(header[4 * axis : 4 * axis + 4]) for axis in range(1, axes + 1))
        length = os.fstat(file.fileno()).st_size - start
        if length != math.prod(sizes):
            raise _damaged(path, f"it should hold {math.prod(sizes):,} values and holds {length:,}")
        values = np.fromfile(file, dtype=np.uint8)
    known = published.contents.get(path.name)
    if known and _md5(header, values) != known:
        raise _damaged(path, "its MD5 is not that of the published file")
    return torch.from_numpy(values.reshape(sizes))


def _md5(*parts: bytes | np.ndarray) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _unpack_cifar10(archive: Path, missing: list[Path]) -> None:
    # Only files of these very names are read, so no name in the archive decides where anything is written.
    with tarfile.open(archive) as packed:
        for path in missing:
            content = packed.extractfile(f"{path.parent.name}/{path.name}")
            if content is None:
                raise _damaged(archive, f"there is no {path.name} in it")
            write_file(path, iter(lambda content=content: content.read(PIECE), b""))


def _read_cifar10_batch(path: Path) -> tuple[UInt8[Tensor, "images 3 32 32"], Int64[Tensor, " images"]]:
    """Reads a file of records: one byte of label, then 32x32 red, green and blue bytes."""
    length = path.stat().st_size
    if length == 0 or length % 3073:
        raise _damaged(path, f"its {length:,} bytes are not whole records of 3,073")
    records = torch.from_numpy(np.fromfile(path, dtype=np.uint8).reshape(-1, 3073))
    labels = records[:, 0].long()
    if labels.max() > 9:
        raise _damaged(path, "it has a label above 9")
    return records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), labels


def _damaged(path: Path, how: str) -> UserError:
    return UserError(f"{path} is damaged or only half there: {how}; delete it, and it will be downloaded again")


MNIST = PublishedFiles(
    title="MNIST",
    name="mnist",
    folder="MNIST/raw",
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    archives={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    contents={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    class_names=TEN_DIGITS,
)

FASHION_MNIST = PublishedFiles(
    title="Fashion-MNIST",
    name="fashion_mnist",
    folder="FashionMNIST/raw",
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    archives={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    contents={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    installed="fashion-mnist",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

KMNIST = PublishedFiles(
    title="KMNIST",
    name="kmnist",
    folder="KMNIST/raw",
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    archives={
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    },
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
)

CIFAR10_ARCHIVE = "cifar-10-binary.tar.gz"
CIFAR10 = PublishedFiles(
    title="CIFAR-10",
    name="cifar10",
    folder="cifar-10-batches-bin",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archives={CIFAR10_ARCHIVE: "c32a1d4ab5d03f1284b67883e8d87530"},
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
