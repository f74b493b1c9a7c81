"""How time and memory grow: points and the power law fitted to them, on logarithmic axes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pictures.colours import DISCRIMINATOR, GENERATOR, GREY, INK
from benchmarks.pictures.samples import write_figure

COLOURS = (GENERATOR, DISCRIMINATOR, INK, GREY)
MARKERS = "os^D"


def growth_curves(series: Sequence[Mapping[str, Any]], out: Path | str) -> None:
    """Draws a column for each thing that grows: seconds above, and memory below where it was measured."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    columns: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in series:
        columns[each["against"]].append(each)
    figure = Figure(figsize=(2.9 * len(columns), 5.6), dpi=120, layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False)
    for (above, below), (against, members) in zip(axes.T, columns.items(), strict=True):
        for axis, quantity, power, label in (
            (above, "seconds", "exponent", "seconds"),
            (below, "memory_mib", "memory_exponent", "memory (MiB)"),
        ):
            drawn = [each for each in members if each[quantity]]
            axis.set_visible(bool(drawn))
            for each, colour, marker in zip(drawn, COLOURS, MARKERS, strict=False):
                x, y = each["x"], each[quantity]
                axis.plot(x, y, marker, color=colour, markersize=4.5, label=f"{each['what']}: {each[power]:.2f}")
                # Through the middle of the points between logarithms, as the fit goes.
                middle_x, middle_y = _middle(x), _middle(y)
                axis.plot(x, [middle_y * (v / middle_x) ** each[power] for v in x], color=colour, linewidth=1.2)
            axis.set(xscale="log", yscale="log", xlabel=against, ylabel=label)
            axis.set_xticks(members[0]["x"], [f"{v:g}" for v in members[0]["x"]])
            least, most = axis.get_ylim()
            # Within a decade, a logarithmic axis would be given one number or none.
            axis.yaxis.set_major_locator(MaxNLocator(5) if most < 8 * least else LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.minorticks_off()
            axis.grid(alpha=0.25, linewidth=0.7)
            axis.spines[["top", "right"]].set_visible(False)
            if drawn:
                above_it = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
                axis.legend(frameon=False, fontsize="small", title="exponent", title_fontsize="small", **above_it)
    write_figure(out, figure)


def _middle(values: Sequence[float]) -> float:
    product = 1.0
    for value in values:
        product *= value ** (1 / len(values))
    return product
