"""Groups runs by seeds, and the groups into sections of comparable ones, for the report that compares all runs.

The runs of one config with different seeds are a seed group, a row of its section. A section shares the dataset with
its checksum, the extractor and the number of samples, so that a metric means the same in all rows. Runs that did not
finish enter no mean, and every run that is left out is named.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from benchmarks.config import RunConfig
from reports.analysis.names import spell_field
from reports.analysis.summaries import Summary, summarize
from reports.reading.runs import LeftOut, RunRecord


@dataclass(frozen=True)
class SeedGroup:
    """Holds the runs of one config that differ in their seed only."""

    number: int
    """Row in the tables of the section."""
    variant: str
    label: str
    """Differences from other groups of the variant; "" where there is no other."""
    finished: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]

    @property
    def name(self) -> str:
        return f"{self.variant} ({self.label})" if self.label else self.variant

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        return self.finished + self.failed

    @property
    def config(self) -> RunConfig:
        return self.runs[0].config

    def metric(self, name: str) -> Summary:
        """Returns a metric over the finished runs; a count of 0 where it does not apply."""
        return summarize([run.metrics.get(name, math.nan) for run in self.finished])

    def seconds(self) -> Summary:
        return summarize([run.seconds for run in self.finished])

    def parameters(self) -> tuple[Mapping[str, int], ...]:
        """Returns the numbers of parameters by network; more than one where the runs do not agree."""
        return tuple(dict(counts) for counts in sorted({tuple(sorted(run.parameters.items())) for run in self.runs}))


@dataclass(frozen=True)
class Section:
    """Holds seed groups that can be compared, and what a reader has to know about them."""

    dataset: str
    options: Mapping[str, Any]
    """Of the dataset, where they are not neutral."""
    checksum: str
    """Of the data; "" where every seed draws its own."""
    extractor: str
    samples: int
    groups: tuple[SeedGroup, ...]
    metrics: tuple[str, ...]
    """Names in the order of the tables."""
    reference: Mapping[str, Summary]
    """Metrics of real data."""
    notes: tuple[str, ...]
    """Sentences that were recorded with the runs."""
    codes: Mapping[str, tuple[SeedGroup, ...]]
    """Groups by the fingerprint of the code that trained them."""
    stale: tuple[SeedGroup, ...]
    """Groups that were trained by other code than the present one."""
    machines: tuple[str, ...]
    unequal_reference: tuple[str, ...]
    """Metrics whose values on real data differ between the runs, though the data are the same."""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        return tuple(run for group in self.groups for run in group.runs)


def group_into_sections(
    runs: Iterable[RunRecord], metrics: Sequence[str] = (), code: str = ""
) -> tuple[tuple[Section, ...], tuple[LeftOut, ...]]:
    """Returns the comparable sections, ordered by dataset, and the runs that none of them counts.

    metrics: names in their preferred order; others follow by name. code: fingerprint of the present code, by which
    runs are stale; "" to mark none.
    """
    counted, left_out = _choose_counted(runs)
    by_protocol: dict[tuple[Any, ...], list[RunRecord]] = {}
    for run in counted:
        config = run.config
        options = tuple(sorted(_dataset_options(config).items()))
        by_protocol.setdefault((config.dataset.name, options, config.extractor, config.samples), []).append(run)
    same = [group for protocol in sorted(by_protocol) for group in _split_by_checksum(by_protocol[protocol])]
    made = tuple(_make_section(group, metrics, code) for group in same)
    return made, tuple(sorted(left_out, key=lambda run: (run.name, run.id)))


def find_differing_fields(groups: Sequence[SeedGroup]) -> dict[int, dict[str, Any]]:
    """Returns, by the number of each group, the fields with their values in which the groups are not all the same."""
    choices = {group.number: _fields_of(group.runs[0]) for group in groups}
    names = list(next(iter(choices.values()), {}))
    differing = [name for name in names if len({repr(values[name]) for values in choices.values()}) > 1]
    return {number: {name: values[name] for name in differing} for number, values in choices.items()}


def preference_order(run: RunRecord) -> tuple[Any, ...]:
    """Sorts repetitions of a config: the finished one counts, then the one that ended last."""
    return run.finished, run.lines[-1].get("timing", {}).get("time", 0.0) if run.lines else 0.0, run.id


def drawn_by_seed(runs: Sequence[RunRecord]) -> bool:
    """Returns whether every seed has data of its own, so that different checksums mean nothing."""
    pairs = {(run.config.seed, run.config.checksum) for run in runs}
    seeds, checksums = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(pairs) > 1 and len(seeds) == len(checksums) == len(pairs)


def _choose_counted(runs: Iterable[RunRecord]) -> tuple[list[RunRecord], list[LeftOut]]:
    """Returns the finished and the failed runs, each config once, and the others with the reason."""
    counted: dict[str, RunRecord] = {}
    left_out = []
    for run in runs:
        epochs = run.config.recipe.epochs
        if run.state not in ("FINISHED", "FAILED"):
            why = {"KILLED": "killed", "RUNNING": "still running", "NONE": "not started"}[run.state]
            cause = f" ({run.cause})" if run.cause else ""
            left_out.append(LeftOut(run.id, run.name, f"{why} after epoch {run.epoch} of {epochs}{cause}"))
            continue
        if run.finished and not run.metrics:
            left_out.append(LeftOut(run.id, run.name, "finished, but its journal has no evaluation"))
            continue
        other = counted.get(run.config.key)
        # Of two runs of one config, the same seed included, only one may count: else that seed would weigh twice.
        wins = other is None or preference_order(run) > preference_order(other)
        kept, dropped = (run, other) if wins else (other, run)
        counted[run.config.key] = kept
        if dropped is not None:
            left_out.append(LeftOut(dropped.id, dropped.name, f"the same config and seed as run {kept.id}"))
    return list(counted.values()), left_out


def _split_by_checksum(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    if drawn_by_seed(runs):
        return [list(runs)]
    return [
        [run for run in runs if run.config.checksum == checksum]
        for checksum in sorted({run.config.checksum for run in runs})
    ]


def _make_section(runs: Sequence[RunRecord], preferred: Sequence[str], code: str) -> Section:
    first, by_seed = runs[0].config, drawn_by_seed(runs)
    groups = _make_groups(runs)
    measured = {name for run in runs for name in run.metrics}
    names = [name for name in preferred if name in measured]
    names += sorted((name for name in measured if name not in names), key=_natural)
    reference = {
        name: summarize(values)
        for name in names
        if (values := [run.reference[name] for run in runs if name in run.reference])
    }
    codes = sorted({run.code for run in runs})
    return Section(
        dataset=first.dataset.name,
        options=_dataset_options(first),
        checksum="" if by_seed else first.checksum,
        extractor=first.extractor,
        samples=first.samples,
        groups=groups,
        metrics=tuple(names),
        reference=reference,
        notes=tuple(sorted({note for run in runs for note in run.notes})),
        codes={each: tuple(group for group in groups if any(run.code == each for run in group.runs)) for each in codes},
        stale=tuple(group for group in groups if code and any(run.code not in ("", code) for run in group.runs)),
        machines=tuple(sorted({_describe_machine(run) for run in runs})),
        # Data that each seed draws for itself have a value of their own.
        unequal_reference=() if by_seed else tuple(name for name, value in reference.items() if value.varies),
    )


def _make_groups(runs: Sequence[RunRecord]) -> tuple[SeedGroup, ...]:
    """Returns numbered rows, ordered by variant and label."""
    by_config: dict[RunConfig, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: (run.config.seed, run.id)):
        by_config.setdefault(replace(run.config, seed=0, checksum=""), []).append(run)
    labelled = []
    for variant in sorted({config.variant for config in by_config}):
        mine = [group for config, group in by_config.items() if config.variant == variant]
        names = [_recipe_name(group) for group in mine]
        for group, name in zip(mine, names, strict=True):
            # A recipe's name stands for every difference from the other recipes; further differences are spelled out.
            others = [_fields_of(other[0]) for other, named in zip(mine, names, strict=True) if named == name]
            words = [name] if name and len(set(names)) > 1 else []
            words += [
                spell_field(field, value)
                for field, value in _fields_of(group[0]).items()
                if any(other.get(field) != value for other in others)
            ]
            labelled.append((variant, ", ".join(words), group))
    labelled.sort(key=lambda each: (each[0], _natural(each[1]), each[2][0].config.key))
    return tuple(
        SeedGroup(
            number,
            variant,
            label,
            tuple(run for run in group if run.finished),
            tuple(run for run in group if not run.finished),
        )
        for number, (variant, label, group) in enumerate(labelled, start=1)
    )


def _recipe_name(group: Sequence[RunRecord]) -> str:
    counts = Counter(run.recipe_name for run in group)
    return min(counts, key=lambda name: (-counts[name], name))


def _fields_of(run: RunRecord) -> dict[str, Any]:
    """Returns the fields in which groups of one section can differ."""
    config = run.config
    shared = ("variant", "recipe", "dataset", "seed", "checksum", "extractor", "samples")
    values = {f.name: getattr(config.recipe, f.name) for f in fields(config.recipe)}
    values |= {f.name: getattr(config, f.name) for f in fields(config) if f.name not in shared}
    return values | {"parent": config.parent_name or "none"}


def _dataset_options(config: RunConfig) -> dict[str, Any]:
    return {name: value for name, value in config.dataset.as_dict(neutral=False).items() if name != "name"}


def _describe_machine(run: RunRecord) -> str:
    environment = run.environment
    return f"{environment.get('device', 'unknown device')}, {environment.get('threads', '?')} threads"


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sorts `class_10` after `class_9`."""
    parts = re.split("([0-9]+)", name)
    return [(0, int(part)) if place % 2 else (1, part) for place, part in enumerate(parts)]
