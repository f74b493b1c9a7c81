"""Loads published images through torchvision, which downloads and reads them: one table row a dataset.

What torchvision takes on trust is checked here, before anything is unpickled or trained: the MD5 of every file where it
is known, the images' shape, and the labels' range. The prepared images are kept (`prepared.py`), so that a second start
does not import torchvision, which takes seconds.
"""

import gzip
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import REDUCIBLE, Dataset, takes
from benchmarks.datasets.decoding import read_images, resize
from benchmarks.datasets.download import PATIENCE, MissingData, bring, md5_of
from benchmarks.datasets.prepared import (
    PART,
    Allocate,
    Images,
    describe_files,
    let_go,
    make_dataset,
    make_key,
    prepare,
    progress,
)
from metrics.features import SMALLEST_MAP
from variants.recipe import UserError

TEN_DIGITS = tuple("0123456789")
LARGEST_SIDE = 128
# Where packages of the system, such as Debian's dataset-fashion-mnist, install datasets.
SHARES = Path(sys.prefix, "share"), Path("/usr/share")
OPTIONS = ("image_size", *REDUCIBLE)


class Part(NamedTuple):
    """Holds the training or the test images as torchvision gives them."""

    # uint8 (images, channels, height, width), or the paths of files.
    pixels: np.ndarray | Sequence[str]
    # Whole numbers from 0, (images,).
    labels: np.ndarray
    # The files that hold the pixels and the labels, for messages.
    sources: tuple[Path, Path]
    # The names of the classes where the files, or torchvision, tell them.
    class_names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.pixels)


Table = Mapping[str, str]


@dataclass(frozen=True)
class Published:
    """Describes how a dataset is published, and how torchvision reads it. Paths are relative to `root`."""

    # Its name on the command line.
    name: str
    # One line for --list.
    summary: str
    # Its usual name.
    title: str
    # The name of its class in torchvision.datasets.
    kind: str
    # Arguments of that class, for training and for testing.
    arguments: tuple[Mapping[str, Any], Mapping[str, Any]]
    # Files and folders that are read, for training and for testing; in each, pixels come first and labels last.
    files: tuple[tuple[str, ...], tuple[str, ...]]
    # (channels, height, width) of the images here, if no other size is asked for.
    shape: tuple[int, int, int]
    # Reads one of the two parts; gets this row, the folder, and which part.
    read: "Callable[[Published, Path, int], Part]"
    # Returns the MD5 of each archive, given the class; a class that cannot be downloaded has none.
    archives: Callable[[Any], Table] = field(default=lambda kind: {})
    # () where the files or torchvision tell them.
    class_names: tuple[str, ...] = ()
    # Returns the MD5 of each file that is read, where it is known, given the class.
    contents: Callable[[Any], Table] = field(default=lambda kind: {})
    # A folder below the data folder, for a class that puts its files into none of its own.
    root: str = ""
    # A folder below share/datasets with its packed files, where a package of the system may have installed them.
    installed: str = ""
    # Where to get it, for a class that cannot be downloaded.
    address: str = ""

    @property
    def all_files(self) -> tuple[str, ...]:
        """All files and folders that are read, once each."""
        return tuple(dict.fromkeys(self.files[0] + self.files[1]))

    def torchvision(self) -> Any:
        """Returns its class in torchvision."""
        from torchvision import datasets

        return getattr(datasets, self.kind)


def load_published(row: Published, config: DatasetConfig, data_dir: Path, patience: float = PATIENCE) -> Dataset:
    """Loads a published dataset; downloads and prepares it at its first use.

    patience: seconds without a new byte until a download is given up. Raises MissingData if it is neither there nor can
    be downloaded, and UserError for damaged files and for sizes out of range.
    """
    size = check_size(row.name, config) or row.shape[1:]
    root = data_dir / row.root
    if any(not (root / name).exists() for name in row.all_files):
        _fetch(row, root, patience)
    name = name_resized(row.name, row.shape[1:], size)
    key = make_key(name, size, [_describe(root / file) for file in row.all_files])
    images = prepare(data_dir / "prepared" / name, key, partial(_read, row, root, size))
    return make_dataset(row.name, images, extractor=name)


def check_size(name: str, config: DatasetConfig) -> tuple[int, int] | None:
    """Returns the size that a config asks for, or None. Raises UserError for one that the classifier cannot take."""
    if config.size and not all(SMALLEST_MAP <= side <= LARGEST_SIDE for side in config.size):
        asked = config.options()["image_size"]
        raise UserError(f"--image-size of {name} is {SMALLEST_MAP} to {LARGEST_SIDE}, not {asked}")
    return config.size


def name_resized(name: str, own: tuple[int, int], size: tuple[int, int]) -> str:
    """Names a dataset's classifier and its prepared images; resized images have others than the published ones."""
    return name if size == tuple(own) else f"{name}-{size[0]}x{size[1]}"


def _fetch(row: Published, root: Path, patience: float) -> None:
    """Unpacks the files that a package of the system has installed, else downloads them."""
    if (share := _find_installed(row)) is not None:
        bring(partial(_unpack_installed, row, share), root, {}, row.all_files, row.title, patience)
        return
    kind = row.torchvision()
    archives = row.archives(kind)
    if not archives:
        missing = next(root / name for name in row.all_files if not (root / name).exists())
        raise MissingData(f"{row.title} is not complete: there is no {missing}", f"get it from {row.address}")

    def download(folder: Path) -> None:
        for arguments in row.arguments:
            kind(folder, download=True, **arguments)

    bring(download, root, archives, row.all_files, row.title, patience)


def _find_installed(row: Published) -> Path | None:
    if row.installed:
        for share in SHARES:
            folder = share / "datasets" / row.installed
            if all((folder / f"{Path(name).name}.gz").is_file() for name in row.all_files):
                return folder
    return None


def _unpack_installed(row: Published, share: Path, folder: Path) -> None:
    # Packages pack their archives again, so only the contents have the MD5 of the published ones.
    contents = row.contents(None)
    for name in row.all_files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(packed := share / f"{Path(name).name}.gz") as source, open(folder / name, "wb") as target:
            shutil.copyfileobj(source, target)
        if md5_of(folder / name) != contents[name]:
            raise UserError(f"{packed} does not hold the published file: the MD5 differs")


def _describe(path: Path) -> list[tuple[str, int, int]]:
    if not path.is_dir():
        return describe_files([path])
    found = (entry for folder, _, _ in os.walk(path) for entry in os.scandir(folder) if entry.is_file())
    return sorted((entry.path[len(str(path)) :], (stat := entry.stat()).st_size, stat.st_mtime_ns) for entry in found)


def _read(row: Published, root: Path, size: tuple[int, int], allocate: Allocate) -> Images:
    kind = row.torchvision()
    for name, md5 in row.contents(kind).items():
        if md5_of(root / name) != md5:
            raise _damaged(root / name, "its MD5 is not that of the published file")
    parts = [row.read(row, root, which) for which in (0, 1)]
    names = row.class_names or parts[0].class_names
    for part in parts:
        _check(row, part, len(names))
    count = sum(part.count for part in parts)
    data, done = allocate((count, row.shape[0], *size)), 0
    with progress(f"preparing {row.title}", count) as advance:
        for image in (image for part in parts for image in _blocks(row, part, size)):
            data[done : done + len(image)] = image
            done += len(image)
            advance(len(image))
            if done % PART < len(image):
                let_go(data)
    labels = np.concatenate([part.labels for part in parts]).astype(np.int64)
    return Images(data, labels, parts[0].count, names)


def _check(row: Published, part: Part, classes: int) -> None:
    """Raises UserError for images of another shape, and for labels that do not fit."""
    pixels, labels = part.sources
    if isinstance(part.pixels, np.ndarray) and (part.pixels.shape[1:] != row.shape or part.pixels.dtype != np.uint8):
        wanted, found = ("x".join(map(str, shape[::-1])) for shape in (row.shape, part.pixels.shape[1:]))
        raise _damaged(pixels, f"its images are {found}, not {wanted}")
    if not part.count:
        raise _damaged(pixels, "it has no images")
    if part.labels.shape != (part.count,):
        raise _damaged(labels, f"it has {part.labels.size} labels for {part.count} images")
    if part.labels.min() < 0 or part.labels.max() >= classes:
        raise _damaged(labels, f"it has a label that is none of the {classes} classes")


def _blocks(row: Published, part: Part, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields images in their order and in this size, as uint8 (images, channels, height, width)."""
    if not isinstance(part.pixels, np.ndarray):
        for image in read_images(part.pixels, size):
            yield image.transpose(2, 0, 1)[None, : row.shape[0]]
    elif size == row.shape[1:]:
        for start in range(0, part.count, PART):
            yield part.pixels[start : start + PART]
    else:
        for image in part.pixels:
            yield resize_array(image, size)[None]


def resize_array(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crops and resizes one uint8 image of (channels, height, width), grey or in colour."""
    grey = len(image) == 1
    resized = resize(Image.fromarray(np.ascontiguousarray(image[0] if grey else image.transpose(1, 2, 0))), size)
    return resized[None] if grey else resized.transpose(2, 0, 1)


def _damaged(path: Path, how: str) -> UserError:
    return UserError(f"{path} is damaged or only half there: {how}; delete it, and it will be downloaded again")


# ---- how the parts are read


def _read_idx(row: Published, root: Path, which: int) -> Part:
    """Reads IDX files: images (images, height, width), and labels (images,) or, of QMNIST, (images, 8)."""
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    found = []
    for name, axes in zip(row.files[which], ((3,), (1, 2)), strict=True):
        try:
            values = read_sn3_pascalvincent_tensor(str(root / name)).numpy()
        except Exception as error:  # the reader asserts, and lets torch's own errors through
            raise _damaged(root / name, f"it is no whole IDX file{_because(error)}") from None
        if values.ndim not in axes:
            raise _damaged(root / name, f"it has {values.ndim} axes, not {axes[0]}")
        found.append(values)
    images, labels = found
    images = images.transpose(0, 2, 1) if row.kind == "EMNIST" else images  # which is published with its axes swapped
    labels = labels[:, 0] if labels.ndim == 2 else labels  # QMNIST's first column is the digit
    pixels, names = (root / name for name in row.files[which])
    return Part(images[:, None], labels, (pixels, names), tuple(_list_classes(row)))


def _list_classes(row: Published) -> Sequence[str]:
    kind = row.torchvision()
    return kind.classes_split_dict[row.arguments[0]["split"]] if row.kind == "EMNIST" else kind.classes


def _read_object(row: Published, root: Path, which: int) -> Part:
    """Reads the arrays of one of torchvision's objects, with colours last or first."""
    files = [root / name for name in row.files[which]]
    kind = row.torchvision()
    if row.kind == "STL10":
        # Training needs no unlabelled images: 2.7 GB, which would be read to check them.
        kind = type(kind.__name__, (kind,), {"train_list": kind.train_list[:2]})
    try:
        read = kind(root, **row.arguments[which])
        pixels = np.asarray(read.data)
        labels = np.asarray(read.targets if hasattr(read, "targets") else read.labels)
    except Exception as error:  # each format has errors of its own
        raise _damaged(files[0], f"it cannot be read as {row.title}{_because(error)}") from None
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.ndim == 4 and pixels.shape[1] != 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return Part(pixels, labels, (files[0], files[-1]), tuple(getattr(read, "classes", ())))


def _read_celeba(row: Published, root: Path, which: int) -> Part:
    """Reads the lists of CelebA. Its classes are made of two attributes: 2 x man + smiling."""
    images, attributes = root / row.files[which][0], root / row.files[which][-1]
    try:
        read = row.torchvision()(root, **row.arguments[which])
        man, smiling = (read.attr[:, read.attr_names.index(name)] for name in ("Male", "Smiling"))
        labels = (2 * man + smiling).numpy()
    except Exception as error:
        raise _damaged(attributes, f"it cannot be read as {row.title}{_because(error)}") from None
    return Part([os.path.join(images, name) for name in read.filename], labels, (images, attributes))


def _read_omniglot(row: Published, root: Path, which: int) -> Part:
    """Reads the images of 16 of an alphabet's 20 people for training, and of the other four for testing.

    The published halves have no alphabet in common, so a classifier of alphabets can be tested on none of them.
    """
    from torchvision.datasets import ImageFolder

    paths, labels, names = [], [], []
    folders = [root / name for name in row.files[which] if not name.endswith(".zip")]
    for folder in folders:
        _compare_with_archive(folder)
        half = ImageFolder(folder)
        for path, alphabet in half.samples:
            person = int(Path(path).stem.partition("_")[2])
            if (person > _TRAINING_PEOPLE) == bool(which):
                paths.append(path)
                labels.append(len(names) + alphabet)
        names += half.classes
    return Part(paths, np.array(labels), (folders[0], folders[0]), tuple(names))


_TRAINING_PEOPLE = 16


def _compare_with_archive(folder: Path) -> None:
    """Raises UserError if a folder lacks a file of the archive beside it, or has only a part of one."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            path = folder.parent / entry.filename
            if not entry.is_dir() and not (path.is_file() and path.stat().st_size == entry.file_size):
                raise _damaged(folder, f"{entry.filename} is not as in {archive.name}")


def _because(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f" ({text[:200]})" if text else ""


# ---- the table


def _loader(row: Published) -> Callable[[DatasetConfig, Path, int], Dataset]:
    @takes(*OPTIONS, seed=False)
    def load(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
        return load_published(load.row, config, data_dir)

    load.__doc__, load.row = row.summary, row
    return load


SPLITS = {"train": True}, {"train": False}
TRAIN_AND_TEST = {"split": "train"}, {"split": "test"}


def _idx_files(folder: str, *parts: str, labels: str = "labels-idx1-ubyte") -> tuple[tuple[str, str], tuple[str, str]]:
    train, test = ((f"{folder}/{part}-images-idx3-ubyte", f"{folder}/{part}-{labels}") for part in parts)
    return train, test


def _idx_archives(kind: Any) -> Table:
    return {f"{kind.__name__}/raw/{name}": md5 for name, md5 in kind.resources}


def _qmnist_archives(kind: Any) -> Table:
    parts = kind.resources["train"] + kind.resources["test"]
    return {f"QMNIST/raw/{url.rpartition('/')[2]}": md5 for url, md5 in parts}


def _whole_archive(kind: Any) -> Table:
    return {kind.filename: kind.tgz_md5}


def _single_files(kind: Any) -> Table:
    return {kind.split_list[part][1]: kind.split_list[part][2] for part in ("train", "test")}


def _cifar_files(kind: Any) -> Table:
    listed = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    return {f"{kind.base_folder}/{name}": md5 for name, md5 in listed}


def _stl10_files(kind: Any) -> Table:
    return {f"{kind.base_folder}/{name}": md5 for name, md5 in kind.train_list[:2] + kind.test_list}


def _celeba_lists(kind: Any) -> Table:
    return {f"{kind.base_folder}/{name}": md5 for _, md5, name in kind.file_list if name.endswith(".txt")}


def _omniglot_archives(kind: Any) -> Table:
    return {f"{kind.folder}/{name}.zip": md5 for name, md5 in kind.zips_md5.items()}


_CIFAR10, _CIFAR100, _STL10 = "cifar-10-batches-py", "cifar-100-python", "stl10_binary"
_CELEBA = ("img_align_celeba", "list_eval_partition.txt", "identity_CelebA.txt", "list_bbox_celeba.txt")
_CELEBA += ("list_landmarks_align_celeba.txt", "list_attr_celeba.txt")
_OMNIGLOT = ("images_background", "images_evaluation", "images_background.zip", "images_evaluation.zip")

mnist = _loader(
    Published(
        "mnist",
        "60,000 + 10,000 real digits, 28x28, grey (LeCun et al. 1998)",
        title="MNIST",
        kind="MNIST",
        arguments=SPLITS,
        files=_idx_files("MNIST/raw", "train", "t10k"),
        shape=(1, 28, 28),
        class_names=TEN_DIGITS,
        read=_read_idx,
        archives=_idx_archives,
        contents=lambda kind: {
            "MNIST/raw/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "MNIST/raw/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "MNIST/raw/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "MNIST/raw/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    )
)

fashion_mnist = _loader(
    Published(
        "fashion_mnist",
        "60,000 + 10,000 pieces of clothing, 28x28, grey (Xiao et al. 2017)",
        title="Fashion-MNIST",
        kind="FashionMNIST",
        arguments=SPLITS,
        files=_idx_files("FashionMNIST/raw", "train", "t10k"),
        shape=(1, 28, 28),
        read=_read_idx,
        archives=_idx_archives,
        contents=lambda kind: {
            "FashionMNIST/raw/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "FashionMNIST/raw/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "FashionMNIST/raw/t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "FashionMNIST/raw/t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        # Debian's package dataset-fashion-mnist.
        installed="fashion-mnist",
    )
)

kmnist = _loader(
    Published(
        "kmnist",
        "60,000 + 10,000 cursive Japanese characters, 28x28, grey (Clanuwat et al. 2018)",
        title="KMNIST",
        kind="KMNIST",
        arguments=SPLITS,
        files=_idx_files("KMNIST/raw", "train", "t10k"),
        shape=(1, 28, 28),
        read=_read_idx,
        archives=_idx_archives,
    )
)

emnist = _loader(
    Published(
        "emnist",
        "112,800 + 18,800 digits and letters in 47 classes (the balanced split), 28x28, grey (Cohen et al. 2017)",
        title="EMNIST",
        kind="EMNIST",
        arguments=({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
        files=_idx_files("EMNIST/raw", "emnist-balanced-train", "emnist-balanced-test"),
        shape=(1, 28, 28),
        read=_read_idx,
        archives=lambda kind: {"EMNIST/raw/gzip.zip": kind.md5},
    )
)

qmnist = _loader(
    Published(
        "qmnist",
        "60,000 + 60,000 digits: MNIST with all its test images, rebuilt; 28x28, grey (Yadav & Bottou 2019)",
        title="QMNIST",
        kind="QMNIST",
        arguments=SPLITS,
        files=_idx_files("QMNIST/raw", "qmnist-train", "qmnist-test", labels="labels-idx2-int"),
        shape=(1, 28, 28),
        class_names=TEN_DIGITS,
        read=_read_idx,
        archives=_qmnist_archives,
    )
)

usps = _loader(
    Published(
        "usps",
        "7,291 + 2,007 digits from envelopes, 16x16, grey (Hull 1994)",
        title="USPS",
        kind="USPS",
        arguments=SPLITS,
        files=(("usps.bz2",), ("usps.t.bz2",)),
        shape=(1, 16, 16),
        class_names=TEN_DIGITS,
        read=_read_object,
        archives=_single_files,
        contents=_single_files,
        root="USPS",
    )
)

svhn = _loader(
    Published(
        "svhn",
        "73,257 + 26,032 photographs of house numbers, 32x32, colour (Netzer et al. 2011)",
        title="SVHN",
        kind="SVHN",
        arguments=TRAIN_AND_TEST,
        files=(("train_32x32.mat",), ("test_32x32.mat",)),
        shape=(3, 32, 32),
        class_names=TEN_DIGITS,
        read=_read_object,
        archives=_single_files,
        contents=_single_files,
        root="SVHN",
    )
)

cifar10 = _loader(
    Published(
        "cifar10",
        "50,000 + 10,000 photographs in 10 classes, 32x32, colour (Krizhevsky 2009)",
        title="CIFAR-10",
        kind="CIFAR10",
        arguments=SPLITS,
        files=(
            (*(f"{_CIFAR10}/data_batch_{number}" for number in range(1, 6)), f"{_CIFAR10}/batches.meta"),
            (f"{_CIFAR10}/test_batch",),
        ),
        shape=(3, 32, 32),
        read=_read_object,
        archives=_whole_archive,
        contents=_cifar_files,
    )
)

cifar100 = _loader(
    Published(
        "cifar100",
        "50,000 + 10,000 photographs in 100 classes, 32x32, colour (Krizhevsky 2009)",
        title="CIFAR-100",
        kind="CIFAR100",
        arguments=SPLITS,
        files=((f"{_CIFAR100}/train", f"{_CIFAR100}/meta"), (f"{_CIFAR100}/test",)),
        shape=(3, 32, 32),
        read=_read_object,
        archives=_whole_archive,
        contents=_cifar_files,
    )
)

stl10 = _loader(
    Published(
        "stl10",
        "5,000 + 8,000 photographs in 10 classes, 96x96, colour (Coates et al. 2011)",
        title="STL-10",
        kind="STL10",
        arguments=TRAIN_AND_TEST,
        files=(
            (f"{_STL10}/train_X.bin", f"{_STL10}/train_y.bin"),
            (f"{_STL10}/test_X.bin", f"{_STL10}/test_y.bin"),
        ),
        shape=(3, 96, 96),
        class_names=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        read=_read_object,
        archives=_whole_archive,
        contents=_stl10_files,
    )
)

celeba = _loader(
    Published(
        "celeba",
        "162,770 + 19,962 faces, cut to 64x64 (--image-size), in 4 classes by sex and smile (Liu et al. 2015)",
        title="CelebA",
        kind="CelebA",
        arguments=TRAIN_AND_TEST,
        files=(tuple(f"celeba/{name}" for name in _CELEBA),) * 2,
        shape=(3, 64, 64),
        class_names=("woman", "smiling woman", "man", "smiling man"),
        read=_read_celeba,
        contents=_celeba_lists,
        address="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Google Drive) and unpack it there",
    )
)

omniglot = _loader(
    Published(
        "omniglot",
        "25,968 + 6,492 letters of 50 alphabets, the classes, as 28x28 (--image-size), grey (Lake et al. 2015)",
        title="Omniglot",
        kind="Omniglot",
        arguments=({"background": True}, {"background": False}),
        files=(tuple(f"omniglot-py/{name}" for name in _OMNIGLOT),) * 2,
        shape=(1, 28, 28),
        read=_read_omniglot,
        archives=_omniglot_archives,
    )
)
