"""Sets the style of all figures, and turns them into bytes: the same bytes for the same numbers in one environment."""

import io
import math
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

WIDTH = 9.0  # inches; at 72 points an inch a little less than GitHub's column, so that text keeps its size

_PLACES = re.compile(rb' d="[^"]*"|translate\([^)]*\)')
_DIGITS = re.compile(rb"(\.\d)\d+")


@contextmanager
def figure_style() -> Iterator[None]:
    """Sets our style, whatever the user's own settings are, and without a display."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        seaborn.set_theme(style="whitegrid", font_scale=0.9)
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "reports",
                "svg.fonttype": "path",
                "font.family": "DejaVu Sans",
                "figure.facecolor": "white",
                "path.simplify": True,
                "path.simplify_threshold": 0.5,
            }
        )
        yield


def to_svg(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # The solver of the layout meets its constraints in another order in each process, so that places differ in their
    # last digits, and with them the names of clip paths, which are hashes of places.
    # And text is as wide as an SVG has it: another renderer rounds it to pixels, and labels would be cut off.
    FigureCanvasSVG(figure)
    figure.set_dpi(FigureCanvasSVG.fixed_dpi)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        ax.set_position([round(place, 5) for place in ax.get_position().bounds])
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    # A tenth of a point cannot be seen; the digits beyond it are half of the file.
    return _PLACES.sub(lambda found: _DIGITS.sub(rb"\1", found[0]), out.getvalue())


def mark_decades(ax: "Axes") -> None:
    """Puts plain numbers on a logarithmic axis, as many per decade as there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_ylim()
    few = math.log10(high / low) < 4
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def plain_label(text: str, longest: int = 48) -> str:
    """Returns text from outside for matplotlib: without mathematics and line ends, cut to the room that there is."""
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    # Between dollars matplotlib would read mathematics.
    return "".join(c if c.isprintable() else "�" for c in shown).replace("$", r"\$")


def in_lines(text: str, width: int, lines: int = 2) -> str:
    """Returns text from outside in lines of `width` characters."""
    return "\n".join(textwrap.wrap(plain_label(text, lines * width), width))


def compact_picture(data: bytes, colors: int = 0) -> bytes | None:
    """Decodes a sample picture of a run and encodes it anew as a compact PNG; None unless it is a PNG of sane size.

    colors: reduces it to so many, for pages with many pictures; 0 keeps all.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > 4096:
                return None
            pixels = image.convert("L" if _is_grey(image) else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if colors:
        pixels = _reduced(pixels, colors)
    out = io.BytesIO()
    pixels.save(out, "PNG", optimize=True)
    return out.getvalue()


def _is_grey(image: "Image") -> bool:
    """Returns whether a picture is grey; a picture that was reduced before stays the same when reduced again."""
    if image.mode != "P":
        return image.mode in ("1", "L", "I;16")
    palette = image.getpalette("RGB")
    return palette[::3] == palette[1::3] == palette[2::3]


def _reduced(pixels: "Image", colors: int) -> "Image":
    """Returns a picture with so many colours; a grey one gets evenly spaced greys, so that white stays white."""
    from PIL import Image

    if pixels.mode != "L":
        return pixels.quantize(colors, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    places = pixels.point([round(grey * (colors - 1) / 255) for grey in range(256)])
    reduced = Image.frombytes("P", places.size, places.tobytes())
    reduced.putpalette([round(255 * place / (colors - 1)) for place in range(colors) for _ in "RGB"])
    return reduced
