"""Loads a user's own images: one subfolder a class."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image, ImageOps

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Dataset, Split, takes
from benchmarks.datasets.images import make_labelled
from metrics.features import LARGEST_IMAGE_SIDE, SMALLEST_MAP
from variants.recipe import UserError

DEFAULT_SIZE = 32
# Only formats that Pillow decodes itself: it hands others to external programs.
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pgm": "PPM",
    ".ppm": "PPM",
}
MOST_BYTES = 4 * 2**30  # of all images together, once they are resized
# The brightest value, of 255, below which a note calls the images nearly black; chosen, not tuned.
NEARLY_BLACK = 64


class DeepImage(NamedTuple):
    """Holds a grey image of more than 8 bits."""

    # Resized.
    values: Float32[np.ndarray, "size size"]
    # The range of the values in its file.
    low: float
    high: float


@takes("image_size", seed=False)
def folder(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """folder:PATH, a person's own images, one subfolder a class, cut to squares of --image-size (32)

    Each image is cropped to its central square and resized. The data is grey if all images are, else in colour.
    Transparent parts become white. Grey images of more than 8 bits are stretched, so that the darkest and the brightest
    value of all of them become black and white; a note says so. Split: within a class, in the order of their names, the
    second of every five images is for testing. Links that lead out of the folder, and files without the name of an
    image, are left out; a note says so.

    Raises UserError for fewer than two classes, from which a classifier can learn nothing.
    """
    if not config.path or not Path(config.path).name:
        raise UserError("which folder? --dataset folder:PATH, where PATH has one subfolder of images for each class")
    root, size = Path(config.path), config.image_size or DEFAULT_SIZE
    if not root.is_dir():
        raise UserError(f"there is no folder {root}")
    if not SMALLEST_MAP <= size <= LARGEST_IMAGE_SIDE:
        raise UserError(
            f"--image-size of a folder is {SMALLEST_MAP} to {LARGEST_IMAGE_SIDE}, as its classifier needs, not {size}"
        )
    notes: list[str] = []
    classes = _classes_of(root, notes)
    if len(classes) < 2:
        found = f"only one folder, {classes[0]}," if classes else "no folders"
        beside = _count_endings(_entries(root)[1])
        raise UserError(
            f"{root} has {found} in it{f' beside {beside}' if beside else ''}; it needs two or more, each with the "
            "images of one class, so that the classifier has something to learn"
        )
    files = {name: _images_of(root / name, root, notes) for name in classes}
    for name, paths in files.items():
        if len(paths) < 2:
            raise UserError(
                f"{root / name} has {len(paths)} images{_describe_others(root / name)}; a class needs at least 2 "
                "directly in its folder, one to train and one to test"
            )
    count = sum(len(paths) for paths in files.values())
    if count * 3 * size**2 > MOST_BYTES:
        raise UserError(f"{count:,} images of {size}x{size} do not fit in memory; choose a smaller --image-size")

    data = torch.empty((count, 3, size, size), dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    testing = torch.empty(count, dtype=torch.bool)
    deep: dict[int, DeepImage] = {}
    every = ((path, label, place) for label, name in enumerate(classes) for place, path in enumerate(files[name]))
    for index, (path, label, place) in enumerate(every):
        image = _read(path, size)
        if isinstance(image, DeepImage):
            deep[index] = image
        else:
            data[index] = torch.from_numpy(image).permute(2, 0, 1)
        labels[index] = label
        testing[index] = place % 5 == 1
    if deep:
        stretched, note = _stretch(list(deep.values()), count)
        data[list(deep)] = torch.from_numpy(stretched)[:, None]
        notes.append(note)
    if (data == data[:, :1]).all():
        data = data[:, :1].contiguous()
    if (brightest := int(data.max())) < NEARLY_BLACK:
        notes.append(f"the images of {root.name} are nearly black: their brightest value is {brightest} of 255")
    dataset = make_labelled(
        config.name,
        Split(data[~testing], labels[~testing]),
        Split(data[testing], labels[testing]),
        tuple(classes),
        notes=tuple(notes),
    )
    # The classifier is kept under a name of these very images, not of the folder.
    return replace(dataset, extractor=f"folder-{dataset.checksum[:12]}")


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Lists the folders and the files in a folder, in the order of their names, without hidden ones."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return [path for path in entries if path.is_dir()], [path for path in entries if path.is_file()]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None


def _classes_of(root: Path, notes: list[str]) -> list[str]:
    """Lists the names of the class folders, and notes what is left out."""
    return [path.name for path in _only_inside(_entries(root)[0], root, root, notes)]


def _only_inside(paths: list[Path], folder: Path, root: Path, notes: list[str]) -> list[Path]:
    inside = [path for path in paths if path.resolve().is_relative_to(root.resolve())]
    if len(inside) < len(paths):
        left = f"{len(paths) - len(inside)} links that lead out of {root.name}"
        notes.append(f"left out of {_relative_name(folder, root)}: {left}")
    return inside


def _relative_name(folder: Path, root: Path) -> str:
    """Names a folder for notes, which are published, without its place on this machine."""
    return folder.relative_to(root.parent).as_posix()


def _images_of(folder: Path, root: Path, notes: list[str]) -> list[Path]:
    """Lists the images of one class in the order of their names, and notes what is left out."""
    inside = _only_inside(_entries(folder)[1], folder, root, notes)
    images = [path for path in inside if path.suffix.lower() in FORMATS]
    if len(images) < len(inside):
        left = f"{len(inside) - len(images)} files that are not images by their name"
        notes.append(f"left out of {_relative_name(folder, root)}: {left}")
    return images


def _count_endings(files: Sequence[Path]) -> str:
    """Counts files by their endings, as `12 files .npy, 1 file .txt`; "" for none."""
    counts = Counter(path.suffix.lower() or "without an ending" for path in files)
    return ", ".join(f"{count} file{'s' * (count > 1)} {ending}" for ending, count in counts.most_common(5))


def _describe_others(folder: Path) -> str:
    """Describes what a folder with hardly any images has instead, as a part of a sentence from its comma on."""
    folders, files = _entries(folder)
    hidden = sum(path.name.startswith(".") for path in folder.iterdir())
    others = _count_endings([path for path in files if path.suffix.lower() not in FORMATS])
    named = ", ".join(path.name for path in folders[:3]) + ", …" * (len(folders) > 3)
    inner = f"the folders {named}, which are not looked into (folder:{folder} takes them for the classes)"
    found = [inner] * bool(folders) + [others] * bool(others)
    found += [f"{hidden} hidden, which are left out"] * bool(hidden)
    return f", but {' and '.join(found)}" if found else ""


def _stretch(images: Sequence[DeepImage], count: int) -> tuple[UInt8[np.ndarray, "images size size"], str]:
    """Scales grey images of more than 8 bits to 8 bits, by the range of all of them, and returns a note on it.

    The range has to be measured: a 16-bit file of a 12-bit detector uses a sixteenth of its values.
    """
    values = np.stack([image.values for image in images])
    low, high = min(image.low for image in images), max(image.high for image in images)
    share = "all images have" if len(images) == count else f"{len(images)} of {count} images have"
    note = f"{share} more than 8 bits: their values from {low:g} to {high:g} are stretched to 0 to 255"
    return np.rint((values - low) * (255 / ((high - low) or 1))).astype(np.uint8), note


def _read(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"] | DeepImage:
    """Reads an image, crops it to its central square and resizes it: RGB, or DeepImage. Raises UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=tuple(set(FORMATS.values()))) as image:
                upright = _convert_mode(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, or remove it"
        ) from None
    except Exception as error:  # decoders raise many kinds of errors
        raise UserError(f"{path} cannot be read as an image ({error}); repair it, or remove it") from None
    resized = np.array(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))
    if upright.mode != "F":
        return resized
    low, high = upright.getextrema()
    # Resizing overshoots beside an edge.
    return DeepImage(resized.clip(low, high), low, high)


def _convert_mode(image: Image.Image) -> Image.Image:
    """Converts an image to RGB, or to F if its values have more than 8 bits, which Pillow would clip at 255."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("a value is not finite")
        return Image.fromarray(values)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
