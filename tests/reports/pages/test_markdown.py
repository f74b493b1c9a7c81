"""Markdown: numbers with their digits, and text from outside without mark-up of its own."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.analysis.summaries import Summary, summarize
from reports.pages.markdown import escape, format_number, format_summary


def plain(text: str) -> str:
    """What `escape` promises to show of a text."""
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in " ".join(text.split()))
    return shown if len(shown) <= 300 else shown[:300] + "…"


def rendered(markdown: str) -> list[list[str]]:
    """The text of the cells of a table, by the renderer of the HTML reports, with GitHub's extensions to Markdown."""
    tokens = MarkdownIt("gfm-like", {"html": False, "linkify": False}).parse(markdown)
    assert not any(token.type in ("html_block", "html_inline") for token in tokens)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            kinds = {child.type for child in token.children}
            assert kinds <= {"text", "text_special"}, kinds
            rows[-1].append("".join(child.content for child in token.children))
    return rows


MARK_UP = st.text(st.sampled_from("|\\`*_~[]()<>!#&;:/@$-+=.1aw \n\t\r\x00\u202e\u2028"), max_size=40)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
        (0.0, "0"),
        (12.3456, "12.35"),
        (999.96, "1000"),
        (0.99996, "1.000"),
        (123456.7, "123,457"),
        (-0.000123456, "−0.0001235"),
        (1.5e-7, "1.50e−07"),
    ],
)
def test_a_number_is_said_to_four_digits(value: float, said: str):
    assert format_number(value) == said


def test_the_spread_decides_how_many_places_the_mean_has():
    assert format_summary(Summary(12.3456, 0.0123, 5)) == "12.346\xa0±\xa00.012"
    assert format_summary(Summary(1234.5, 123.0, 5)) == "1,234\xa0±\xa0123"
    assert format_summary(Summary(0.5, 1.3e-9, 5)) == "0.5000\xa0±\xa01.30e−09"
    assert format_summary(summarize([0.1 + 0.2, 0.3])) == "0.3000\xa0±\xa00"


@pytest.mark.long
@given(st.one_of(MARK_UP, st.text(max_size=40)))
def test_any_text_comes_out_of_a_table_as_it_went_in(text: str):
    markdown = f"| run | why |\n| --- | --- |\n| {escape(text)} | x |"
    assert rendered(markdown) == [["run", "why"], [plain(text).strip(), "x"]]


@pytest.mark.parametrize("text", ["- x", "+ x", "1. x", "12) x", "# x", "> x", "| x | y |", "![a](b)", "<b>x</b>"])
def test_text_at_the_start_of_a_line_stays_a_paragraph(text: str):
    tokens = MarkdownIt("commonmark").parse(escape(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "text_special"}
