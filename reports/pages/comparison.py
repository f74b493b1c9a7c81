"""The page that compares all runs, whatever they were made for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.base import Metric
from reports.analysis.tables import Section, SeedGroup, differing_fields, spell_field, spell_metric
from reports.pages.markdown import code, count, escape, mean_and_spread, number, table, unmeasured
from reports.reading.runs import LeftOut, RunRecord

# In a table, side by side, so that ten digits across stay legible at the width of a page.
PICTURES_ACROSS = 3
# What a table can hold without being scrolled sideways.
ARMS_ACROSS = 5

# What a person looks for first, and so stands in the first table; more would make it wider than a page.
HEADLINES = ("fid_normalized", "fid", "overlap", "mode_coverage", "accuracy")

SAMPLES = "Samples"


@dataclass(frozen=True)
class Illustration:
    """A figure, its path from the page, the arms that it shows, and the runs that it is made of."""

    title: str
    path: str
    arms: Sequence[SeedGroup]
    runs: Sequence[RunRecord]


def render_comparison(
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
        f"{count(finished, 'finished run')} of {count(len(variants), 'variant')}, {failed} failed, "
        f"{len(left_out)} left out.",
    ]
    if sections:
        parts.append(
            "A value is the mean over training seeds ± their standard deviation, at the end of training; one seed has "
            "no spread. ↓ means that less is better, ↑ that more is. *Real data* is what the same metric gives real "
            "examples under the same protocol. “–” means that a metric does not apply, or could not be measured; the "
            "reasons are listed with the tables. Failed runs enter no mean; their number stands beside it."
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
        rows = [[escape(spell_metric(metric.name)), escape(metric.summary), escape(metric.paper)] for metric in known]
        parts += ["## Metrics", table(["metric", "what it is", "defined by"], rows)]
    parts.append("Made by `python -m reports.build`.")
    return "\n\n".join(parts) + "\n"


def _section(section: Section, figures: Sequence[Illustration], metrics: Mapping[str, Metric]) -> list[str]:
    options = ", ".join(spell_field(name, value) for name, value in section.options.items())
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
    parts += unmeasured([run for arm in section.arms for run in arm.finished])
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
    told = sorted({run.real_data for arm in section.arms for run in arm.runs if run.real_data})
    real = "".join(f" *Real data*: {escape(each)}." for each in told)
    return f"{words}.{real} {data}."


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
    return escape(spell_metric(name)) + (arrows[metrics[name].direction] if name in metrics else "")


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
    words = escape(spell_metric(name))
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
    apart = differing_fields(section.arms)
    rows = []
    for arm in section.arms:
        fields = ", ".join(escape(spell_field(name, value)) for name, value in apart[arm.number].items())
        ids = ", ".join(
            f"seed {run.config.seed}{'' if run.finished else ' (failed)'} {code(run.id)}" for run in arm.runs
        )
        rows.append([str(arm.number), escape(arm.name), fields or "–", ids])
    return table(["row", "variant", "in what its config differs from other rows", "runs"], rows, right=[0])
