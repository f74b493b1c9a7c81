"""Draws the figures of a report: colour-blind-safe, labelled, legible at the width of a Markdown page.

demonstrations.py  draws what a claim describes: an operation, worked by hand
forest.py          draws effects with their intervals and margins
illustrations.py   chooses and draws the pictures of each page
style.py           sets the style of all figures, and turns them into bytes
training.py        draws figures over training, against the number of modes, and of gradients
"""

from reports.figures.forest import Axis, draw_forests, draw_verdicts
from reports.figures.style import compact_picture

__all__ = [
    "Axis",
    "compact_picture",
    "draw_forests",
    "draw_verdicts",
]
