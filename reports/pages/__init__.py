"""Records -> Markdown that reads well on GitHub, and the same Markdown as one self-contained HTML file.

markdown.py     text, figures and tables; `escape`, through which everything from outside goes
comparison.py   the page that compares all runs
overview.py     the first page of a report on questions: controls, verdicts, tables of all arms
question.py     the page of one question
html.py         all pages as one file
"""

from reports.pages.comparison import SAMPLES, Illustration, index
from reports.pages.html import html
from reports.pages.markdown import code, escape, link, mean_and_spread, number, table
from reports.pages.overview import overview, page_of
from reports.pages.question import question_page

__all__ = [
    "SAMPLES",
    "Illustration",
    "code",
    "escape",
    "html",
    "index",
    "link",
    "mean_and_spread",
    "number",
    "overview",
    "page_of",
    "question_page",
    "table",
]
