"""The figures of a report: colour-blind-safe, labelled, legible at the width of a Markdown page.

drawing.py      the style of all figures, and sample pictures as compact PNG
comparison.py   curves of the page that compares all runs
forest.py       effects with their intervals and margins
training.py     a question's figure over training, figures against the number of modes, gradients
"""

from reports.figures.comparison import Panel, chunks, curves, losses, quality
from reports.figures.drawing import sample_picture
from reports.figures.forest import Axis, forest, forests

__all__ = ["Axis", "Panel", "chunks", "curves", "forest", "forests", "losses", "quality", "sample_picture"]
