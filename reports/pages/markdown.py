"""Text, figures and tables as Markdown. Everything from outside goes through `escape` on its way into a page."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from reports.analysis.tables import Summary, absences, spell_metric
from reports.reading.runs import RunRecord

# A colon inside of a word would make a link of an address, or an emoji of a word.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&@$]|:(?=\S)")
_LONGEST = 300
_PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def escape(text: object, longest: int = _LONGEST) -> str:
    """Text from outside as Markdown that shows exactly it: on one line, in a table cell, with no mark-up of its own.

    Characters that are not printed (control, format and unassigned ones, such as those that turn the direction of
    text) become �, and what is longer than a reader can use is cut.
    """
    shown = " ".join(str(text).split())
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in shown)
    if len(shown) > longest:
        shown = shown[:longest] + "…"

    def escaped(match: re.Match[str]) -> str:
        # An underscore inside of a word means nothing to Markdown, and most names have some.
        before, after = shown[: match.start()][-1:], shown[match.end() :][:1]
        return match[0] if match[0] == "_" and before.isalnum() and after.isalnum() else "\\" + match[0]

    marked = _SPECIAL.sub(escaped, shown)
    # At the start of a line these would begin a list.
    marked = re.sub(r"^([-+])", r"\\\1", marked)
    marked = re.sub(r"^(\d+)([.)])", r"\1\\\2", marked)
    # GitHub makes links of these even without brackets.
    return re.sub(r"(?i)\bwww\.", "www\\.", marked)


def code(text: object) -> str:
    """A name from outside in fixed width; one that a code span cannot hold safely is escaped as text instead."""
    shown = str(text)
    return f"`{shown}`" if re.fullmatch(r"[\w.+ -]*[\w.+-]", shown) and len(shown) <= _LONGEST else escape(shown)


def number(value: float) -> str:
    """Four significant digits; ∞, −∞ and "not a number" in words that nobody takes for a measurement."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    # `e` first rounds to four digits, so that 999.96 and 0.99996 get the decimals of what they become.
    exponent = int(f"{abs(value):.3e}".partition("e")[2])
    text = f"{value:.{3 - exponent}f}" if exponent >= -4 else f"{value:.2e}"
    return text.replace("-", "−")


def mean_and_spread(value: Summary) -> str:
    """`0.932 ± 0.014`: the spread to two digits and the mean to as many places; "–" where nothing was measured.

    A mean of fewer runs than there are says so: `0.93 (2 of 3)`.
    """
    if not value.count:
        return "–"
    if value.missing:
        of = value.count + value.missing
        return f"{mean_and_spread(replace(value, missing=0))} ({value.count} of {of})"
    if math.isnan(value.spread):
        return number(value.mean)
    # Below this it is the rounding of the mean, not a spread.
    if value.spread <= 1e-12 * abs(value.mean):
        return f"{number(value.mean)}{_PLUS_MINUS}0"
    places = max(1 - int(f"{value.spread:.1e}".partition("e")[2]), 0)
    if places > 6:
        return f"{number(value.mean)}{_PLUS_MINUS}{number(value.spread)}"
    return f"{value.mean:,.{places}f}{_PLUS_MINUS}{value.spread:,.{places}f}".replace("-", "−")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A Markdown table of cells that are escaped already; `right` are the columns set to the right, as figures are."""
    right = set(right)
    lines = [header, ["---:" if column in right else "---" for column in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def link(words: str, address: str) -> str:
    """Words, escaped already, that lead to a page of the report, or to an address of the web that is safe in Markdown;
    the words alone for any other address.
    """
    return f"[{words}]({address})" if re.fullmatch(r"[\w./:#\[\]-]+", address, re.ASCII) else words


def count(number: int, what: str, many: str = "") -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def unmeasured(runs: Sequence[RunRecord]) -> list[str]:
    """Which metrics could not be measured in some runs, or on real data, and why; nothing where all could."""
    lines = []
    for reason, (names, samples, real) in absences(runs).items():
        where = [count(samples, "run")] * bool(samples) + ["real data"] * bool(real)
        named = ", ".join(escape(spell_metric(name)) for name in names)
        lines.append(f"- {named} ({' and '.join(where)}): {escape(reason)}.")
    return ["Not measured:", "\n".join(lines)] if lines else []
