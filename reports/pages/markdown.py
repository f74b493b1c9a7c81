"""Writes text, numbers and names as Markdown. Text from outside reaches a page through `escape` only.

Escaped text is a `Markup`, which marks it as Markdown; every other text is escaped where a template shows it.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from markupsafe import Markup

from reports.analysis.summaries import Summary

# GitHub makes a link of an address, or an emoji of a word, from a colon inside a word.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&@$]|:(?=\S)")
_LONGEST_TEXT = 300
_LONGEST_PROSE = 4000
_PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def escape(text: object, longest: int = _LONGEST_TEXT) -> Markup:
    """Returns Markdown that shows exactly this text: on one line, in a table cell, with no mark-up of its own.

    Characters that are not printed (control, format and unassigned ones, such as those that reverse the direction of
    text) become �, and text beyond `longest` characters is cut. Markdown stays as it is.
    """
    if isinstance(text, Markup):
        return text
    shown = " ".join(str(text).split())
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in shown)
    if len(shown) > longest:
        shown = shown[:longest] + "…"

    def escape_character(match: re.Match[str]) -> str:
        # An underscore inside of a word means nothing to Markdown, and most names have some.
        before, after = shown[: match.start()][-1:], shown[match.end() :][:1]
        return match[0] if match[0] == "_" and before.isalnum() and after.isalnum() else "\\" + match[0]

    marked = _SPECIAL.sub(escape_character, shown)
    # At the start of a line these would begin a list.
    marked = re.sub(r"^([-+])", r"\\\1", marked)
    marked = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", marked)
    # GitHub makes links of these even without brackets.
    return Markup(re.sub(r"(?i)\bwww\.", "www\\.", marked))


def escape_prose(text: object) -> Markup:
    """Returns a sentence of a question, whose author keeps it short, in full."""
    return escape(text, _LONGEST_PROSE)


def format_code(text: object) -> Markup:
    """Returns a name in fixed width; a name that a code span cannot hold safely is escaped as text instead."""
    name = str(text)
    safe = re.fullmatch(r"[\w.+ -]*[\w.+-]", name) and len(name) <= _LONGEST_TEXT
    return Markup(f"`{name}`") if safe else escape(name)


def format_link(words: object, address: str) -> Markup:
    """Returns words that lead to a page of the report or to a web address; the words alone for an unsafe address."""
    safe = re.fullmatch(r"[\w./:#\[\]-]+", address, re.ASCII)
    return Markup(f"[{escape(words)}]({address})") if safe else escape(words)


def format_number(value: float) -> str:
    """Returns four significant digits; ∞, −∞ and "not a number" in words that nobody takes for a measurement."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    # `e` first rounds to four digits, so that 999.96 and 0.99996 get the decimals of the rounded number.
    exponent = int(f"{abs(value):.3e}".partition("e")[2])
    text = f"{value:.{3 - exponent}f}" if exponent >= -4 else f"{value:.2e}"
    return text.replace("-", "−")


def format_summary(value: Summary) -> Markup:
    """Returns `0.932 ± 0.014`: the spread to two digits, the mean to as many places; "–" where nothing was measured.

    A mean of fewer runs than there are says so: `0.93 (2 of 3)`.
    """
    if not value.count:
        return Markup("–")
    if value.missing:
        shown = format_summary(replace(value, missing=0))
        return Markup(f"{shown} ({value.count} of {value.count + value.missing})")
    if math.isnan(value.spread):
        return Markup(format_number(value.mean))
    # Below this it is the rounding of the mean, not a spread.
    if value.spread <= 1e-12 * abs(value.mean):
        return Markup(f"{format_number(value.mean)}{_PLUS_MINUS}0")
    places = max(1 - int(f"{value.spread:.1e}".partition("e")[2]), 0)
    if places > 6:
        return Markup(f"{format_number(value.mean)}{_PLUS_MINUS}{format_number(value.spread)}")
    return Markup(f"{value.mean:,.{places}f}{_PLUS_MINUS}{value.spread:,.{places}f}".replace("-", "−"))


def format_reference(value: Summary | None) -> Markup:
    """Returns a metric of real data, with its spread where the runs have different real data."""
    if value is None or not value.count:
        return Markup("–")
    return format_summary(value) if value.varies else Markup(format_number(value.mean))


def format_count(number: int, singular: str, plural: str = "") -> str:
    """Returns `1 run`, `2 runs`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def join_markup(values: Iterable[object], between: str = "") -> Markup:
    """Returns the values, each escaped, with our own text between them."""
    return Markup(between.join(escape(value) for value in values))


def join_lines(text: str) -> Markup:
    """Returns Markdown that was broken over several lines as one line."""
    return Markup(" ".join(re.split(r"[ \n]+", text.strip(" \n"))))
