"""Renders the pages of a report: Markdown for GitHub, and the same Markdown as one self-contained HTML file.

All sentences and tables stand in templates/*.md.j2, which anybody can edit; the modules prepare what they show.

arms.py         fills a page's table of the arms of a preset
comparison.py   renders the page that compares all runs
findings.py     fills a page's list of what a report found
html.py         renders all pages as one HTML file
markdown.py     escapes text and formats numbers as Markdown
questions.py    renders the overview of the answers, and the page of each question
templates.py    renders a template, and escapes every value that it shows
"""

from reports.pages.arms import fill_arms
from reports.pages.comparison import render_comparison
from reports.pages.findings import fill_findings
from reports.pages.html import render_html
from reports.pages.questions import describe_verdicts, page_of, render_overview, render_question

__all__ = [
    "describe_verdicts",
    "fill_arms",
    "fill_findings",
    "page_of",
    "render_comparison",
    "render_html",
    "render_overview",
    "render_question",
]
