"""The figures of a report: colour-blind-safe, labelled, legible at the width of a Markdown page.

style.py        the style of all figures, and sample pictures as compact PNG
comparison.py   curves of the page that compares all runs
forest.py       effects with their intervals and margins
training.py     a question's figure over training, figures against the number of modes, gradients
"""

from reports.figures.comparison import Panel, draw_curves, loss_panels, quality_panels, split_evenly
from reports.figures.forest import Axis, draw_forest, draw_forests
from reports.figures.style import compact_picture

__all__ = [
    "Axis",
    "Panel",
    "compact_picture",
    "draw_curves",
    "draw_forest",
    "draw_forests",
    "loss_panels",
    "quality_panels",
    "split_evenly",
]
