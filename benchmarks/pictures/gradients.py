"""Draws the generator's gradient under two losses, while the discriminator is trained further."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pictures.colours import FAKE_COLOUR, GREY, INK, NON_SATURATING_COLOUR, SATURATING_COLOUR
from benchmarks.pictures.samples import write_figure

_STYLES = {
    "saturating": ("log(1 − D(G(z)))", SATURATING_COLOUR, "-"),
    "non_saturating": ("−log D(G(z))", NON_SATURATING_COLOUR, "--"),
}


def draw_gradient_curves(points: Sequence[Mapping[str, Any]], out: Path | str, title: str = "") -> None:
    """Draws the norms of the gradients, the steps that follow from them, and mean D(fake), into a PNG file.

    points: {"updates": …, "d_fake": …, "norms": {loss: [one a noise batch]}, "steps": {loss: …}}, as the gradient probe
    writes them. Axes are logarithmic; a band spans the noise batches, a line is their median. A zero leaves a gap.
    """
    from matplotlib.figure import Figure

    # pyplot would keep the figure for ever, for the whole process.
    figure = Figure(figsize=(7.2, 7.2), dpi=120, layout="constrained")
    axes = figure.subplots(3, sharex=True, height_ratios=(3, 2, 2))
    updates = [point["updates"] for point in points]
    for loss, (legend, colour, style) in _STYLES.items():
        norms = [point["norms"][loss] for point in points]
        low, middle, high = ([_positive_or_nan(of(each)) for each in norms] for of in (min, statistics.median, max))
        axes[0].fill_between(updates, low, high, color=colour, alpha=0.25, linewidth=0)
        axes[0].plot(updates, middle, style, color=colour, label=legend, linewidth=1.8)
        steps = [_positive_or_nan(point["steps"][loss]) for point in points]
        axes[1].plot(updates, steps, style, color=colour, linewidth=1.8)
    axes[2].plot(updates, [_positive_or_nan(point["d_fake"]) for point in points], color=FAKE_COLOUR, linewidth=1.8)
    labels = ("norm of the generator's\ngradient", "norm of the step that the\noptimiser makes of it", "mean D(G(z))")
    for axis, label in zip(axes, labels, strict=True):
        axis.set_yscale("log")
        axis.set_ylabel(label, color=INK)
        axis.grid(alpha=0.25, linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GREY)
    axes[0].legend(frameon=False, loc="best", title="the generator descends")
    axes[-1].set_xscale("symlog", linthresh=1, linscale=0.4)
    axes[-1].set_xlim(0, max(updates[-1], 1))
    axes[-1].set_xlabel("discriminator updates since the generator was frozen")
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    figure.align_ylabels(axes)
    write_figure(out, figure)


def _positive_or_nan(value: float) -> float:
    return value if 0 < value < float("inf") else float("nan")
