"""Templates: whatever a page shows is escaped, and a mistake in a template is an error and no page."""

import pytest
from jinja2 import TemplateError
from markupsafe import Markup

from reports.pages.templates import _FOLDER, _MARKDOWN, render_markdown

HOSTILE = "a | <b> *c* [d](e)"
ESCAPED = r"a \| \<b\> \*c\* \[d\](e)"


def rendered(source: str, **values: object) -> str:
    return _MARKDOWN.from_string(source).render(**values)


@pytest.mark.parametrize("template", sorted(path.name for path in _FOLDER.glob("*.md.j2")))
def test_every_template_compiles(template: str):
    assert _MARKDOWN.get_template(template)


@pytest.mark.parametrize(
    "source",
    [
        "{{ value }}",
        "{{ [value] | join('; ') }}",
        "{{ value | prose }}",
        "{{ value | first_upper }}",
        "{{ value | link('index.md') }}",
        "{{ value | code }}",
        "{% set copy = value %}{{ copy }}",
        "{% macro show(text) %}{{ text }}{% endmacro %}{{ show(value) }}",
        "{% filter line %}{{ value }}{% endfilter %}",
    ],
)
def test_text_from_outside_is_escaped_on_every_way_into_a_page(source: str):
    shown = rendered(source, value=HOSTILE)
    assert ESCAPED.lower() in shown.lower()
    assert " | " not in shown


def test_escaped_text_is_not_escaped_again():
    assert rendered("{{ [value | code, value] | join(', ') }}", value="a_b|c") == r"a_b\|c, a_b\|c"
    assert rendered("{{ value }}", value=Markup("*a*")) == "*a*"


@pytest.mark.parametrize("source", ["{{ a ~ b }}", "{{ a | safe }}", "{{ missing }}", "{{ a.missing }}"])
def test_a_template_that_could_let_text_through_is_refused(source: str):
    with pytest.raises(TemplateError):
        rendered(source, a=Markup("*"), b="|")


@pytest.mark.parametrize("value", [0.5, True, None, ["a"]])
def test_a_value_that_needs_a_format_is_not_shown_without_one(value: object):
    with pytest.raises(TypeError, match="without a filter"):
        rendered("{{ value }}", value=value)


def test_a_page_has_no_more_than_one_empty_line_between_blocks():
    text = render_markdown(
        "comparison.md.j2",
        **dict.fromkeys(("parts", "finished", "failed", "left_out", "known_metrics"), ()),
        metrics={},
        variants=0,
        folder="",
    )
    assert text.startswith("# GAN variants compared\n\n0 finished runs of 0 variants, 0 failed, 0 left out.\n\nMade by")
    assert "\n\n\n" not in text
