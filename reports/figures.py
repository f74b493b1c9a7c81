"""The figures of a report: colour-blind-safe, labelled, legible at the width of a Markdown page, the same bytes from
the same numbers within one environment.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.tables import Arm, Section, spoken
from reports.verdicts import CONTRADICTED, IN_BETWEEN, NO_DIFFERENCE, SUPPORTED

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.verdicts import Effect

# More lines than this in one panel cannot be told apart.
ARMS_IN_A_PANEL = 6
WIDTH = 9.0  # inches; at 72 points an inch a little less than GitHub's column, so that text keeps its size

_LOSSES_IN_NATS = {"saturating", "non_saturating"}
# Places in seaborn's colour-blind-safe palette: blue, red-orange, green, and grey for the rest.
_OUTCOME_COLORS = {SUPPORTED: 0, CONTRADICTED: 3, NO_DIFFERENCE: 2, IN_BETWEEN: 2}
_UNDECIDED = 7

_QUALITY = ("fid", "accuracy", "overlap", "mode_coverage", "kid")


@dataclass(frozen=True)
class Panel:
    """One coordinate system: which figures of the journal it shows (`section` "curves" or "metrics"), and how."""

    section: str
    name: str
    label: str
    logarithmic: bool = False
    reference: float = math.nan


def losses(section: Section) -> tuple[Panel, ...]:
    """The panels of both losses."""
    nats = all(arm.config.recipe.loss in _LOSSES_IN_NATS for arm in section.arms)
    unit = " (nats)" if nats else ""
    return (
        Panel("curves", "generator_loss", f"generator loss{unit}"),
        Panel("curves", "discriminator_loss", f"discriminator loss{unit}"),
    )


def quality(section: Section) -> tuple[Panel, ...]:
    """The panels of up to two metrics that tell most of the samples, beside their values on real data."""
    names = [name for name in _QUALITY if name in section.metrics] or section.metrics
    return tuple(
        Panel(
            "metrics",
            name,
            spoken(name),
            logarithmic=name == "fid",
            reference=section.reference[name].mean if name in section.reference else math.nan,
        )
        for name in names[:2]
    )


def curves(arms: Sequence[Arm], panels: Sequence[Panel]) -> bytes | None:
    """An SVG of panels side by side: the mean over the finished seeds of each arm by epoch, in a band from the lowest
    seed to the highest where there are several. Values that are not finite are left out.

    None where no panel has two epochs to join.
    """
    data = _long(arms, panels)
    panels = [panel for panel in panels if data.loc[data["panel"] == panel.name, "epoch"].nunique() > 1]
    if not panels:
        return None
    shown = [arm for arm in arms if arm.finished]
    order = [_label(arm) for arm in shown]
    with _drawing():
        import seaborn
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        palette = dict(zip(order, seaborn.color_palette("colorblind", len(order)), strict=True))
        figure = Figure(figsize=(WIDTH, 3.2 + 0.22 * len(order)), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, ax in zip(panels, axes, strict=True):
            seaborn.lineplot(
                data[data["panel"] == panel.name],
                x="epoch",
                y="value",
                hue="arm",
                style="arm",
                hue_order=order,
                style_order=order,
                palette=palette,
                # All of the seeds. A deviation of few of them reaches below zero, where no loss and no FID lies.
                errorbar=("pi", 100),
                legend=panel is panels[0],
                linewidth=1.6,
                ax=ax,
            )
            ax.set(xlabel="epoch", ylabel=panel.label)
            ax.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
            if panel.logarithmic and ax.dataLim.y0 > 0:
                ax.set_yscale("log")
            if math.isfinite(panel.reference) and not (panel.logarithmic and panel.reference <= 0):
                ax.axhline(panel.reference, color="0.35", linewidth=1, linestyle=(0, (1, 1.5)))
                ax.annotate(
                    "real data",
                    (1, panel.reference),
                    xycoords=("axes fraction", "data"),
                    xytext=(-2, 2),
                    textcoords="offset points",
                    ha="right",
                    va="bottom",
                    color="0.35",
                    fontsize="small",
                )
            if ax.get_yscale() == "log":
                _mark_decades(ax)
            seaborn.despine(ax=ax)
        handles, labels = axes[0].get_legend_handles_labels()
        if axes[0].get_legend():
            axes[0].get_legend().remove()
        figure.legend(handles, labels, loc="outside lower left", ncols=1 if len(order) < 3 else 2, frameon=False)
        return _svg(figure)


def forest(rows: Sequence[tuple[str, str, "Effect"]], unit: str) -> bytes:
    """An SVG of effects of one metric below each other, each (label, outcome, effect), its first row on top.

    The 95 % interval is thick, the one corrected for the number of tests thin, and the margins are shaded. What is
    infinite ends in an arrow at the edge. unit: what the horizontal axis shows.
    """
    with _drawing():
        import seaborn
        from matplotlib.figure import Figure

        colors = seaborn.color_palette("colorblind")
        figure = Figure(figsize=(WIDTH, 1.1 + 0.42 * len(rows)), layout="constrained")
        ax = figure.subplots()
        left, right = _range([effect for _, _, effect in rows])
        ax.axvline(0, color="0.35", linewidth=1, zorder=1)
        for place, (_, outcome, effect) in enumerate(rows):
            color = colors[_OUTCOME_COLORS.get(outcome, _UNDECIDED)]
            low, high = effect.comparison.low, effect.comparison.high
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
                    effect.shift,
                    place,
                    "o",
                    color="white",
                    markeredgecolor=color,
                    markersize=7,
                    zorder=5,
                    clip_on=False,
                )
            ax.annotate(
                outcome, (1.01, place), xycoords=("axes fraction", "data"), va="center", color="0.2", fontsize="small"
            )
        ax.set(xlim=(left, right), ylim=(len(rows) - 0.5, -0.5), xlabel=unit)
        ax.set_yticks(range(len(rows)), [_printable(label) for label, _, _ in rows])
        ax.grid(visible=False, axis="y")
        seaborn.despine(ax=ax, left=True)
        return _svg(figure)


def chunks(arms: Sequence[Arm]) -> Iterator[Sequence[Arm]]:
    """The arms in as many groups of nearly one size as keep the lines of a panel apart."""
    groups = max(math.ceil(len(arms) / ARMS_IN_A_PANEL), 1)
    size = math.ceil(len(arms) / groups)
    for start in range(0, len(arms), size):
        yield arms[start : start + size]


def sample_picture(data: bytes) -> bytes | None:
    """A sample picture of a run, decoded and encoded anew as a compact PNG; None where it is no PNG of sane size."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > 4096:
                return None
            pixels = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    out = io.BytesIO()
    pixels.save(out, "PNG", optimize=True)
    return out.getvalue()


def _long(arms: Sequence[Arm], panels: Sequence[Panel]) -> "pandas.DataFrame":
    import pandas

    rows = [
        (panel.name, _label(arm), line["epoch"], value)
        for panel in panels
        for arm in arms
        for run in arm.finished
        for line in run.lines
        if math.isfinite(value := _figure(line.get(panel.section), panel.name))
    ]
    return pandas.DataFrame(rows, columns=["panel", "arm", "epoch", "value"])


def _figure(figures: Mapping[str, float] | None, name: str) -> float:
    return (figures or {}).get(name, math.nan)


def _label(arm: Arm) -> str:
    return f"{arm.number}. {_printable(arm.name)}"


def _printable(text: str) -> str:
    shown = text if len(text) <= 48 else text[:47] + "…"
    # Between dollars matplotlib would read mathematics.
    return "".join(c if c.isprintable() else "�" for c in shown).replace("$", r"\$")


def _range(effects: Sequence["Effect"]) -> tuple[float, float]:
    """Where a forest's axis begins and ends: round all finite ends and margins, and zero."""
    ends = [0.0]
    for effect in effects:
        ends += [effect.comparison.low, effect.comparison.high, effect.shift, *effect.interval, *effect.wide]
    finite = [end for end in ends if math.isfinite(end)]
    room = 0.05 * (max(finite) - min(finite)) or 1.0
    return min(finite) - room, max(finite) + room


def _mark_decades(ax: "Axes") -> None:
    """Plain numbers on a logarithmic axis, as many to a decade as keep apart."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_ylim()
    few = math.log10(high / low) < 4
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


@contextmanager
def _drawing() -> Iterator[None]:
    """Our style, whatever a person's own settings are, and without a display."""
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


def _svg(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
