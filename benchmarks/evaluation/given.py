"""Reads and judges samples that anything made: a folder of image files, or a .npy file, with or without labels.

They are judged as the samples of a run are: by the same reference, classifiers and counts.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from benchmarks.datasets import Classes, Dataset, normalise
from benchmarks.datasets.decoding import DeepImage, read_images
from benchmarks.datasets.folder import MOST_BYTES, Search
from benchmarks.datasets.prepared import progress
from benchmarks.evaluation.classifiers import combine_sha256, list_caveats
from benchmarks.evaluation.evaluator import Evaluator
from metrics.captions import all_captions
from variants.recipe import UserError

# Images that are converted at once.
_AT_ONCE = 1000
NO_LABELS = "no labels were given for the images"
"""The reason why a metric of labels is absent."""


@dataclass(frozen=True, eq=False)
class GivenSamples:
    """Holds samples as a generator makes them."""

    # Images in [-1, 1], or points of the plane.
    images: Float[Tensor, "samples *shape"]
    # The class of each, if it is known.
    labels: Int64[Tensor, " samples"] | None = None
    # The caption of each, if it is known, for a dataset that has captions.
    tokens: Int64[Tensor, "samples words"] | None = None
    # Sentences on how the files were read.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """Holds every figure of some samples, and the same figures of real examples."""

    # By name, as in a run's journal.
    metrics: dict[str, float]
    # Why others could not be measured.
    absent: dict[str, str]
    # The same of real examples in the place of samples.
    real_data: dict[str, float]
    absent_real_data: dict[str, str]
    # Which real examples these are.
    real_data_note: str
    # SHA-256 of the classifiers, in hexadecimal, as in the config of a run; "" without any.
    extractor: str
    # What a reader of the figures has to know, such as an inaccurate classifier.
    caveats: tuple[str, ...]


def judge_samples(
    given: GivenSamples,
    dataset: Dataset,
    *,
    thorough: bool = True,
    device: torch.device | str = "cpu",
    inception: nn.Module | None = None,
) -> Judgement:
    """Measures every metric of samples against a dataset, as the last evaluation of a run does.

    thorough: include the metrics that take long. inception: see Evaluator.
    """
    evaluator = Evaluator(dataset, len(given.images), device=device, inception=inception)
    comparison = evaluator.compare_given(given.images, given.labels, given.tokens)
    metrics, absent = evaluator.judge(comparison, final=thorough), dict(evaluator.absent)
    if given.labels is None:
        without = evaluator.names(final=thorough, conditional=False)
        absent |= {name: NO_LABELS for name in evaluator.names(final=thorough) if name not in without}
    real_data = evaluator.measure_real_data(final=thorough)
    return Judgement(
        metrics,
        absent,
        real_data,
        dict(evaluator.absent),
        evaluator.real_data_note,
        combine_sha256(evaluator.classifiers),
        list_caveats(dataset, evaluator.classifiers),
    )


def read_samples(path: Path, dataset: Dataset, labels: Path | None = None, black: int | None = None) -> GivenSamples:
    """Reads the samples in a folder of images, or in a .npy file. Raises UserError for what the dataset cannot have.

    A folder has images, or a folder for each class with the images of that class; they are in the order of their names,
    so that numbered images come in the order of their numbers whatever their class. A .npy file has uint8 images, 0 to
    255, or floats, whose white is 1, and whose black is -1 or 0: (n, channels, height, width), (n, height, width,
    channels) or, if grey, (n, height, width); or points (n, 2). Nothing is resized, and nothing is unpickled.

    labels: a .npy file of whole numbers (n,), in the order of the samples; of captions (n, words) for a dataset that
    has captions. black: the black of floats, -1 or 0; None if a value below 0 shows that it is -1.
    """
    if path.is_dir():
        if black is not None:
            raise UserError(f"--black is for floats, and {path} is a folder of image files; leave it out")
        given = _read_folder(path, dataset)
    elif path.is_file():
        images, notes = _read_array(path, dataset, black)
        given = GivenSamples(images, notes=notes)
    else:
        raise UserError(f"there is no folder or .npy file {path}")
    if labels is None:
        return given
    if given.labels is not None:
        raise UserError(f"{path} has a folder for each class, so --labels is not read; leave it out")
    return GivenSamples(given.images, *_read_labels(labels, len(given.images), dataset), given.notes)


def name_class_folders(names: Sequence[str], classes: int) -> list[str]:
    """Returns the names of the folders of so many classes: those of the classes, where a file can have such names.

    Characters that a file's name should not have become "-". If two folders would have one name, or a class has none,
    all are numbers.
    """
    folders = [re.sub(r"[^\w .+()-]+", "-", name).strip(" .")[:100] for name in names]
    if len(folders) == classes and all(folders) and len({name.casefold() for name in folders}) == classes:
        return folders
    return [str(label) for label in range(classes)]


# Folders


def _read_folder(root: Path, dataset: Dataset) -> GivenSamples:
    if not dataset.spec.is_image:
        raise UserError(f"{dataset.name} has points of the plane; give them as a .npy file of floats (n, 2)")
    search = Search(root)
    folders, files = search.entries(root)
    images = search.images(root)
    if folders and images:
        raise UserError(
            f"{root} has {_count(len(images), 'image')} beside {_count(len(folders), 'folder')}; images lie in it, or "
            "in a folder for each class"
        )
    if not folders:
        found, labels = [(root / file.name, 0) for file in images], None
    else:
        places = _find_classes(root, folders, dataset)
        each = [(file.name, name) for name in folders for file in search.images(root / name)]
        found = [(root / name / file, places[name]) for file, name in sorted(each)]
        labels = torch.tensor([label for _, label in found], dtype=torch.int64)
    if len(found) < 2:
        others = f", but {len(files)} other files" if files and not found else ""
        raise UserError(f"{root} has {_count(len(found), 'image')}{others}; an evaluation needs at least 2")
    read = _allocate(root, len(found), dataset)
    _decode(root, [path for path, _ in found], dataset, read)
    return GivenSamples(read, labels, notes=tuple(search.notes))


def _find_classes(root: Path, folders: Sequence[str], dataset: Dataset) -> dict[str, int]:
    """Returns the label of each folder, which is named as its class or, if none is, by its number."""
    if not isinstance(dataset.modes, Classes) or not dataset.spec.classes:
        raise UserError(
            f"{root} has {_count(len(folders), 'folder')}, and the images of {dataset.name} have no labels; put all "
            "images into one folder"
        )
    names = name_class_folders(dataset.class_names, dataset.spec.classes)
    for known in (names, list(map(str, range(len(names))))):
        if set(folders) <= set(known):
            return {name: known.index(name) for name in folders}
    strange = next(name for name in folders if name not in names)
    listed = ", ".join(names[:10]) + ", …" * (len(names) > 10)
    raise UserError(
        f"the folder {strange} in {root} has the name of no class of {dataset.name}, which are {listed}; rename it, or "
        "put all images into one folder, for samples without labels"
    )


def _decode(root: Path, paths: Sequence[Path], dataset: Dataset, into: Tensor) -> None:
    """Decodes files into float32 images, a part of them at a time."""
    channels, *size = dataset.spec.shape
    read = zip(paths, read_images([os.fspath(path) for path in paths], tuple(size), exact=True), strict=True)
    with progress(f"reading {root.name}", len(paths)) as advance:
        for part in into.split(_AT_ONCE):
            pixels = np.empty(part.shape, np.uint8)
            for place, (path, image) in zip(pixels, read, strict=False):
                if isinstance(image, DeepImage):
                    raise UserError(f"{path} has more than 8 bits; convert it to 8 bits, or give a .npy file of floats")
                if channels == 1 and not (image == image[..., :1]).all():
                    raise UserError(f"{path} is in colour, and the images of {dataset.name} are grey")
                place[:] = image.transpose(2, 0, 1)[:channels]
                advance(1)
            part.copy_(normalise(torch.from_numpy(pixels)))


# Arrays


def _open_array(path: Path) -> np.ndarray:
    """Maps a .npy file into memory. Raises UserError for anything else; runs no code of the file."""
    try:
        # Unlike np.load, it takes neither archives nor pickles.
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # NumPy's reader of headers raises many kinds of errors
        raise UserError(f"{path} is not a .npy file of numbers ({' '.join(str(error).split())[:200]})") from None


def _read_array(path: Path, dataset: Dataset, black: int | None) -> tuple[Tensor, tuple[str, ...]]:
    """Returns the samples in a .npy file, and notes on their range."""
    array = _put_channels_first(path, _open_array(path), dataset)
    if len(array) < 2:
        raise UserError(f"{path} has {_count(len(array), 'sample')}; an evaluation needs at least 2")
    integers = array.dtype == np.uint8
    if array.dtype.kind != "f" and not (integers and dataset.spec.is_image):
        wanted = "uint8, from 0 to 255, or floats" if dataset.spec.is_image else "floats"
        raise UserError(f"{path} holds {array.dtype}; {wanted} are needed")
    if black is not None and (integers or not dataset.spec.bounded):
        held = "uint8, from 0 to 255" if integers else "points of the plane"
        raise UserError(f"--black is for images of floats, and {path} holds {held}; leave it out")
    samples = _allocate(path, len(array), dataset)
    with progress(f"reading {path.name}", len(array)) as advance:
        for start in range(0, len(array), _AT_ONCE):
            part = np.array(array[start : start + _AT_ONCE])
            with np.errstate(over="ignore"):  # a float64 beyond float32 is not finite, and is refused below
                part = part if integers else part.astype(np.float32)
            samples[start : start + len(part)] = normalise(torch.from_numpy(part))
            advance(len(part))
    if broken := int((~samples.flatten(1).isfinite().all(1)).sum()):
        raise UserError(f"{broken:,} of the {len(array):,} samples in {path} have values that are not finite")
    if integers or not dataset.spec.bounded:
        return samples, ()
    return _rescale(path, samples, black)


def _rescale(path: Path, images: Tensor, black: int | None) -> tuple[Tensor, tuple[str, ...]]:
    """Returns floats whose white is 1 as images in [-1, 1], and a note on the range in which they were."""
    low, high = images.min().item(), images.max().item()
    if low < -1 or high > 1 or (black == 0 and low < 0):
        wanted = "[0, 1]" if black == 0 else "[-1, 1], or in [0, 1] with --black 0"
        raise UserError(f"the values in {path} go from {low:g} to {high:g}; floats are in {wanted}")
    if black is None and low >= 0:
        raise UserError(
            f"no value in {path} is below 0, so that its black could be 0 or -1; say which: --black 0 for images in "
            "[0, 1], --black -1 for images in [-1, 1]"
        )
    if black == 0:
        images.mul_(2).sub_(1)
    return images, (f"{path.name}: floats from {low:g} to {high:g}, taken as {'[0, 1]' if black == 0 else '[-1, 1]'}",)


def _put_channels_first(path: Path, array: np.ndarray, dataset: Dataset) -> np.ndarray:
    shape = dataset.spec.shape
    layouts = {shape: lambda: array}
    if dataset.spec.is_image:
        channels, height, width = shape
        layouts.setdefault((height, width, channels), lambda: np.moveaxis(array, -1, 1))
        if channels == 1:
            layouts[height, width] = lambda: array[:, None]
    if array.ndim == 0 or array.shape[1:] not in layouts:
        wanted = " or ".join(str(("n", *layout)).replace("'n'", "n") for layout in layouts)
        size = "; nothing is resized here, but --image-size resizes the dataset" * dataset.spec.is_image
        raise UserError(f"{path} holds an array of shape {array.shape}, and {dataset.name} has {wanted}{size}")
    return layouts[array.shape[1:]]()


def _read_labels(path: Path, count: int, dataset: Dataset) -> tuple[Tensor, Tensor | None]:
    """Returns the labels in a .npy file and, for a dataset that has captions, the captions."""
    classes, words = dataset.spec.classes, len(dataset.spec.vocabulary)
    if not (classes or words):
        raise UserError(f"{dataset.name} has no labels, so --labels is not read; leave it out")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    array = _open_array(path)
    shape = (count, dataset.conditions.shape[1]) if words else (count,)
    if array.shape != shape:
        raise UserError(f"{path} holds labels of shape {array.shape}, and {shape} are needed for {count:,} samples")
    if array.dtype.kind not in "iu":
        raise UserError(f"{path} holds {array.dtype}; labels are whole numbers")
    last = (words or classes) - 1
    if array.min() < 0 or array.max() > last:
        raise UserError(f"the labels in {path} go from {array.min()} to {array.max()}; they are from 0 to {last}")
    labels = torch.from_numpy(array.astype(np.int64))
    if not words:
        return labels, None
    if not bool((labels[:, None] == all_captions()).all(2).any(1).all()):
        raise UserError(f"{path} holds captions that {dataset.name} has not: each has one word of a kind")
    # The first word of a caption is its digit, whose token is its class.
    return labels[:, 0], labels


def _allocate(path: Path, count: int, dataset: Dataset) -> Tensor:
    if count * dataset.spec.size * 4 > MOST_BYTES:
        raise UserError(f"the {count:,} samples in {path} do not fit in {MOST_BYTES // 2**30} GiB; give fewer")
    return torch.empty(count, *dataset.spec.shape)


def _count(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' * (count != 1)}"
