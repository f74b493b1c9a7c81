"""Draws samples as grids of images or points of the plane, animates them over the epochs, and writes picture files."""

import math
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.datasets import quantise
from benchmarks.pictures.colours import DISCRIMINATOR_COLOUR, GENERATOR_COLOUR, GREY, INK
from variants.recipe import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pixels; chosen by eye: tiles of a 10×10 grid are legible, and the grid fits a Markdown page.
_TILE, _GAP, _MARGIN = 56, 3, 6
# Neither the black nor the white of a digit's image.
_GAP_GREY = 150
_FONT, _SMALLEST_FONT = 16, 9
# A PNG of samples is as small as with zlib's default level, 6, and takes a seventh of the time.
_COMPRESSION = {"compress_level": 4}
# More or larger frames would make a GIF slow to send and to open.
_FRAMES, _FRAME_SIDE = 120, 720


def draw_grid(
    images: Float[Tensor, "count channels height width"], columns: int, titles: Sequence[str] = (), caption: str = ""
) -> Image.Image:
    """Draws images row by row, each pixel as a square of whole screen pixels, so that 8×8 digits are legible.

    images: in [-1, 1], values outside are clipped; 1 or 3 channels. titles: one for each column, or none. caption: a
    line below. Raises UserError for another number of titles.
    """
    if titles and len(titles) != columns:
        raise UserError(f"{len(titles)} titles for {columns} columns; give one for each column, or none")
    count, channels, height, width = images.shape
    scale = max(1, round(_TILE / max(height, width)))
    rows, tile_height, tile_width = math.ceil(count / columns), height * scale, width * scale
    font, wrapped = _fit_titles(titles, tile_width)
    top = _MARGIN + (max(len(lines) for lines in wrapped) * _line_height(font) + 2 if titles else 0)
    bottom = _MARGIN + (_line_height(_font(_FONT)) + 2 if caption else 0)
    grid_width, grid_height = columns * (tile_width + _GAP) + _GAP, rows * (tile_height + _GAP) + _GAP
    size = (grid_width + 2 * _MARGIN, top + grid_height + bottom)

    pixels = quantise(images.detach().cpu()).numpy()
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3).transpose(0, 2, 3, 1)
    canvas = np.full((size[1], size[0], channels), 255, dtype=np.uint8)
    canvas[top : top + grid_height, _MARGIN : _MARGIN + grid_width] = _GAP_GREY
    for index, tile in enumerate(pixels):
        y = top + _GAP + index // columns * (tile_height + _GAP)
        x = _MARGIN + _GAP + index % columns * (tile_width + _GAP)
        canvas[y : y + tile_height, x : x + tile_width] = tile
    picture = Image.fromarray(canvas[..., 0] if channels == 1 else canvas)

    draw = ImageDraw.Draw(picture)
    for column, lines in enumerate(wrapped):
        x = _MARGIN + _GAP + column * (tile_width + _GAP) + tile_width / 2
        draw.multiline_text((x, top - 3), "\n".join(lines), font=font, fill=INK, anchor="md", align="center", spacing=2)
    if caption:
        draw.text((size[0] / 2, size[1] - _MARGIN + 2), caption, font=_font(_FONT), fill=INK, anchor="md")
    return picture


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    return sum(font.getmetrics())


def _fit_titles(titles: Sequence[str], width: int) -> tuple[ImageFont.FreeTypeFont, list[list[str]]]:
    """Chooses the largest font in which all titles, wrapped between words, fit this width; cuts what does not fit."""
    for size in range(_FONT, _SMALLEST_FONT - 1, -1):
        font = _font(size)
        wrapped = [_wrap(title, font, width) for title in titles]
        if all(font.getlength(line) <= width for lines in wrapped for line in lines):
            break
    return font, [[_cut(line, font, width) for line in lines] for lines in wrapped]


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    return next(cut for end in range(len(line), -1, -1) if font.getlength(cut := line[:end] + "..") <= width or not end)


def _wrap(title: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def draw_points(
    points: Float[Tensor, "count 2"],
    centres: Float[Tensor, "modes 2"] | None,
    limit: float,
    *,
    radius: float = 0.0,
    caption: str = "",
    side: int = 480,
) -> Image.Image:
    """Draws points in the square [-limit, limit]², darker where they overlap.

    centres: of the modes, each drawn as a circle of this radius, in the units of the points, or larger to be visible.
    Points outside are counted below the picture.
    """
    fine = 2 * side  # drawn at twice the size and halved, for smooth edges
    places = (points.detach().double().cpu().numpy() * [1, -1] / limit + 1) * (fine / 2)
    inside = np.isfinite(places).all(axis=1) & (places >= 0).all(axis=1) & (places < fine).all(axis=1)
    columns, rows = places[inside].astype(int).T
    # At most 6 a pixel, so that the sum over the 37 pixels of a dot fits a byte.
    hits = np.bincount(rows * fine + columns, minlength=fine * fine).clip(max=6).astype(np.uint8).reshape(fine, fine)
    layers = np.zeros((fine + 6, fine + 6), dtype=np.uint8)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            if dx * dx + dy * dy <= 10:
                layers[3 + dy : 3 + dy + fine, 3 + dx : 3 + dx + fine] += hits
    ink = 1 - 0.72 ** np.arange(256)[:, None]
    colours = (255 + (np.array(ImageColor.getrgb(GENERATOR_COLOUR)) - 255) * ink).round().astype(np.uint8)
    picture = Image.fromarray(colours[layers[3:-3, 3:-3]])

    draw = ImageDraw.Draw(picture)
    drawn = max(radius / limit * fine / 2, 0.018 * fine)
    for x, y in [] if centres is None else centres.detach().double().cpu().numpy() * [1, -1] / limit:
        middle_x, middle_y = (x + 1) * fine / 2, (y + 1) * fine / 2
        box = (middle_x - drawn, middle_y - drawn, middle_x + drawn, middle_y + drawn)
        draw.ellipse(box, outline=DISCRIMINATOR_COLOUR, width=3)
    picture = picture.resize((side, side), Image.Resampling.BOX)

    line = _line_height(_font(_FONT)) + 6
    framed = Image.new("RGB", (side + 2 * _MARGIN, side + 2 * _MARGIN + line), "white")
    framed.paste(picture, (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(framed)
    draw.rectangle((_MARGIN - 1, _MARGIN - 1, _MARGIN + side, _MARGIN + side), outline=GREY)
    outside = len(points) - int(inside.sum())
    text = f"{outside:,} of {len(points):,} points outside" if outside else f"{len(points):,} points"
    axis = f"axes from -{limit:g} to {limit:g}"
    words = ", ".join(filter(None, (caption, text, axis)))
    draw.text((side / 2 + _MARGIN, side + _MARGIN + line), words, font=_font(14), fill=INK, anchor="md")
    return framed


def animate(paths: Sequence[Path | str], out: Path | str, seconds: float = 12.0) -> None:
    """Writes pictures as an endless GIF of about so many seconds that rests on its last frame.

    Takes at most 120 pictures, evenly, with the first and the last, and shrinks large ones. Raises UserError without
    pictures.
    """
    import imageio.v3 as imageio

    if not paths:
        raise UserError("there are no pictures to animate")
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), _FRAMES)).round().astype(int)
    frames = []
    for index in chosen:
        with Image.open(paths[index]) as picture:
            picture.thumbnail((_FRAME_SIDE, _FRAME_SIDE), Image.Resampling.LANCZOS)
            frames.append(_reduce_colours(picture))
    each = min(500.0, max(40.0, 1000 * seconds / len(frames)))
    rest = 2000.0
    durations = [each] * (len(frames) - 1) + [rest] if len(frames) > 1 else rest
    write_picture(out, imageio.imwrite("<bytes>", frames, extension=".gif", duration=durations, loop=0))


def _reduce_colours(picture: Image.Image) -> np.ndarray:
    """Reduces a picture to 16 greys or 64 colours, which is not visible and makes the GIF a third smaller."""
    if picture.mode == "L":
        return (np.asarray(picture).astype(np.uint16) * 15 + 127) // 255 * np.uint8(17)
    return np.asarray(picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).convert("RGB"))


def encode_png(picture: Image.Image) -> bytes:
    """Returns a picture as the bytes of a PNG file."""
    file = BytesIO()
    picture.save(file, "png", **_COMPRESSION)
    return file.getvalue()


def write_figure(out: Path | str, figure: "Figure") -> None:
    """Writes a figure of matplotlib as a PNG file. Raises UserError if it cannot be written."""
    file = BytesIO()
    # Without version and date, so that the same figure gives the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None}, pil_kwargs=_COMPRESSION)
    write_picture(out, file.getvalue())


def write_picture(out: Path | str, data: bytes) -> None:
    """Writes a file in one step, so that no partial file is ever seen. Raises UserError if it cannot be written."""
    beside = Path(f"{out}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
