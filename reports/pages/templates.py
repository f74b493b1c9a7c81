"""Renders the templates of the pages, and escapes every value that they show.

A template shows text and whole numbers; other values need a filter, such as `| number`. Text is escaped unless a filter
has made it Markdown. A missing value is an error.
"""

import math
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import Markup

from benchmarks.config import CHANGED
from benchmarks.statistics.ranks import MOST_SEEDS
from benchmarks.statistics.verdicts import DECIDING_SEEDS, FEWEST_SEEDS
from reports.analysis.amounts import describe_effect, describe_margin, format_figure, format_p, format_p_equation
from reports.analysis.names import spell_field, spell_metric
from reports.pages.markdown import (
    escape,
    escape_prose,
    format_code,
    format_count,
    format_link,
    format_number,
    format_reference,
    format_summary,
    join_lines,
    join_markup,
)
from reports.reading.runs import list_earlier_protocol, list_unmeasured

_FOLDER = Path(__file__).with_name("templates")
_OPTIONS = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined, "autoescape": True}


def render_markdown(template: str, **values: object) -> str:
    """Returns a page; of several empty lines below each other one is left."""
    text = _MARKDOWN.get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def render_html_frame(template: str, **values: object) -> str:
    """Returns an HTML file; values are escaped for HTML."""
    return (
        Environment(loader=FileSystemLoader(_FOLDER), keep_trailing_newline=True, **_OPTIONS)
        .get_template(template)
        .render(**values)
    )


def _escape_value(value: object) -> Markup:
    text = str(value)  # raises UndefinedError for a missing value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"a template shows {text[:80]!r}, which is neither text nor a whole number, without a filter")
    return escape(value)


class _CodeGenerator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        # It escapes its parts for HTML, and lets the mark-up of Markdown through.
        self.fail("write values beside each other, or use join, instead of ~", node.lineno)


class _Environment(Environment):
    code_generator_class = _CodeGenerator


_MARKDOWN = _Environment(loader=FileSystemLoader(_FOLDER), finalize=_escape_value, **_OPTIONS)
_MARKDOWN.filters |= {
    "code": format_code,
    "fields": lambda values: [spell_field(name, value) for name, value in values.items()],
    "figure": format_figure,
    "four_digits": lambda value: f"{value:.4g}",
    "first_upper": lambda text: text[:1].upper() + text[1:],
    "join": join_markup,
    "line": join_lines,
    "link": format_link,
    "metric": spell_metric,
    "number": format_number,
    "p": format_p,
    "percent": lambda share: f"{100 * share:.0f}",
    "prose": escape_prose,
    "reference": format_reference,
    "short": lambda value: f"{value:g}",
    "summary": format_summary,
    "thousands": lambda number: f"{number:,}",
}
# These would let text through unescaped.
for _name in ("escape", "e", "forceescape", "format", "safe", "replace", "urlize", "xmlattr"):
    del _MARKDOWN.filters[_name]
_MARKDOWN.tests |= {"finite": math.isfinite, "nan": math.isnan}
_MARKDOWN.globals |= {
    "changed_metrics": CHANGED,
    "count": format_count,
    "deciding_seeds": DECIDING_SEEDS,
    "describe_effect": describe_effect,
    "describe_margin": describe_margin,
    "fewest_seeds": FEWEST_SEEDS,
    "format_p_equation": format_p_equation,
    "list_earlier_protocol": list_earlier_protocol,
    "list_unmeasured": list_unmeasured,
    "most_seeds": MOST_SEEDS,
}
