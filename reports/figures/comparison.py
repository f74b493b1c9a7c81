"""Draws the figures of the page that compares all runs: curves with bands over seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.analysis.names import spell_metric
from reports.analysis.sections import Section, SeedGroup
from reports.figures.style import WIDTH, figure_style, mark_decades, plain_label, to_svg

if TYPE_CHECKING:
    import pandas

# More lines than this in one panel cannot be told apart.
ARMS_IN_A_PANEL = 6

_LOSSES_IN_NATS = {"saturating", "non_saturating"}
_QUALITY = ("fid", "accuracy", "overlap", "mode_coverage", "kid")


@dataclass(frozen=True)
class Panel:
    """Defines one coordinate system."""

    section: str
    """Section of the journal: "curves" or "metrics"."""
    name: str
    label: str
    logarithmic: bool = False
    reference: float = math.nan


def loss_panels(section: Section) -> tuple[Panel, ...]:
    """Returns the panels of both losses."""
    nats = all(arm.config.recipe.loss in _LOSSES_IN_NATS for arm in section.groups)
    unit = " (nats)" if nats else ""
    return (
        Panel("curves", "generator_loss", f"generator loss{unit}"),
        Panel("curves", "discriminator_loss", f"discriminator loss{unit}"),
    )


def quality_panels(section: Section) -> tuple[Panel, ...]:
    """Returns the panels of the two most telling metrics, with their values on real data."""
    names = [name for name in _QUALITY if name in section.metrics] or section.metrics
    return tuple(
        Panel(
            "metrics",
            name,
            spell_metric(name),
            logarithmic=name == "fid",
            reference=section.reference[name].mean if name in section.reference else math.nan,
        )
        for name in names[:2]
    )


def draw_curves(arms: Sequence[SeedGroup], panels: Sequence[Panel]) -> bytes | None:
    """Draws panels side by side as SVG: the mean over the finished seeds of each group by epoch, in a band from the
    lowest seed to the highest. Values that are not finite are left out. None if no panel has two epochs to join.
    """
    data = _long(arms, panels)
    panels = [panel for panel in panels if data.loc[data["panel"] == panel.name, "epoch"].nunique() > 1]
    if not panels:
        return None
    shown = [arm for arm in arms if arm.finished]
    order = [_label(arm) for arm in shown]
    with figure_style():
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
                mark_decades(ax)
            seaborn.despine(ax=ax)
        handles, labels = axes[0].get_legend_handles_labels()
        if axes[0].get_legend():
            axes[0].get_legend().remove()
        figure.legend(handles, labels, loc="outside lower left", ncols=1 if len(order) < 3 else 2, frameon=False)
        return to_svg(figure)


def split_evenly(arms: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the arms in parts of nearly one size, small enough to keep the lines of a panel apart."""
    groups = max(math.ceil(len(arms) / ARMS_IN_A_PANEL), 1)
    size = math.ceil(len(arms) / groups) or 1
    for start in range(0, len(arms), size):
        yield arms[start : start + size]


def _long(arms: Sequence[SeedGroup], panels: Sequence[Panel]) -> "pandas.DataFrame":
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


def _label(arm: SeedGroup) -> str:
    return f"{arm.number}. {plain_label(arm.name)}"
