"""A person's own images: one subfolder a class."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps

from benchmarks.config import DatasetConfig
from benchmarks.datasets.base import Dataset, Split, takes
from benchmarks.datasets.images import labelled
from variants.recipe import Refused

DEFAULT_SIZE = 32
# Only what decodes pixels: Pillow also opens formats that it hands to other programs.
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


@takes("image_size", seed=False)
def folder(config: DatasetConfig, data_dir: Path, seed: int) -> Dataset:
    """folder:PATH, a person's own images, one subfolder a class, cut to squares of --image-size (32)

    Each image is cut to the square in its middle and resized. They are grey where all of them are, else colour.
    Transparent parts become white. Split: within a class, in the order of their names, the second of every five is for
    testing. Links that lead out of the folder, and files that are not images by their name, are left out, and that is
    said.
    """
    root = Path(config.name.partition(":")[2]).expanduser()
    size = config.image_size or DEFAULT_SIZE
    if config.name in ("folder", "folder:"):
        raise Refused("which folder? --dataset folder:PATH, where PATH has one subfolder of images for each class")
    if not root.is_dir():
        raise Refused(f"there is no folder {root}")
    notes: list[str] = []
    classes = _classes_of(root, notes)
    if len(classes) < 2:
        found = f"only one folder, {classes[0]}," if classes else "no folders"
        raise Refused(f"{root} has {found} in it; it needs two or more, each with the images of one class")
    files = {name: _images_of(root / name, root, notes) for name in classes}
    for name, paths in files.items():
        if len(paths) < 2:
            raise Refused(
                f"{root / name} has {len(paths)} images; a class needs at least 2, one to train and one to test"
            )
    count = sum(len(paths) for paths in files.values())
    if count * 3 * size**2 > MOST_BYTES:
        raise Refused(f"{count:,} images of {size}x{size} do not fit in memory; choose a smaller --image-size")

    data = torch.empty((count, 3, size, size), dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    testing = torch.empty(count, dtype=torch.bool)
    every = ((path, label, place) for label, name in enumerate(classes) for place, path in enumerate(files[name]))
    for index, (path, label, place) in enumerate(every):
        data[index] = torch.from_numpy(_read(path, size)).permute(2, 0, 1)
        labels[index] = label
        testing[index] = place % 5 == 1
    if (data == data[:, :1]).all():
        data = data[:, :1].contiguous()
    dataset = labelled(
        f"folder:{root.resolve().name}",
        Split(data[~testing], labels[~testing]),
        Split(data[testing], labels[testing]),
        tuple(classes),
        notes=tuple(notes),
    )
    # A classifier of such images is kept for later: of these very images, whatever other folders are called.
    return replace(dataset, extractor=f"folder-{dataset.checksum[:12]}")


def _classes_of(root: Path, notes: list[str]) -> list[str]:
    """The names of the class folders in their order. What is left out is noted."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path.name for path in _only_inside(folders, root, root, notes)]


def _only_inside(paths: list[Path], folder: Path, root: Path, notes: list[str]) -> list[Path]:
    inside = [path for path in paths if path.resolve().is_relative_to(root.resolve())]
    if len(inside) < len(paths):
        notes.append(f"left out of {folder}: {len(paths) - len(inside)} links that lead out of {root}")
    return inside


def _images_of(folder: Path, root: Path, notes: list[str]) -> list[Path]:
    """The images of one class in the order of their names. What is left out is noted."""
    entries = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    inside = _only_inside(entries, folder, root, notes)
    images = [path for path in inside if path.suffix.lower() in FORMATS]
    if len(images) < len(inside):
        notes.append(f"left out of {folder}: {len(inside) - len(images)} files that are not images by their name")
    return images


def _read(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """One image as RGB, cut to the square in its middle and resized. Raises Refused, with its name, if that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=tuple(set(FORMATS.values()))) as image:
                upright = _as_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, or remove it"
        ) from None
    except Exception as error:  # decoders fail in many ways, and all of them mean this
        raise Refused(f"{path} cannot be read as an image ({error}); repair it, or remove it") from None
    return np.array(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip at 255
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("its values are neither of 8 nor of 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
