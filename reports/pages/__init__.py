"""Records -> Markdown that reads well on GitHub, and the same Markdown as one self-contained HTML file.

markdown.py     text, figures and tables; `escape`, through which everything from outside goes
comparison.py   the page that compares all runs
overview.py     the first page of a report on questions: controls, verdicts, tables of all arms
question.py     the page of one question
html.py         all pages as one file
"""

from reports.pages.comparison import SAMPLES, Illustration, render_comparison
from reports.pages.html import render_html
from reports.pages.markdown import code, escape, link, mean_and_spread, number, table
from reports.pages.overview import page_of, render_overview
from reports.pages.question import render_question

__all__ = [
    "SAMPLES",
    "Illustration",
    "code",
    "escape",
    "link",
    "mean_and_spread",
    "number",
    "page_of",
    "render_comparison",
    "render_html",
    "render_overview",
    "render_question",
    "table",
]
