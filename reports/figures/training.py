"""Draws figures over training, against the number of modes, and of the gradients of both losses."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reports.figures.style import WIDTH, figure_style, in_lines, mark_decades, plain_label, to_svg
from reports.reading.runs import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More lines than this in one panel cannot be told apart.
LINES_IN_A_PANEL = 6

_DASHES = ((), (5, 1.5), (1.2, 1.2), (5, 1.5, 1.2, 1.5), (8, 2), (3, 1.5, 1.2, 1.5, 1.2, 1.5))
_ALONG = 28  # characters of a vertical label
_LONGEST = 400  # points of a curve; more than an inch can show


@dataclass(frozen=True)
class Curve:
    """Defines a curve and its axis."""

    figure: str
    """Of the journal: section/name."""
    label: str
    logarithmic: bool = False
    reference: float = math.nan


class Line(NamedTuple):
    """Holds the finished runs that are drawn as one line."""

    label: str
    runs: Sequence[RunRecord]


@dataclass(frozen=True)
class Band:
    """Holds median and quartiles over the runs of a line, by generator updates."""

    updates: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def band(line: Line, figure: str) -> Band | None:
    """Returns the band over the runs, at every epoch that half of them have; None without two such epochs.

    Values that are not finite are left out.
    """
    section, _, name = figure.partition("/")
    values: dict[int, list[float]] = {}
    for run in line.runs:
        for entry in run.lines:
            value = (entry.get(section) or {}).get(name, math.nan)
            if math.isfinite(value):
                values.setdefault(run.updates * entry["epoch"], []).append(value)
    kept = sorted(update for update, found in values.items() if 2 * len(found) >= len(line.runs))
    if len(kept) < 2:
        return None
    kept = [kept[place] for place in np.unique(np.linspace(0, len(kept) - 1, _LONGEST).round().astype(int))]
    quartiles = np.array([np.quantile(values[update], (0.25, 0.5, 0.75)) for update in kept])
    return Band(np.array(kept), *quartiles.T)


def split_evenly(lines: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the lines in parts of nearly one size, small enough to keep the lines of a panel apart."""
    groups = max(math.ceil(len(lines) / LINES_IN_A_PANEL), 1)
    size = math.ceil(len(lines) / groups) or 1
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def drawable(lines: Sequence[Line], curve: Curve) -> list[Sequence[Line]]:
    """Returns the lines that have such a curve, in parts that one panel keeps apart."""
    return list(split_evenly([line for line in lines if band(line, curve.figure) is not None]))


def draw_training(panels: Sequence[tuple[Curve, Sequence[Line]]]) -> bytes:
    """Draws panels side by side as SVG, each with its own lines: the median over seeds, in a band between quartiles."""
    with figure_style():
        import seaborn
        from matplotlib.figure import Figure

        most = max(len(lines) for _, lines in panels)
        figure = Figure(figsize=(WIDTH, 3.2 + 0.2 * most), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        palette = seaborn.color_palette("colorblind", LINES_IN_A_PANEL)
        for (curve, lines), ax in zip(panels, axes, strict=True):
            for place, line in enumerate(lines):
                label = plain_label(line.label, 52)
                _line(ax, band(line, curve.figure), palette[place], _DASHES[place], label, curve)
            ax.set(xlabel="generator updates", ylabel=in_lines(curve.label, _ALONG))
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            ax.xaxis.get_major_locator().set_params(nbins=5)
            if curve.logarithmic:
                ax.set_yscale("log")
                mark_decades(ax)
            if math.isfinite(curve.reference):
                ax.axhline(curve.reference, color="0.35", linewidth=1, linestyle=(0, (1, 1.5)))
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, fontsize="small", handlelength=3)
            seaborn.despine(ax=ax)
        return to_svg(figure)


def draw_against_modes(points: Mapping[int, Mapping[str, Sequence[float]]], labels: Mapping[str, str]) -> bytes:
    """Draws metrics against the number of modes as SVG: a point a run, the medians joined.

    points: values of the runs by the number of modes and the metric. labels: of the axes, by the metric; modes_captured
    is compared with the line of all modes.
    """
    with figure_style():
        import seaborn
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots(1, len(labels), squeeze=False)[0]
        color = seaborn.color_palette("colorblind")[0]
        modes = sorted(points)
        for (name, label), ax in zip(labels.items(), axes, strict=True):
            measured = [count for count in modes if points[count].get(name)]
            for count in measured:
                values = sorted(points[count][name])
                # Side by side, in no random order, so that runs with one value do not hide each other.
                spread = np.linspace(-0.06, 0.06, len(values)) if len(values) > 1 else np.zeros(1)
                ax.plot(count * 2**spread, values, "o", color=color, alpha=0.45, markersize=4, markeredgewidth=0)
            ax.plot(measured, [float(np.median(points[n][name])) for n in measured], color=color, linewidth=1.8)
            if name == "modes_captured":
                ax.plot(modes, modes, color="0.35", linewidth=1, linestyle=(0, (1, 1.5)))
                ax.annotate(
                    "all modes", (modes[-1], modes[-1]), ha="right", va="bottom", color="0.35", fontsize="small"
                )
            ax.set_xscale("log", base=2)
            ax.set_xticks(modes, [str(count) for count in modes])
            ax.minorticks_off()
            ax.set(xlabel="modes of the data", ylabel=label)
            ax.set_ylim(bottom=0)
            seaborn.despine(ax=ax)
        return to_svg(figure)


def draw_gradient_norms(lines: Sequence[Line], figures: Mapping[str, str]) -> bytes:
    """Draws the norms of the generator's gradient under both losses as SVG, a panel a line, on a logarithmic axis.

    figures: labels by the figure of the journal, each the log10 of a norm.
    """
    across = min(3, len(lines))
    down = math.ceil(len(lines) / across)
    with figure_style():
        import seaborn
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 0.5 + 2.5 * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
        palette = seaborn.color_palette("colorblind")
        for line, ax in zip(lines, axes, strict=False):
            for place, (name, label) in enumerate(figures.items()):
                if (found := band(line, name)) is not None:
                    _line(ax, found, palette[3 * place], _DASHES[place], label, None)
            ax.set_title(plain_label(line.label, 40), fontsize="medium")
            ax.set(xlabel="generator updates")
            ax.yaxis.set_major_locator(_whole())
            ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:.0f}}}$")
            ax.xaxis.get_major_locator().set_params(nbins=4)
            seaborn.despine(ax=ax)
        for ax in axes[len(lines) :]:
            ax.set_visible(False)
        for ax in axes[::across]:
            ax.set_ylabel("norm of the gradient")
        _legend_below(figure, axes[0])
        return to_svg(figure)


def _whole():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6, integer=True)


def _legend_below(figure: "Figure", ax: "Axes") -> None:
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _line(
    ax: "Axes", found: Band | None, color: tuple[float, ...], dashes: tuple[float, ...], label: str, curve: Curve | None
) -> None:
    if found is None:
        return
    style = (0, dashes) if dashes else "-"
    low, high = found.low, found.high
    if curve is not None and curve.logarithmic:
        # Nothing below zero can be drawn there.
        shown = found.low > 0
        ax.fill_between(found.updates[shown], low[shown], high[shown], color=color, alpha=0.18, linewidth=0)
        shown = found.median > 0
        ax.plot(found.updates[shown], found.median[shown], color=color, linewidth=1.7, linestyle=style, label=label)
        return
    ax.fill_between(found.updates, low, high, color=color, alpha=0.18, linewidth=0)
    ax.plot(found.updates, found.median, color=color, linewidth=1.7, linestyle=style, label=label)
