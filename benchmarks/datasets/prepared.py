"""Prepares a set of images once, as one array in a file beside the data, so that it starts fast and in little memory.

The array lies in `prepared/NAME.npy`, its labels and the rest in `prepared/NAME.json`. Both are read back only for the
same source files, sizes and software, and only with the checksum that they were written with. The array is mapped into
memory: processes share it, and pages that nobody reads take no memory.
"""

import hashlib
import json
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from jaxtyping import Int64, UInt8

from benchmarks.datasets.base import Classes, Dataset, Split, checksum_of
from variants.base import DataSpec

AGAINST_TEST = "against the {count:,} real test images, which no variant was trained on"
# Counts the changes in how images are prepared; older files are prepared anew.
_VERSION = 1
# Images that are looked at together, or written before their pages are let go of.
PART = 1000
# Seconds between two steps of a progress bar.
_TOLD_EVERY = 0.1


@dataclass(frozen=True, eq=False)
class Images:
    """Holds all images of a dataset in one array, those for training first."""

    data: UInt8[np.ndarray, "examples channels height width"]
    # None without classes.
    labels: Int64[np.ndarray, " examples"] | None
    # Examples for training.
    train: int
    # One name a class; () without labels.
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    # As of the dataset; "" until it is computed.
    checksum: str = ""

    def splits(self) -> tuple[Split, Split]:
        """Returns the training and the test examples, which share this array."""
        data, labels = torch.from_numpy(self.data), None if self.labels is None else torch.from_numpy(self.labels)
        parts = slice(0, self.train), slice(self.train, len(data))
        train, test = (Split(data[part], None if labels is None else labels[part]) for part in parts)
        return train, test


Allocate = Callable[[tuple[int, ...]], UInt8[np.ndarray, "..."]]


def make_dataset(name: str, images: Images, extractor: str = "") -> Dataset:
    """Makes a dataset whose reference is its test split. extractor: by default of that name."""
    train, test = images.splits()
    return make_labelled(
        name, train, test, images.class_names, extractor=extractor, notes=images.notes, checksum=images.checksum
    )


def make_labelled(
    name: str,
    train: Split,
    test: Split,
    class_names: tuple[str, ...],
    *,
    reference_note: str = "",
    extractor: str = "",
    notes: tuple[str, ...] = (),
    checksum: str = "",
) -> Dataset:
    """Makes a dataset of images, whose reference is its test split. class_names: () for images without labels."""
    classes = len(class_names)
    return Dataset(
        name=name,
        spec=DataSpec(tuple(train.data.shape[1:]), bounded=True, classes=classes or None),
        train=train,
        test=test,
        reference=test,
        reference_note=reference_note or AGAINST_TEST.format(count=len(test)),
        modes=Classes(classes) if classes else None,
        class_names=class_names,
        checksum=checksum or checksum_of(train, test),
        extractor=extractor or name,
        notes=notes,
    )


def make_key(*parts: Any) -> str:
    """Returns the SHA-256 of what a prepared set is made of: source files, sizes, and the software that resizes."""
    digest = hashlib.sha256(f"{_VERSION} {PIL.__version__}\n".encode())
    for part in parts:
        digest.update(f"{part!r}\n".encode())
    return digest.hexdigest()


def describe_files(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Returns the name, the size and the time of change in ns of each file."""
    return [(path.name, (found := path.stat()).st_size, found.st_mtime_ns) for path in files]


def prepare(path: Path, key: str, make: Callable[[Allocate], Images]) -> Images:
    """Returns the images that were prepared under this key, else prepares and keeps them.

    path: of the files, without an ending. make: fills an array that it gets from `allocate(shape)`, and returns it; a
    smaller one that it asked for later takes its place. The data of the result is writable; changes stay in memory.
    """
    if (kept := _read_kept(path, key)) is not None:
        return kept
    with _allocation(path) as allocate:
        images = make(allocate)
        images = replace(images, checksum=_compute_checksum(images))
        if (filename := getattr(images.data, "filename", None)) is None:
            return images
        images.data.flush()
        try:
            os.replace(filename, _file(path, "npy"))
            _write_facts(path, key, images)
            # Changes to the array of `make` would go into the file.
            return replace(images, data=_map(_file(path, "npy")))
        except OSError as error:
            _tell(path, f"cannot be kept in {path.parent}: {error.strerror}; they are prepared again at the next start")
            return images


@contextmanager
def _allocation(path: Path) -> Iterator[Allocate]:
    """Lends arrays in new files beside `path`, or in memory where none can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-", ignore_cleanup_errors=True)
    except OSError as error:
        _tell(path, f"cannot be kept in {path.parent}: {error.strerror}; they are prepared again at the next start")
        yield lambda shape: np.empty(shape, np.uint8)
        return

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        name = Path(folder.name, f"{len(os.listdir(folder.name))}.npy")
        try:
            array = np.lib.format.open_memmap(name, "w+", np.uint8, shape)
            # Writing to a page for which the disk has no room would end the process.
            if hasattr(os, "posix_fallocate"):
                with open(name, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            _tell(path, f"cannot be kept in {path.parent}: {error.strerror}; they are prepared again at the next start")
            return np.empty(shape, np.uint8)
        return array

    with folder:
        yield allocate


def _read_kept(path: Path, key: str) -> Images | None:
    """Returns the images that are kept under this key; None without any, and for damaged ones, which is said."""
    try:
        facts = json.loads(_file(path, "json").read_bytes())
        if facts["key"] != key:
            return None
        labels = None if facts["labels"] is None else np.array(facts["labels"], np.int64)
        names, notes = tuple(facts["class_names"]), tuple(facts["notes"])
        kept = Images(_map(_file(path, "npy")), labels, facts["train"], names, notes, facts["checksum"])
        if kept.data.dtype == np.uint8 and kept.data.ndim == 4 and _compute_checksum(kept) == kept.checksum:
            return kept
        damage = "their checksum is another one"
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy's reader of headers raises many kinds of errors
        damage = type(error).__name__
    _tell(path, f"are damaged in {path.parent} ({damage}) and are prepared again")
    return None


def _compute_checksum(images: Images) -> str:
    return checksum_of(*images.splits(), after_part=lambda: let_go(images.data))


def let_go(array: np.ndarray) -> None:
    """Takes the pages of a mapped array out of this process's memory; its file keeps them for whoever reads them.

    An array in memory stays as it is, and so does a mapped one where the system has no such call.
    """
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _write_facts(path: Path, key: str, images: Images) -> None:
    facts = {
        "key": key,
        "checksum": images.checksum,
        "train": images.train,
        "class_names": images.class_names,
        "notes": images.notes,
        "labels": None if images.labels is None else images.labels.tolist(),
    }
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".json", dir=path.parent)
    try:
        with open(handle, "w") as file:
            json.dump(facts, file)
        os.chmod(beside, 0o644)
        os.replace(beside, _file(path, "json"))
    finally:
        with suppress(OSError):
            os.unlink(beside)


def _file(path: Path, ending: str) -> Path:
    # Path.with_suffix would take the end of a name with a dot for an ending.
    return path.with_name(f"{path.name}.{ending}")


def _map(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="c", allow_pickle=False)


def _tell(path: Path, what: str) -> None:
    print(f"the prepared images of {path.name} {what}", file=sys.stderr)


def without_colour(data: UInt8[np.ndarray, "images 3 height width"], allocate: Allocate) -> np.ndarray:
    """Returns the images with one channel if all of them are grey, else as they are."""
    parts = [slice(start, start + PART) for start in range(0, len(data), PART)]
    for part in parts:
        if (data[part] != data[part, :1]).any():
            return data
        let_go(data)
    grey = allocate((len(data), 1, *data.shape[2:]))
    for part in parts:
        grey[part] = data[part, :1]
        let_go(data)
        let_go(grey)
    return grey


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Shows a bar on standard error while something takes long; lends a function that is told how much was done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, pending, told = bar.add_task(title, total=total), 0, time.monotonic()

        def advance(done: int) -> None:
            # The bar takes a lock at each call, a hundred times as long as this.
            nonlocal pending, told
            pending += done
            if (now := time.monotonic()) - told > _TOLD_EVERY:
                bar.advance(task, pending)
                pending, told = 0, now

        yield advance
