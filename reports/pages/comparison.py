"""Renders the page that compares all runs, whatever they were trained for."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metrics.base import Metric
from reports.analysis.sections import Section, SeedGroup, find_differing_fields
from reports.figures.illustrations import IllustratedSection
from reports.pages.templates import render_markdown
from reports.reading.runs import LeftOut

# More columns make a table wider than a page; more pictures side by side make digits illegible.
_GROUPS_ACROSS = 5
PICTURES_ACROSS = 3
# The metrics that a reader looks for first, for the first table of a section.
_HEADLINES = ("fid_normalized", "fid", "overlap", "mode_coverage", "accuracy")


@dataclass(frozen=True)
class _Part:
    """Holds a section with what its tables need."""

    illustrated: IllustratedSection
    headlines: Sequence[str]
    """Metrics of the first table."""
    others: Sequence[str]
    """Other metrics, without members of families."""
    families: Mapping[str, Mapping[str, str]]
    """Titles of the members of each family of metrics, such as one a class."""
    networks: Sequence[str]
    differing: Mapping[int, Mapping[str, object]]
    classifier: str
    accuracies: Sequence[str]
    """Lowest and highest accuracy of the classifiers, in percent; one where they agree."""
    protocol: str

    @property
    def section(self) -> Section:
        return self.illustrated.section

    @property
    def real_data(self) -> Sequence[str]:
        return sorted({run.real_data for run in self.section.runs if run.real_data})


def render_comparison(
    illustrated: Sequence[IllustratedSection],
    left_out: Sequence[LeftOut],
    metrics: Mapping[str, Metric],
    records: str = "",
) -> str:
    """Returns the page: sections with their pictures, failed runs, and what was left out.

    metrics: the known ones by name. records: the folder that the archive beside the report unpacks to; "" without one.
    """
    sections = [each.section for each in illustrated]
    groups = [group for section in sections for group in section.groups]
    measured = {name for section in sections for name in section.metrics}
    measured |= {name.rpartition("_")[0] for name in measured}
    return render_markdown(
        "comparison.md.j2",
        parts=[_prepare(each, metrics) for each in illustrated],
        finished=[run for group in groups for run in group.finished],
        failed=sorted((run for group in groups for run in group.failed), key=lambda run: (run.name, run.id)),
        variants=len({group.variant for group in groups}),
        left_out=left_out,
        metrics=metrics,
        known_metrics=[metric for name, metric in metrics.items() if name in measured],
        shorten_id=_shorten_id,
        groups_that_measured=_groups_that_measured,
        pictures_across=PICTURES_ACROSS,
        folder=records,
    )


def _prepare(illustrated: IllustratedSection, metrics: Mapping[str, Metric]) -> _Part:
    section = illustrated.section
    families: dict[str, dict[str, str]] = {name: {} for name, metric in metrics.items() if metric.family}
    overall = []
    for name in section.metrics:
        family, _, member = name.rpartition("_")
        if family in families and member.isdecimal():
            families[family][name] = _name_member(name, section)
        else:
            overall.append(name)
    headlines = [name for name in _HEADLINES if name in overall] or overall[: len(_HEADLINES)]
    networks = {network for group in section.groups for counts in group.parameters() for network in counts}
    environment = section.groups[0].runs[0].environment
    extractor, protocol = environment.get("extractor"), environment.get("protocol")
    extractor = extractor if isinstance(extractor, Mapping) else {}
    classifier, told = extractor.get("name"), extractor.get("accuracy")
    accuracies = [a for a in (told if isinstance(told, list) else [told]) if isinstance(a, float) and 0 <= a <= 1]
    return _Part(
        illustrated,
        headlines,
        others=[name for name in overall if name not in headlines],
        families={family: titles for family, titles in families.items() if titles},
        networks=sorted(sorted(networks, reverse=True), key=lambda network: network != "generator"),
        differing=find_differing_fields(section.groups),
        classifier=classifier if isinstance(classifier, str) else "",
        accuracies=list(dict.fromkeys(f"{100 * pick(accuracies):.2f}" for pick in (min, max) if accuracies)),
        protocol=protocol if isinstance(protocol, str) else "",
    )


def _groups_that_measured(section: Section, names: Iterable[str]) -> Iterator[Sequence[SeedGroup]]:
    """Yields the groups that have any of the metrics, as many at once as a table holds."""
    groups = [group for group in section.groups if any(group.metric(name).count for name in names)]
    for start in range(0, len(groups), _GROUPS_ACROSS):
        yield groups[start : start + _GROUPS_ACROSS]


def _name_member(name: str, section: Section) -> str:
    """Returns the number of a member of a family, with the name of the class of that number."""
    number = int(name.rpartition("_")[2])
    classes = section.groups[0].runs[0].classes if "_class_" in name else ()
    called = classes[number] if number < len(classes) else str(number)
    return called if called == str(number) else f"{number}: {called}"


def _shorten_id(id: str) -> str:
    """Returns the eight digits that tell runs apart; the table of runs has the whole ids."""
    if re.fullmatch(r"[0-9a-f]{32}", id):
        return id[:8]
    return id[-8:] if re.fullmatch(r".*-s\d+-[0-9a-f]{8}", id) else id
