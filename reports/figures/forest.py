"""Draws forest plots: effects below each other, each with its intervals and its margins."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from benchmarks.statistics.verdicts import CONTRADICTED, IN_BETWEEN, NO_DIFFERENCE, SUPPORTED
from reports.figures.style import WIDTH, figure_style, in_lines, plain_label, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.statistics.verdicts import Effect

ForestRow = tuple[str, str, "Effect"]
"""Label, outcome, effect. A label may have several lines."""

# Places in seaborn's colour-blind-safe palette: blue, red-orange, green, and grey for the rest.
_OUTCOME_COLORS = {SUPPORTED: 0, CONTRADICTED: 3, NO_DIFFERENCE: 2, IN_BETWEEN: 2}
_UNDECIDED = 7
# Told apart without colour, too.
_OUTCOME_MARKERS = {SUPPORTED: "o", CONTRADICTED: "X", NO_DIFFERENCE: "s", IN_BETWEEN: "s"}
_MARGINS = 4.0  # on either side of an axis that all verdicts share
_VERDICT_ACROSS, _OUTCOME_ACROSS = 62, 26  # characters of a label, and of an outcome beside the axis
# In the order in which a logarithmic axis takes them, as long as they keep apart.
_FACTORS = (1, 2, 10, 1.25, 5, 100, 1.5, 3, 20, 1000, 50, 1e4, 1e5, 1e6, 1.1)
_APART = 0.13  # of the width of the axis
_ACROSS = 44  # characters of a row's label
_LABEL = 76  # of the axis


@dataclass(frozen=True)
class Axis:
    """Defines the horizontal axis of a forest plot."""

    label: str
    kind: Literal["ratio", "decades", "level"] = "level"
    """Scale of the numbers: natural logarithms, logarithms to base 10, or levels."""
    turned: bool = False
    """Whether the figure falls to the right, because less is better."""
    constant: float = 0.0
    """Constant that was subtracted from a level."""


def draw_forests(groups: Sequence[tuple[Sequence[ForestRow], Axis]]) -> bytes:
    """Draws effects as SVG, in groups that have an axis each.

    The 95 % interval is thick, the interval corrected for the number of tests thin, and the margins are shaded. An
    infinite end is an arrow at the edge.
    """
    with figure_style():
        import seaborn
        from matplotlib.figure import Figure

        heights = [0.75 + 0.52 * len(rows) for rows, _ in groups]
        figure = Figure(figsize=(WIDTH, 0.2 + sum(heights)), layout="constrained")
        panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for (rows, axis), ax in zip(groups, panels, strict=True):
            _draw(ax, rows, axis)
            seaborn.despine(ax=ax, left=True)
        figure.align_ylabels(panels)
        return to_svg(figure)


def draw_verdicts(rows: Sequence[tuple[str, str, Sequence["Effect"]]]) -> bytes:
    """Draws the verdicts of a report as SVG: label, outcome and effects of each, with corrected intervals in margins.

    An effect is divided by its own margin, so that all have one axis. What lies outside of it is an arrow. A decision
    without effects has its outcome in words alone.
    """
    with figure_style():
        import seaborn
        from matplotlib.figure import Figure

        colors = seaborn.color_palette("colorblind")
        figure = Figure(figsize=(WIDTH, 0.9 + 0.52 * len(rows)), layout="constrained")
        ax = figure.subplots()
        ax.axvspan(-1, 1, color="0.9", linewidth=0, zorder=0.5)
        ax.axvline(0, color="0.35", linewidth=1, zorder=1)
        for place, (_, outcome, effects) in enumerate(rows):
            color = colors[_OUTCOME_COLORS.get(outcome, _UNDECIDED)]
            for part, effect in enumerate(effects):
                down = place + 0.22 * (part - (len(effects) - 1) / 2)
                _draw_in_margins(ax, effect, down, color, _OUTCOME_MARKERS.get(outcome, "D"))
            ax.annotate(
                textwrap.fill(outcome, _OUTCOME_ACROSS),
                (1.04, place),
                xycoords=("axes fraction", "data"),
                va="center",
                color=color if outcome in _OUTCOME_COLORS else "0.3",
                fontsize="small",
            )
        ax.set(xlim=(-_MARGINS, _MARGINS), ylim=(len(rows) - 0.5, -0.5))
        ax.set_xlabel(
            "effect, in units of its margin (grey: too small to matter); to the right: as claimed", fontsize="small"
        )
        ax.set_xticks([-3, -2, -1, 0, 1, 2, 3], ["−3", "−2", "−1", "0", "1", "2", "3"])
        labels = [in_lines(label, _VERDICT_ACROSS, 3) for label, _, _ in rows]
        ax.set_yticks(range(len(rows)), labels, fontsize="small")
        ax.grid(visible=False, axis="y")
        seaborn.despine(ax=ax, left=True)
        return to_svg(figure)


def _draw_in_margins(ax: "Axes", effect: "Effect", place: float, color: tuple, marker: str) -> None:
    low, high = effect.contrast.low, effect.contrast.high
    finite = [abs(end) for end in (*effect.wide, effect.shift) if math.isfinite(end)]
    # A decision against 0 has no margin; its interval gets the room.
    margin = max(abs(low), abs(high)) or max([*finite, 1e-9]) / (_MARGINS - 1)
    ends = [min(max(end / margin, -_MARGINS), _MARGINS) for end in effect.wide]
    ax.plot(ends, [place, place], color=color, linewidth=3, solid_capstyle="butt", zorder=3)
    for end in (end for end in ends if abs(end) == _MARGINS):
        ax.plot(end, place, "<" if end < 0 else ">", color=color, markersize=7, clip_on=False, zorder=4)
    if math.isfinite(effect.shift) and abs(effect.shift) < _MARGINS * margin:
        ax.plot(effect.shift / margin, place, marker, color="white", markeredgecolor=color, markersize=7, zorder=5)


def _draw(ax: "Axes", rows: Sequence[ForestRow], axis: Axis) -> None:
    import seaborn

    colors = seaborn.color_palette("colorblind")
    left, right = _range([effect for _, _, effect in rows])
    if left <= 0 <= right:
        ax.axvline(0, color="0.35", linewidth=1, zorder=1)
    for place, (_, outcome, effect) in enumerate(rows):
        color = colors[_OUTCOME_COLORS.get(outcome, _UNDECIDED)]
        low, high = effect.contrast.low, effect.contrast.high
        rows_of = [place - 0.45, place + 0.45]
        if low < high:
            ax.fill_betweenx(rows_of, low, high, color="0.88", linewidth=0, zorder=0.6)
        else:
            ax.plot([low, low], rows_of, color="0.5", linewidth=1.5, linestyle=(0, (2, 1)), zorder=1)
        for interval, width in ((effect.wide, 1.2), (effect.interval, 4.5)):
            ends = [min(max(end, left), right) for end in interval]
            ax.plot(ends, [place, place], color=color, linewidth=width, solid_capstyle="butt", zorder=3)
        for end in (end for end in effect.wide if math.isinf(end)):
            edge, marker = (left, "<") if end < 0 else (right, ">")
            ax.plot(edge, place, marker, color=color, markersize=6, clip_on=False, zorder=4)
        if math.isfinite(effect.shift):
            ax.plot(
                effect.shift, place, "o", color="white", markeredgecolor=color, markersize=7, zorder=5, clip_on=False
            )
        ax.annotate(
            outcome, (1.02, place), xycoords=("axes fraction", "data"), va="center", color="0.2", fontsize="small"
        )
    ax.set(xlim=(left, right), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xlabel(in_lines(axis.label, _LABEL), fontsize="small")
    labels = ["\n".join(part for line in label.split("\n") for part in _wrapped(line)) for label, _, _ in rows]
    ax.set_yticks(range(len(rows)), labels, fontsize="small")
    if axis.kind != "level":
        places = dict(sorted(_factor_ticks(left, right, axis)))
        ax.set_xticks(list(places), list(places.values()))
    else:
        ax.xaxis.get_major_locator().set_params(nbins=6)
        ax.xaxis.set_major_formatter(
            lambda value, _: f"{(-value if axis.turned else value) + axis.constant:.3g}".replace("-", "−")
        )
    ax.grid(visible=False, axis="y")


def _wrapped(line: str) -> list[str]:
    """Returns a line of a label, in two if it is too long for one."""
    parts = textwrap.wrap(line, _ACROSS) or [""]
    return [plain_label(part, _ACROSS) for part in (parts if len(parts) < 3 else [parts[0], " ".join(parts[1:])])]


def _factor_ticks(left: float, right: float, axis: Axis) -> Iterator[tuple[float, str]]:
    """Yields places on a logarithmic axis with the factors that they stand for."""
    taken: list[float] = []
    for factor in _FACTORS:
        size = math.log(factor) if axis.kind == "ratio" else math.log10(factor)
        for place in sorted({-size, size}):
            if left <= place <= right and all(abs(place - other) > _APART * (right - left) for other in taken):
                taken.append(place)
                up = (place > 0) != axis.turned
                yield place, f"× {factor:g}" if up or factor == 1 else f"÷ {factor:g}"


def _range(effects: Sequence["Effect"]) -> tuple[float, float]:
    """Returns the ends of the axis: around zero and all finite ends and margins."""
    ends = []
    for effect in effects:
        ends += [effect.contrast.low, effect.contrast.high, effect.shift, *effect.interval, *effect.wide]
    finite = [0.0, *(end for end in ends if math.isfinite(end))]
    room = 0.05 * (max(finite) - min(finite)) or 1.0
    return min(finite) - room, max(finite) + room
