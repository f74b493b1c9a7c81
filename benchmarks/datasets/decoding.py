"""Reads image files of any size as arrays of one size."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageOps

from variants.recipe import UserError

# The formats that Pillow decodes itself, by the ending of a file's name. It hands others, such as EPS, to external
# programs, or only recognises them.
FORMATS = {
    "AVIF": ".avif",
    "BMP": ".bmp .dib",
    "DDS": ".dds",
    "GIF": ".gif",
    "ICO": ".ico",
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "JPEG2000": ".jp2 .j2k .jpx .jpf .j2c .jpc",
    "PCX": ".pcx",
    "PNG": ".png .apng",
    "PPM": ".ppm .pgm .pbm .pnm .pfm",
    "PSD": ".psd",
    "QOI": ".qoi",
    "SGI": ".sgi .rgb .rgba .bw",
    "SUN": ".ras",
    "TGA": ".tga",
    "TIFF": ".tif .tiff",
    "WEBP": ".webp",
    "XBM": ".xbm",
    "XPM": ".xpm",
}
ENDINGS = frozenset(" ".join(FORMATS.values()).split())
# Files that are read at once, by a few threads: Pillow decodes and resizes without holding the interpreter.
_AT_ONCE = 256


class DeepImage(NamedTuple):
    """Holds a grey image of more than 8 bits."""

    # Resized.
    values: Float32[np.ndarray, "height width"]
    # The range of the values in its file.
    low: float
    high: float


def read_images(
    paths: Sequence[str], size: tuple[int, int], *, exact: bool = False
) -> Iterator[UInt8[np.ndarray, "height width 3"] | DeepImage]:
    """Reads images in their order, each as `read_image` does. Raises UserError for the first unreadable one.

    exact: raise UserError for an image of another size, too, in the place of resizing it.
    """
    with _bombs_are_errors(), ThreadPoolExecutor() as threads:
        for start in range(0, len(paths), _AT_ONCE):
            yield from threads.map(partial(_read, size=size, exact=exact), paths[start : start + _AT_ONCE])


def read_image(path: str, size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"] | DeepImage:
    """Reads an image, crops it in the middle to the proportions of (height, width) and resizes it.

    Transparent parts become white. Raises UserError for a file that cannot be read, or has too many pixels.
    """
    with _bombs_are_errors():
        return _read(path, size)


@contextmanager
def _bombs_are_errors() -> Iterator[None]:
    # Filters of warnings belong to the process, so they are set before the threads start.
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _read(path: str, size: tuple[int, int], exact: bool = False) -> UInt8[np.ndarray, "height width 3"] | DeepImage:
    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            upright = _convert_mode(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, or remove it"
        ) from None
    except Exception as error:  # decoders raise many kinds of errors
        raise UserError(f"{path} cannot be read as an image ({error}); repair it, or remove it") from None
    if exact and upright.size != size[::-1]:
        raise UserError(
            f"{path} has {upright.height}x{upright.width} pixels, and {size[0]}x{size[1]} are needed; nothing is "
            "resized here, which would change the figures: resize it, or choose another --image-size"
        )
    resized = resize(upright, size)
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


def resize(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Crops an image in the middle to the proportions of (height, width), and resizes it by Lanczos' filter."""
    return np.array(ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS))


def stretch(images: Sequence[DeepImage], count: int) -> tuple[UInt8[np.ndarray, "images height width"], str]:
    """Scales grey images of more than 8 bits to 8 bits, by the range of all of them, and returns a note on it.

    count: of all images. The range has to be measured: a 16-bit file of a 12-bit detector uses a sixteenth of its
    values.
    """
    values = np.stack([image.values for image in images])
    low, high = min(image.low for image in images), max(image.high for image in images)
    share = "all images have" if len(images) == count else f"{len(images)} of {count} images have"
    note = f"{share} more than 8 bits: their values from {low:g} to {high:g} are stretched to 0 to 255"
    return np.rint((values - low) * (255 / ((high - low) or 1))).astype(np.uint8), note
