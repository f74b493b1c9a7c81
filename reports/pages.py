"""A report as Markdown that reads well on GitHub, and the same Markdown as one self-contained HTML file.

Everything that comes from a run (names, notes, causes, values) goes through `escape` on its way into a page.
"""

import base64
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape as escape_html
from typing import Any

from metrics.record import Metric
from reports.runs import LeftOut, RunRecord
from reports.tables import Arm, Section, Summary, differing, spelled, spoken

# In a table, side by side, so that ten digits across stay legible at the width of a page.
PICTURES_ACROSS = 3
# What a table can hold without being scrolled sideways.
ARMS_ACROSS = 5

# What a person looks for first, and so stands in the first table; more would make it wider than a page.
HEADLINES = ("fid_normalized", "fid", "overlap", "mode_coverage", "accuracy")

SAMPLES = "Samples"

# A colon inside of a word would make a link of an address, or an emoji of a word.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&@$]|:(?=\S)")
_LONGEST = 300
_PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1f2328; background: #fff }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { border: 1px solid #d1d9e0; padding: .3rem .7rem; vertical-align: top }
tr:nth-child(2n) td { background: #f6f8fa }
img { max-width: 100%; height: auto }
code { background: #eff1f3; padding: .1em .3em; border-radius: 4px; font-size: 85% }
h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3rem; margin-top: 2.5rem }
"""


def escape(text: object) -> str:
    """Text from outside as Markdown that shows exactly it: on one line, in a table cell, with no mark-up of its own.

    Characters that are not printed (control, format and unassigned ones, such as those that turn the direction of
    text) become �, and what is longer than a reader can use is cut.
    """
    shown = " ".join(str(text).split())
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in shown)
    if len(shown) > _LONGEST:
        shown = shown[:_LONGEST] + "…"

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


@dataclass(frozen=True)
class Illustration:
    """A figure, its path from the page, the arms that it shows, and the runs that it is made of."""

    title: str
    path: str
    arms: Sequence[Arm]
    runs: Sequence[RunRecord]


def index(
    illustrated: Sequence[tuple[Section, Sequence[Illustration]]],
    left_out: Sequence[LeftOut],
    metrics: Mapping[str, Metric],
) -> str:
    """The page that compares all runs: its sections with their figures, the failures, and what was left out.

    metrics: what is known of each, by its name.
    """
    sections = [section for section, _ in illustrated]
    finished = sum(len(arm.finished) for section in sections for arm in section.arms)
    failed = sum(len(arm.failed) for section in sections for arm in section.arms)
    variants = {arm.variant for section in sections for arm in section.arms}
    parts = [
        "# GAN variants compared",
        f"{_count(finished, 'finished run')} of {_count(len(variants), 'variant')}, {failed} failed, "
        f"{len(left_out)} left out.",
    ]
    if sections:
        parts.append(
            "A value is the mean over training seeds ± their standard deviation, at the end of training; one seed has "
            "no spread. ↓ means that less is better, ↑ that more is. *Real data* is what the same metric gives real "
            "examples under the same protocol. “–” means that a metric does not apply. Failed runs enter no mean; "
            "their number stands beside it."
        )
    for section, figures in illustrated:
        parts += _section(section, figures, metrics)
    failures = [run for section in sections for arm in section.arms for run in arm.failed]
    if failures:
        parts += [
            "## Failed runs",
            table(
                ["run", "after epoch", "cause"],
                [
                    [_run(run.name, run.id), str(run.epoch), escape(run.cause or "not recorded")]
                    for run in sorted(failures, key=lambda run: (run.name, run.id))
                ],
                right=[1],
            ),
        ]
    if left_out:
        parts += [
            "## Left out",
            "No table or figure counts these runs.",
            table(["run", "why"], [[_run(run.name, run.id), escape(run.why)] for run in left_out]),
        ]
    measured = {name for section in sections for name in section.metrics}
    measured |= {name.rpartition("_")[0] for name in measured}
    if known := [metric for name, metric in metrics.items() if name in measured]:
        rows = [[escape(spoken(metric.name)), escape(metric.summary), escape(metric.paper)] for metric in known]
        parts += ["## Metrics", table(["metric", "what it is", "defined by"], rows)]
    parts.append("Made by `python -m reports.build`.")
    return "\n\n".join(parts) + "\n"


def _section(section: Section, figures: Sequence[Illustration], metrics: Mapping[str, Metric]) -> list[str]:
    options = ", ".join(spelled(name, value) for name, value in section.options.items())
    heading = f"## {escape(section.dataset)}" + (f" ({escape(options)})" if options else "")
    parts = [heading, _protocol(section)]
    parts += [f"> {escape(note)}" for note in section.notes]
    families = {name: [] for name, metric in metrics.items() if metric.family}
    overall = []
    for name in section.metrics:
        family, _, member = name.rpartition("_")
        (families[family] if family in families and member.isdecimal() else overall).append(name)
    headlines = [name for name in HEADLINES if name in overall] or overall[: len(HEADLINES)]
    others = [name for name in overall if name not in headlines]
    parts.append(_comparison(section, headlines, metrics))
    for figure in figures:
        if figure.title != SAMPLES:
            parts += [f"### {figure.title}", f"![{figure.title}]({figure.path})", _sources(figure)]
    if samples := [figure for figure in figures if figure.title == SAMPLES]:
        parts += ["### Samples", *_samples(samples)]
    if others:
        parts += ["### Other metrics", *_by_arm(section, {name: _title(name, metrics) for name in others})]
    for family, names in families.items():
        if names:
            titles = {name: escape(_member(name, section)) for name in names}
            parts += [f"### {_heading(family)}", *_by_arm(section, titles)]
    parts += ["### Cost", _cost(section), "### Runs", _runs(section)]
    return parts


def _protocol(section: Section) -> str:
    environment = section.arms[0].runs[0].environment
    words = f"Judged on {section.samples:,} samples of each run"
    if section.extractor:
        judge = environment.get("extractor")
        judge = judge if isinstance(judge, Mapping) else {}
        name, said = judge.get("name"), judge.get("accuracy")
        words += f" by the classifier {code(name)}," if isinstance(name, str) and name else " by the classifier"
        words += f" {code(section.extractor[:8])}"
        accuracies = [a for a in (said if isinstance(said, list) else [said]) if isinstance(a, float) and 0 <= a <= 1]
        if accuracies:
            least, most = (f"{100 * accuracy:.2f}" for accuracy in (min(accuracies), max(accuracies)))
            words += f", right on {least if least == most else f'{least} to {most}'} % of real test images"
    against = environment.get("protocol")
    words += f", {escape(against)}" if isinstance(against, str) and against else ""
    data = (
        f"Checksum of the data: {code(section.checksum[:8])}" if section.checksum else "Every seed draws its own data"
    )
    return f"{words}. {data}."


def _comparison(section: Section, names: Sequence[str], metrics: Mapping[str, Metric]) -> str:
    header = ["row", "variant", "seeds", "failed", *[_title(name, metrics) for name in names]]
    rows = [
        [
            str(arm.number),
            escape(arm.name),
            str(len(arm.finished)),
            str(len(arm.failed)),
            *[mean_and_spread(arm.metric(name)) for name in names],
        ]
        for arm in section.arms
    ]
    rows.append(["", "*real data*", "", "", *[_real(section, name) for name in names]])
    return table(header, rows, right=[0, *range(2, len(header))])


def _title(name: str, metrics: Mapping[str, Metric]) -> str:
    arrows = {"min": " ↓", "max": " ↑"}
    return escape(spoken(name)) + (arrows[metrics[name].direction] if name in metrics else "")


def _cost(section: Section) -> str:
    networks = sorted(
        {network for arm in section.arms for counts in arm.parameters() for network in counts}, reverse=True
    )
    networks.sort(key=lambda network: network != "generator")
    header = ["row", "variant", "training (s)", *[f"parameters of the {escape(network)}" for network in networks]]
    rows = [
        [
            str(arm.number),
            escape(arm.name),
            mean_and_spread(arm.seconds()),
            *[
                " or ".join(f"{counts[network]:,}" for counts in arm.parameters() if network in counts) or "–"
                for network in networks
            ],
        ]
        for arm in section.arms
    ]
    return table(header, rows, right=[0, *range(2, len(header))])


def _by_arm(section: Section, titles: Mapping[str, str]) -> list[str]:
    """Tables with a column for each arm and a row for each metric, called by its title."""
    arms = [arm for arm in section.arms if any(arm.metric(name).count for name in titles)]
    tables = []
    for start in range(0, len(arms), ARMS_ACROSS):
        across = arms[start : start + ARMS_ACROSS]
        header = ["", *[f"{arm.number}. {escape(arm.name)}" for arm in across], "*real data*"]
        rows = [
            [title, *[mean_and_spread(arm.metric(name)) for arm in across], _real(section, name)]
            for name, title in titles.items()
        ]
        tables.append(table(header, rows, right=range(1, len(header))))
    return tables


def _heading(name: str) -> str:
    words = escape(spoken(name))
    return words[:1].upper() + words[1:]


def _member(name: str, section: Section) -> str:
    """Which of a family a metric is: the number in its name, and what the class of that number is called."""
    number = int(name.rpartition("_")[2])
    classes = section.arms[0].runs[0].classes if "_class_" in name else ()
    called = classes[number] if number < len(classes) else str(number)
    return called if called == str(number) else f"{number}: {called}"


def _real(section: Section, name: str) -> str:
    if name not in section.reference:
        return "–"
    value = section.reference[name]
    # The same value, measured once for each run, has no spread that would mean anything.
    return mean_and_spread(value) if value.spread > 1e-6 * abs(value.mean) else number(value.mean)


def _samples(figures: Sequence[Illustration]) -> list[str]:
    parts = ["Of each row the run with the lowest seed, at the end of its training; not the one with the best looks."]
    for start in range(0, len(figures), PICTURES_ACROSS):
        across = figures[start : start + PICTURES_ACROSS]
        titles = [f"{figure.arms[0].number}. {escape(figure.arms[0].name)}" for figure in across]
        pictures = [f"![Samples of row {figure.arms[0].number}]({figure.path})" for figure in across]
        said = [
            f"seed {run.config.seed}, epoch {run.pictured}, {code(run.id)}" for figure in across for run in figure.runs
        ]
        parts.append(table(titles, [pictures, said]))
    return parts


def _sources(figure: Illustration) -> str:
    """Which runs a figure is made of, by the eight digits that tell them apart; the table of runs has the whole ids."""
    rows = [
        f"row {arm.number}: " + ", ".join(code(_short(run.id)) for run in figure.runs if run in arm.finished)
        for arm in figure.arms
    ]
    return f"Lines are means over seeds, bands reach from the lowest seed to the highest. Runs: {'; '.join(rows)}."


def _short(id: str) -> str:
    if re.fullmatch(r"[0-9a-f]{32}", id):
        return id[:8]
    return id[-8:] if re.fullmatch(r".*-s\d+-[0-9a-f]{8}", id) else id


def _run(name: str, id: str) -> str:
    return code(name) if name == id else f"{code(name)}, {code(id)}"


def _runs(section: Section) -> str:
    apart = differing(section.arms)
    rows = []
    for arm in section.arms:
        fields = ", ".join(escape(spelled(name, value)) for name, value in apart[arm.number].items())
        ids = ", ".join(
            f"seed {run.config.seed}{'' if run.finished else ' (failed)'} {code(run.id)}" for run in arm.runs
        )
        rows.append([str(arm.number), escape(arm.name), fields or "–", ids])
    return table(["row", "variant", "in what its config differs from other rows", "runs"], rows, right=[0])


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def html(markdown: str, pictures: Mapping[str, bytes], title: str) -> str:
    """One self-contained HTML file from Markdown.

    pictures: the bytes of each SVG or PNG by its path in the Markdown; others are not shown. Raw HTML in the Markdown
    stays text, and the page may neither run scripts nor load anything.
    """
    from markdown_it import MarkdownIt

    types = {"png": "image/png", "svg": "image/svg+xml"}
    embedded = {
        path: f"data:{types[path.rpartition('.')[2]]};base64,{base64.b64encode(data).decode()}"
        for path, data in pictures.items()
    }
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    default = parser.renderer.rules["image"]

    def image(tokens: Sequence[Any], place: int, options: Any, env: Any) -> str:
        source = tokens[place].attrGet("src")
        if source not in embedded:
            return escape_html(tokens[place].content)
        tokens[place].attrSet("src", embedded[source])
        return default(tokens, place, options, env)

    parser.renderer.rules["image"] = image
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape_html(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{parser.render(markdown)}</body>\n</html>\n"
    )
