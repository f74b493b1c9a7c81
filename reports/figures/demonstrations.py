"""Draws what a claim describes, where there is nothing to decide: an operation, worked by hand."""

from typing import TYPE_CHECKING

import numpy as np

from reports.figures.style import WIDTH, figure_style, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One entry of a small input each, and a kernel whose entries can be told apart.
INPUT = np.array([[1, 2], [3, 4]])
KERNEL = np.array([[1, 0, 1], [0, 2, 0], [1, 0, 1]])


def transpose_convolve(values: np.ndarray, kernel: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Computes a transposed convolution of stride 1 without padding, as C3 describes it.

    Returns the whole kernel times each entry of `values` (rows, columns), in its place in the output, and their sum:
    (rows + kernel rows - 1, columns + kernel columns - 1).
    """
    size = tuple(a + b - 1 for a, b in zip(values.shape, kernel.shape, strict=True))
    parts = []
    for (row, column), value in np.ndenumerate(values):
        part = np.zeros(size, values.dtype)
        part[row : row + kernel.shape[0], column : column + kernel.shape[1]] = value * kernel
        parts.append(part)
    return parts, np.sum(parts, axis=0)


def draw_transposed_convolution() -> bytes:
    """Draws 2×2 becoming 4×4 as SVG: the input, the kernel, the kernel times each entry, and the sum."""
    parts, output = transpose_convolve(INPUT, KERNEL)
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
        above, below = figure.subfigures(2, 1)
        shown = {"input, 2×2": INPUT, "kernel, 3×3": KERNEL, "output, 4×4: the sum of the four": output}
        for ax, (title, values) in zip(above.subplots(1, 3), shown.items(), strict=True):
            _draw_entries(ax, values, title)
        for ax, part, value in zip(below.subplots(1, 4), parts, INPUT.flat, strict=True):
            _draw_entries(ax, part, f"{value} × the kernel")
        return to_svg(figure)


def _draw_entries(ax: "Axes", values: np.ndarray, title: str) -> None:
    """Draws entries as squares, of one size in all panels."""
    from matplotlib.patches import Rectangle

    rows, columns = values.shape
    colored = np.ma.masked_equal(values, 0)
    ax.pcolormesh(np.arange(columns + 1), np.arange(rows + 1), colored, cmap="Blues", vmin=0, vmax=14, edgecolor="0.8")
    for (row, column), value in np.ndenumerate(values):
        color = "0.75" if value == 0 else "0.1"
        ax.text(column + 0.5, row + 0.5, str(value), ha="center", va="center", color=color)
        ax.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="0.8"))
    ax.set_title(title, fontsize="small")
    ax.set(xlim=(-0.1, 4.1), ylim=(4.1, -0.1), aspect="equal")
    ax.axis("off")
