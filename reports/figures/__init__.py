"""Draws the figures of a report: colour-blind-safe, labelled, legible at the width of a Markdown page.

comparison.py      draws curves of the page that compares all runs
forest.py          draws effects with their intervals and margins
illustrations.py   chooses and draws the pictures of each page
style.py           sets the style of all figures, and turns them into bytes
training.py        draws a question's figures over training, against the number of modes, and of gradients
"""

from reports.figures.comparison import Panel, draw_curves, loss_panels, quality_panels, split_evenly
from reports.figures.forest import Axis, draw_forests
from reports.figures.style import compact_picture

__all__ = [
    "Axis",
    "Panel",
    "compact_picture",
    "draw_curves",
    "draw_forests",
    "loss_panels",
    "quality_panels",
    "split_evenly",
]
