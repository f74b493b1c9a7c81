"""Image files of every kind become arrays of one size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from benchmarks.datasets.decoding import ENDINGS, FORMATS, DeepImage, read_image, read_images
from variants.recipe import UserError

# Formats that Pillow writes, and those that it only reads.
WRITTEN = sorted(ENDINGS - set(FORMATS["PSD"].split()) - set(FORMATS["SUN"].split()))


@pytest.mark.parametrize("ending", WRITTEN)
def test_an_image_of_each_format_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{ending.upper()}"
    grey = Image.linear_gradient("L").resize((16, 16))
    mode = {".xbm": "1", ".pbm": "1", ".pfm": "F", ".pgm": "L"}.get(ending, "RGB")
    kind = next(kind for kind, endings in FORMATS.items() if ending in endings.split())
    if kind in ("AVIF", "WEBP") and not features.check(kind.lower()):
        pytest.skip(f"this Pillow has no {kind}")
    if kind == "XPM":  # Pillow reads it, and does not write it
        rows = ",\n".join(f'"{"ab" * 8}"' for _ in range(16))
        path.write_text(
            f'/* XPM */\nstatic char *a[] = {{\n"16 16 2 1",\n"a c #000000",\n"b c #FFFFFF",\n{rows}\n}};\n'
        )
    else:
        grey.convert(mode).save(path, kind)
    read = read_image(str(path), (16, 16))
    if ending == ".pfm":
        assert isinstance(read, DeepImage)
        assert (read.low, read.high) == grey.getextrema()
    else:
        assert read.shape == (16, 16, 3)
        assert abs(read.astype(int) - np.asarray(path_as_rgb(path)).astype(int)).max() <= 1


def path_as_rgb(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def test_no_format_needs_another_program() -> None:
    assert not set(FORMATS) & {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "PDF"}


def test_height_comes_before_width_and_the_middle_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((30, 60), np.uint8)
    pixels[:, 10:50] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_image(str(tmp_path / "a.png"), (12, 8)).shape == (12, 8, 3)
    assert set(read_image(str(tmp_path / "a.png"), (12, 8)).flatten()) == {200}


def test_images_come_in_their_order_and_the_first_unreadable_one_is_named(tmp_path: Path) -> None:
    paths = []
    for number in range(600):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.new("L", (4, 4), number % 251).save(paths[-1], compress_level=0)
    assert [image[0, 0, 0] for image in read_images(paths, (4, 4))] == [number % 251 for number in range(600)]
    for number in (500, 300):
        Path(paths[number]).write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"/300.png cannot be read as an image"):
        list(read_images(paths, (4, 4)))
