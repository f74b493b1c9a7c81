"""Loads a user's own images: one subfolder a class, or images without labels."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Dataset, takes
from benchmarks.datasets.decoding import ENDINGS, DeepImage, read_images, stretch
from benchmarks.datasets.prepared import (
    PART,
    Allocate,
    Images,
    let_go,
    make_dataset,
    make_key,
    prepare,
    progress,
    without_colour,
)
from metrics.features import LARGEST_IMAGE_SIDE, SMALLEST_MAP
from variants.recipe import UserError

DEFAULT_SIZE = 32
MOST_BYTES = 4 * 2**30  # of all images together, once they are resized
# The brightest value, of 255, below which a note calls the images nearly black; chosen, not tuned.
NEARLY_BLACK = 64
# Names of the folder for training, and of the folders for testing, of which the first one is taken.
TRAINING, TESTING = "train", ("test", "valid", "val")


@takes("image_size", seed=False)
def folder(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """folder:PATH, a person's own images, one subfolder a class or none, cut to --image-size (32, or 28x40)

    Each image is cropped in its middle and resized. The data is grey if all images are, else in colour. Transparent
    parts become white. Grey images of more than 8 bits are stretched, so that the darkest and the brightest value of
    all of them become black and white; a note says so. Links that lead out of the folder, and files without the name of
    an image, are left out; a note says so.

    Classes: the subfolders, if there are two or more. Images that lie in PATH itself, or in its only subfolder, have no
    labels. Split: folders named train and test (or valid, or val) are the splits, with or without class folders in
    them. Else the second of every five images, within a class and in the order of their names, is for testing.
    """
    if not config.path or not Path(config.path).name:
        raise UserError("which folder? --dataset folder:PATH, where PATH has images, or one subfolder for each class")
    root, size = Path(config.path), config.size or (DEFAULT_SIZE, DEFAULT_SIZE)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}")
    if not all(SMALLEST_MAP <= side <= LARGEST_IMAGE_SIDE for side in size):
        raise UserError(
            f"--image-size of a folder is {SMALLEST_MAP} to {LARGEST_IMAGE_SIDE}, as its classifier needs, not "
            f"{config.options()['image_size']}"
        )
    found = _look_through(root, data_dir)
    height, width = size
    if found.count * 3 * height * width > MOST_BYTES:
        raise UserError(
            f"{found.count:,} images of {height}x{width} do not fit in memory; choose a smaller --image-size"
        )
    place = sha256(os.fsencode(root)).hexdigest()[:8]
    kept = data_dir / "prepared" / f"folder-{root.name[-40:]}-{place}-{height}x{width}"
    images = prepare(kept, make_key(size, *found.describe()), partial(_read, root, found, size))
    dataset = make_dataset(config.name, images)
    # The classifier is kept under a name of these very images, not of the folder.
    return replace(dataset, extractor=f"folder-{dataset.checksum[:12]}")


class File(NamedTuple):
    """Names a file of a folder, with what tells whether it has changed."""

    name: str
    bytes: int
    # Time of the last change, in ns.
    changed: int


@dataclass(frozen=True)
class Class:
    """Holds the images of a class, or of a set without labels, in the order of their names."""

    # "" without labels.
    name: str
    folder: Path
    files: Sequence[File]


@dataclass(frozen=True)
class Found:
    """Holds what a folder has: its classes for training and for testing, and what is left out."""

    train: Sequence[Class]
    test: Sequence[Class]
    notes: Sequence[str]

    @property
    def count(self) -> int:
        return sum(len(each.files) for part in (self.train, self.test) for each in part)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; () without labels."""
        return tuple(each.name for each in self.train if each.name)

    def describe(self) -> Iterator[object]:
        """Yields all on which the prepared images depend."""
        yield self.notes
        for part in (self.train, self.test):
            for each in part:
                yield each.name, str(each.folder)
                yield from each.files

    def paths(self) -> Iterator[str]:
        """Yields the paths of all images, those for training first."""
        for part in (self.train, self.test):
            for each in part:
                yield from (os.path.join(each.folder, file.name) for file in each.files)

    def labels(self) -> np.ndarray | None:
        """Returns the labels of all images, those for training first; None without labels."""
        if not self.class_names:
            return None
        places = {name: place for place, name in enumerate(self.class_names)}
        counts = [(places[each.name], len(each.files)) for part in (self.train, self.test) for each in part]
        return np.repeat(*(np.array(column, np.int64) for column in zip(*counts, strict=True)))


def _look_through(root: Path, data_dir: Path) -> Found:
    """Finds the images of a folder. Raises UserError if they cannot be trained on and tested."""
    search = Search(root, data_dir)
    folders = {name.lower(): root / name for name in search.entries(root)[0]}
    testing = [name for name in TESTING if name in folders]
    if TRAINING in folders and testing and set(folders) <= {TRAINING, *TESTING}:
        search.notes += [f"left out of {root.name}: the folder {folders[name].name}" for name in testing[1:]]
        train, test = search.classes(folders[TRAINING]), search.classes(folders[testing[0]])
        _check_splits(folders[TRAINING], train, folders[testing[0]], test)
        return Found(train, test, search.notes)
    classes = search.classes(root)
    for each in classes:
        if len(each.files) < 2:
            whole, where = ("a class", " directly in its folder") if each.name else ("a set", "")
            raise UserError(
                f"{each.folder} has {len(each.files)} images{_describe_others(each.folder)}; {whole} needs at least 2"
                f"{where}, one to train and one to test"
            )
    train, test = ([replace(each, files=_take(each.files, part)) for each in classes] for part in (False, True))
    return Found(train, test, search.notes)


def _take(files: Sequence[File], testing: bool) -> list[File]:
    return [file for place, file in enumerate(files) if (place % 5 == 1) == testing]


def _check_splits(training: Path, train: Sequence[Class], testing: Path, test: Sequence[Class]) -> None:
    """Raises UserError for splits of different classes, and for classes without images."""
    if alone := {each.name for each in train} ^ {each.name for each in test}:
        names = ", ".join(sorted(alone - {""})[:3])
        raise UserError(f"{training} and {testing} need the same class folders, or none; only one of them has {names}")
    for each in (*train, *test):
        if not each.files:
            raise UserError(f"{each.folder} has no images{_describe_others(each.folder)}; it needs at least one")


class Search:
    """Looks for images below a folder, lists each folder once, and notes what is left out."""

    def __init__(self, root: Path, data_dir: Path | None = None) -> None:
        self.root = root
        # The folder of all datasets is no class, should it lie here.
        self._own = data_dir and data_dir.resolve()
        self.notes: list[str] = []
        self._listed: dict[Path, tuple[list[str], list[File]]] = {}

    def classes(self, folder: Path) -> list[Class]:
        """Lists the classes in a folder: its subfolders, or a single one without a name."""
        folders, files = self.entries(folder)
        images = sum(is_image(file.name) for file in files)
        if len(folders) > 1:
            if images:
                self._leave_out(folder, f"{images} images beside the class folders")
            return [Class(name, folder / name, self.images(folder / name)) for name in folders]
        if not images and not folders:
            others = f" beside {_count_endings(files)}" if files else ""
            raise UserError(
                f"{folder} has no images and no folders in it{others}; it needs images, or two or more folders, each "
                "with the images of one class"
            )
        if images and folders:
            self._leave_out(folder, f"the only folder, {folders[0]}, beside images")
        inner = folder if images else folder / folders[0]
        self.notes.append(
            f"{self._name(inner)} has no class folders: its images have no labels, and no metric of classes applies"
        )
        return [Class("", inner, self.images(inner))]

    def images(self, folder: Path) -> list[File]:
        """Lists the images in a folder in the order of their names."""
        files = self.entries(folder)[1]
        images = [file for file in files if is_image(file.name)]
        if len(images) < len(files):
            self._leave_out(folder, f"{len(files) - len(images)} files that are not images by their name")
        return images

    def entries(self, folder: Path) -> tuple[list[str], list[File]]:
        """Lists the folders and the files in a folder, in the order of their names, without hidden ones.

        Links that lead out of the root are left out.
        """
        if folder not in self._listed:
            try:
                folders, files, out = _scan(folder, self.root.resolve())
            except OSError as error:
                raise UserError(f"{folder} cannot be read: {error.strerror}") from None
            if out:
                self._leave_out(folder, f"{out} links that lead out of {self.root.name}")
            folders = sorted(name for name in folders if folder / name != self._own)
            self._listed[folder] = folders, sorted(files)
        return self._listed[folder]

    def _leave_out(self, folder: Path, what: str) -> None:
        self.notes.append(f"left out of {self._name(folder)}: {what}")

    def _name(self, folder: Path) -> str:
        """Names a folder for notes, which are published, without its place on this machine."""
        return folder.relative_to(self.root.parent).as_posix()


def _scan(folder: Path, root: Path) -> tuple[list[str], list[File], int]:
    """Returns the folders and the files in a folder without hidden ones, and the number of links that lead out."""
    folders, files, out = [], [], 0
    with os.scandir(folder) as entries, progress(f"looking through {folder.name}") as advance:
        for entry in entries:
            advance(1)
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                out += 1
            elif entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file():
                # The one question a file: the answer decides whether the images are prepared anew.
                stat = entry.stat()
                files.append(File(entry.name, stat.st_size, stat.st_mtime_ns))
    return folders, files, out


def is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in ENDINGS


def _count_endings(files: Sequence[File]) -> str:
    """Counts files by their endings, as `12 files .npy, 1 file .txt`; "" for none."""
    counts = Counter(os.path.splitext(file.name)[1].lower() or "without an ending" for file in files)
    return ", ".join(f"{count} file{'s' * (count > 1)} {ending}" for ending, count in counts.most_common(5))


def _describe_others(folder: Path) -> str:
    """Describes what a folder with hardly any images has instead, as a part of a sentence from its comma on."""
    folders, files = Search(folder).entries(folder)
    hidden = sum(name.startswith(".") for name in os.listdir(folder))
    others = _count_endings([file for file in files if not is_image(file.name)])
    named = ", ".join(folders[:3]) + ", …" * (len(folders) > 3)
    inner = f"the folders {named}, which are not looked into (folder:{folder} takes them for the classes)"
    found = [inner] * bool(folders) + [others] * bool(others)
    found += [f"{hidden} hidden, which are left out"] * bool(hidden)
    return f", but {' and '.join(found)}" if found else ""


def _read(root: Path, found: Found, size: tuple[int, int], allocate: Allocate) -> Images:
    data, notes = allocate((found.count, 3, *size)), list(found.notes)
    deep: dict[int, DeepImage] = {}
    brightest = 0
    with progress(f"reading {root.name}", found.count) as advance:
        for index, image in enumerate(read_images(list(found.paths()), size)):
            if isinstance(image, DeepImage):
                deep[index] = image
            else:
                data[index] = image.transpose(2, 0, 1)
                brightest = max(brightest, int(image.max()))
            advance(1)
            if not index % PART:
                let_go(data)
    if deep:
        stretched, note = stretch(list(deep.values()), found.count)
        data[list(deep)] = stretched[:, None]
        brightest = max(brightest, int(stretched.max()))
        notes.append(note)
    if brightest < NEARLY_BLACK:
        notes.append(f"the images of {root.name} are nearly black: their brightest value is {brightest} of 255")
    data = without_colour(data, allocate)
    train = sum(len(each.files) for each in found.train)
    return Images(data, found.labels(), train, found.class_names, tuple(notes))
