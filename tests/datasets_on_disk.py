"""Small datasets in the published formats, written for tests, and what torchvision then has to know of them."""

import bz2
import gzip
import hashlib
import io
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets import published

TRAIN, TEST = 120, 40
# Of every dataset that has files: the class in torchvision.
KINDS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist": "EMNIST",
    "qmnist": "QMNIST",
    "usps": "USPS",
    "svhn": "SVHN",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "stl10": "STL10",
    "celeba": "CelebA",
    "omniglot": "Omniglot",
}
DOWNLOADED = [name for name in KINDS if name != "celeba"]


def write_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes every dataset that has files into a data folder; a folder of images is called own."""
    for name in KINDS:
        write_published(name, root, monkeypatch)
    write_folder(root / "own")


def write_published(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes a dataset's files into a data folder, and makes them the published ones for torchvision and for us."""
    below = root / row_of(name).root
    WRITERS[name](below)
    trust(name, below, monkeypatch)


def row_of(name: str) -> published.Published:
    return getattr(published, name).row


def kind_of(name: str) -> type:
    return row_of(name).torchvision()


def trust(name: str, below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the MD5 of the files that are there into the tables of torchvision, and of our row."""
    kind, row = kind_of(name), row_of(name)

    def md5(path: str) -> str:
        return hashlib.md5((below / path).read_bytes()).hexdigest() if (below / path).is_file() else "0" * 32

    def listed(table: list) -> list:
        return [[file, md5(f"{kind.base_folder}/{file}")] for file, *_ in table]

    if name in ("usps", "svhn"):
        table = {part: [url, file, md5(file)] for part, (url, file, _) in kind.split_list.items()}
        monkeypatch.setattr(kind, "split_list", table)
    elif name in ("cifar10", "cifar100", "stl10"):
        monkeypatch.setattr(kind, "train_list", listed(kind.train_list))
        monkeypatch.setattr(kind, "test_list", listed(kind.test_list))
        if name != "stl10":
            file = f"{kind.base_folder}/{kind.meta['filename']}"
            monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(file)})
    elif name == "celeba":
        table = [(place, md5(f"celeba/{file}"), file) for place, _, file in kind.file_list]
        monkeypatch.setattr(kind, "file_list", table)
    elif name == "omniglot":
        table = {file: md5(f"omniglot-py/{file}.zip") for file in kind.zips_md5}
        monkeypatch.setattr(kind, "zips_md5", table)
    elif row.contents(kind):
        right = {file: md5(file) for file in row.all_files}
        monkeypatch.setattr(getattr(published, name), "row", replace(row, contents=lambda kind: right))


# ---- the formats


def write_idx(path: Path, values: np.ndarray) -> None:
    """An IDX file of unsigned bytes, or of whole numbers of four bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(length.to_bytes(4, "big") for length in values.shape)
    code, stored = (12, values.astype(">i4")) if values.dtype == np.int32 else (8, values.astype(np.uint8))
    path.write_bytes(bytes((0, 0, code, values.ndim)) + sizes + stored.tobytes())


def write_mnist_family(raw: Path, seed: int, prefix: str = "", parts: tuple[str, str] = ("train", "t10k")) -> None:
    """The four files of a dataset like MNIST: strokes of random place, width and slant, with random labels."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:28, :28]
    for part, count in zip(parts, (TRAIN, TEST), strict=True):
        place, width, slant = random.uniform(10, 18, count), random.uniform(1, 4, count), random.normal(0, 0.3, count)
        middle = place[:, None, None] - slant[:, None, None] * (down - 14)
        stroke = (abs(across - middle) < width[:, None, None]) & (abs(down - 14) < 10)
        labels = random.permutation(np.arange(count) % 10)
        write_idx(raw / f"{prefix}{part}-images-idx3-ubyte", stroke * random.integers(128, 256, (count, 28, 28)))
        if prefix == "qmnist-":
            # The digit, and seven columns on who wrote it.
            more = random.integers(10, 1000, (count, 7))
            write_idx(raw / f"{prefix}{part}-labels-idx2-int", np.column_stack([labels, more]).astype(np.int32))
        else:
            write_idx(raw / f"{prefix}{part}-labels-idx1-ubyte", labels)


def write_cifar(folder: Path, parts: Mapping[str, int], labels: str, meta: str, names: list[str]) -> None:
    """Pickled batches, as CIFAR is published for Python."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name, count in parts.items():
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        batch = {"data": pixels, labels: random.integers(0, len(names), count).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / meta).write_bytes(pickle.dumps({labels.replace("labels", "label_names"): names}))


def write_cifar10(root: Path) -> None:
    names = ["airplane", "automobile", *"2345678", "truck"]
    parts = {**{f"data_batch_{number}": 24 for number in range(1, 6)}, "test_batch": TEST}
    folder = root / "cifar-10-batches-py"
    write_cifar(folder, parts, "labels", "batches.meta", names)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))


def write_cifar100(root: Path) -> None:
    names = [f"kind {number}" for number in range(100)]
    write_cifar(root / "cifar-100-python", {"train": TRAIN, "test": TEST}, "fine_labels", "meta", names)


def write_svhn(root: Path) -> None:
    """Files of Matlab: images last, and the label 10 for the digit 0."""
    from scipy.io import savemat

    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for part, count in (("train", TRAIN), ("test", TEST)):
        pixels = random.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = random.permutation(np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        savemat(root / f"{part}_32x32.mat", {"X": pixels, "y": labels})


def write_usps(root: Path) -> None:
    """Lines of a label from 1 to 10, and 256 values from -1 to 1."""
    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name, count in (("usps.bz2", TRAIN), ("usps.t.bz2", TEST)):
        lines = [
            f"{label} " + " ".join(f"{place + 1}:{value:.4f}" for place, value in enumerate(random.uniform(-1, 1, 256)))
            for label in random.permutation(np.arange(count) % 10 + 1)
        ]
        (root / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def write_stl10(root: Path) -> None:
    """Bytes of each image column by column, and labels from 1."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 16)):
        random.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8).tofile(folder / f"{part}_X.bin")
        (random.permutation(np.arange(count) % 10) + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")


def write_celeba(root: Path, count: int = 60) -> None:
    """Images of 178x218, and lists in columns; the splits are 0, 1 (left out here) and 2."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    names = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    for name in names:
        Image.fromarray(random.integers(0, 256, (218, 178, 3), dtype=np.uint8)).save(folder / "img_align_celeba" / name)
    attributes = ["Bald", "Male", "Smiling", "Young"]
    signs = random.choice([-1, 1], (count, 4))

    def write(file: str, rows: np.ndarray, head: list[str] | None = None) -> None:
        lines = [] if head is None else [str(count), " ".join(head) + " "]
        lines += [f"{name}  " + " ".join(map(str, row)) for name, row in zip(names, rows, strict=True)]
        (folder / file).write_text("\n".join(lines) + "\n")

    write("list_attr_celeba.txt", signs, attributes)
    write("list_eval_partition.txt", (np.arange(count) % 3)[:, None])
    write("identity_CelebA.txt", random.integers(1, 9, (count, 1)))
    write("list_bbox_celeba.txt", random.integers(1, 99, (count, 4)), ["x_1", "y_1", "width", "height"])
    write("list_landmarks_align_celeba.txt", random.integers(1, 99, (count, 10)), list("abcdefghij"))


def write_omniglot(root: Path) -> None:
    """Alphabets of a few characters, each drawn by twenty people, in folders and in the archives of these."""
    folder = root / "omniglot-py"
    random = np.random.default_rng(0)
    for half, alphabets in (("images_background", ("Greek", "Latin")), ("images_evaluation", ("Atlantean",))):
        for alphabet in alphabets:
            for character in ("character01", "character02"):
                place = folder / half / alphabet / character
                place.mkdir(parents=True, exist_ok=True)
                for person in range(1, 21):
                    pixels = random.integers(0, 2, (105, 105)).astype(bool)
                    Image.fromarray(pixels).save(place / f"{character[-2:]}00_{person:02d}.png")
        shutil.make_archive(str(folder / half), "zip", folder, half)


WRITERS: dict[str, Callable[[Path], None]] = {
    "mnist": lambda root: write_mnist_family(root / "MNIST" / "raw", 0),
    "fashion_mnist": lambda root: write_mnist_family(root / "FashionMNIST" / "raw", 1),
    "kmnist": lambda root: write_mnist_family(root / "KMNIST" / "raw", 2),
    "emnist": lambda root: write_mnist_family(root / "EMNIST" / "raw", 3, "emnist-balanced-", ("train", "test")),
    "qmnist": lambda root: write_mnist_family(root / "QMNIST" / "raw", 4, "qmnist-", ("train", "test")),
    "usps": write_usps,
    "svhn": write_svhn,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "stl10": write_stl10,
    "celeba": write_celeba,
    "omniglot": write_omniglot,
}


def write_folder(root: Path, classes: tuple[str, ...] = ("cats", "dogs"), count: int = 16, mode: str = "RGB") -> None:
    """PNG images of random pixels, one subfolder a class."""
    random = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (20, 24) if mode == "L" else (20, 24, 3)
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(root / name / f"{index}.png")


# ---- the archives


def publish(name: str, root: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> dict[str, bytes]:
    """Writes a dataset, and returns the archives in which it is published: path of the address -> content.

    torchvision's tables then name this address, and the MD5 of these archives.
    """
    write_published(name, root, monkeypatch)
    kind, row = kind_of(name), row_of(name)
    below = root / row.root
    files = [below / file for file in row.all_files]
    packed: dict[str, bytes] = {}
    if name in ("mnist", "fashion_mnist", "kmnist"):
        packed = {f"{file.name}.gz": gzip.compress(file.read_bytes()) for file in files}
        monkeypatch.setattr(kind, "mirrors", [address])
        monkeypatch.setattr(kind, "resources", [(file, md5_of(content)) for file, content in packed.items()])
    elif name == "qmnist":
        packed = {f"{file.name}.gz": gzip.compress(file.read_bytes()) for file in files}
        pairs = [(address + file, md5_of(content)) for file, content in packed.items()]
        monkeypatch.setattr(kind, "resources", {"train": pairs[:2], "test": pairs[2:]})
    elif name == "emnist":
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for file in files:
                archive.writestr(f"gzip/{file.name}.gz", gzip.compress(file.read_bytes()))
        packed = {"gzip.zip": content.getvalue()}
        monkeypatch.setattr(kind, "url", f"{address}gzip.zip")
        monkeypatch.setattr(kind, "md5", md5_of(packed["gzip.zip"]))
    elif name in ("usps", "svhn"):
        packed = {file.name: file.read_bytes() for file in files}
        table = {part: [address + file, file, md5] for part, (_, file, md5) in kind.split_list.items()}
        monkeypatch.setattr(kind, "split_list", table)
    elif name == "omniglot":
        packed = {file.name: file.read_bytes() for file in files if file.suffix == ".zip"}
        monkeypatch.setattr(kind, "download_url_prefix", address.rstrip("/"))
    else:
        if name == "stl10":
            (below / kind.base_folder / "unlabeled_X.bin").write_bytes(bytes(100))
            trust(name, below, monkeypatch)
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            archive.add(below / kind.base_folder, kind.base_folder)
        packed = {kind.filename: content.getvalue()}
        monkeypatch.setattr(kind, "url", address + kind.filename)
        monkeypatch.setattr(kind, "tgz_md5", md5_of(packed[kind.filename]))
    return packed


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()
