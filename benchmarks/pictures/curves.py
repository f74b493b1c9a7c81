"""Draws the course of training: losses, and the discriminator's outputs for real and generated examples."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pictures.colours import DISCRIMINATOR_COLOUR, FAKE_COLOUR, GENERATOR_COLOUR, GREY, INK, REAL_COLOUR
from benchmarks.pictures.samples import write_figure


def draw_loss_curves(lines: Sequence[Mapping[str, Any]], out: Path | str, unit: str = "nats") -> None:
    """Draws the losses and the mean D(real) and D(fake) of a journal's lines into a PNG file.

    Each loss has its own axis, because one may be a thousand times the other. Values that are not finite leave gaps.
    unit: of the losses.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = [
        (f"generator loss ({unit})", [("generator_loss", "generator", GENERATOR_COLOUR, "-")]),
        (f"discriminator loss ({unit})", [("discriminator_loss", "discriminator", DISCRIMINATOR_COLOUR, "-")]),
        (
            "mean of D (probability)",
            [("d_real", "D(real)", REAL_COLOUR, "-"), ("d_fake", "D(fake)", FAKE_COLOUR, "--")],
        ),
    ]
    # pyplot would keep the figure for ever, for the whole process.
    figure = Figure(figsize=(7.2, 6.6), dpi=120)
    axes = figure.subplots(len(panels), sharex=True)
    # matplotlib's automatic layout takes as long as all the rest.
    figure.subplots_adjust(left=0.13, right=0.985, bottom=0.08, top=0.985, hspace=0.12)
    for axis, (label, curves) in zip(axes, panels, strict=True):
        for name, legend, colour, style in curves:
            points = [(line["epoch"], line["curves"][name]) for line in lines if name in line.get("curves", {})]
            epochs = [epoch for epoch, _ in points]
            values = [value if math.isfinite(value) else math.nan for _, value in points]
            marker = "o" if len(epochs) < 40 else ""
            axis.plot(epochs, values, style, color=colour, label=legend, marker=marker, markersize=3.5, linewidth=1.8)
        axis.set_ylabel(label, color=INK)
        axis.yaxis.set_label_coords(-0.1, 0.5)
        axis.grid(alpha=0.25, linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GREY)
        axis.margins(x=0.02)
    axes[-1].set_ylim(-0.03, 1.03)
    axes[-1].axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes[-1].legend(frameon=False, loc="best")
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    write_figure(out, figure)
