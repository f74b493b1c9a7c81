"""What is compared with what: runs become arms, and arms of one dataset and protocol become a section.

An arm is a config without its seed. A section holds the arms whose figures mean the same: one dataset with one
checksum, one extractor, one number of samples. Runs that did not finish enter no mean; none is left out unsaid.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from benchmarks.config import RunConfig
from reports.reading.runs import LeftOut, RunRecord, earlier_protocol

if TYPE_CHECKING:
    import pandas


_ABBREVIATIONS = {"fid": "FID", "kid": "KID", "kl": "KL", "gan": "GAN"}


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation over seeds.

    count: of the values, NaN apart, that the mean is of; missing: how many there are not. The mean is NaN of no values,
    and infinite where one is: nothing is averaged away. The deviation is NaN for fewer than two values.
    """

    mean: float
    spread: float
    count: int
    missing: int = 0


@dataclass(frozen=True)
class SeedGroup:
    """The runs of one config that differ in their seed only.

    number: its row in the tables of the section. label: what tells it from other arms of the variant, often "".
    """

    number: int
    variant: str
    label: str
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
        """What this metric was in the finished runs; a count of 0 where it does not apply."""
        return summarize([run.metrics.get(name, math.nan) for run in self.finished])

    def seconds(self) -> Summary:
        return summarize([run.seconds for run in self.finished])

    def parameters(self) -> tuple[Mapping[str, int], ...]:
        """The numbers of parameters by network; more than one where the runs do not agree."""
        return tuple(dict(counts) for counts in sorted({tuple(sorted(run.parameters.items())) for run in self.runs}))


@dataclass(frozen=True)
class Section:
    """Arms that can be compared: they share the dataset, what judges it, and the number of samples.

    options: of the dataset, where they are not neutral. checksum: of its data; "" where every seed draws its own.
    metrics: the names of the metrics, in the order of the tables. reference: their values on real data. notes:
    sentences about the data and about what differs between its runs.
    """

    dataset: str
    options: Mapping[str, Any]
    checksum: str
    extractor: str
    samples: int
    arms: tuple[SeedGroup, ...]
    metrics: tuple[str, ...]
    reference: Mapping[str, Summary]
    notes: tuple[str, ...]


def summarize(values: Iterable[float]) -> Summary:
    values = list(values)
    measured = [value for value in values if not math.isnan(value)]
    count, missing = len(measured), len(values) - len(measured)
    if not all(map(math.isfinite, measured)):
        return Summary(sum(measured), math.nan, count, missing)
    mean = math.fsum(measured) / count if count else math.nan
    squares = math.fsum((value - mean) ** 2 for value in measured)
    return Summary(mean, math.sqrt(squares / (count - 1)) if count > 1 else math.nan, count, missing)


def group_into_sections(
    runs: Iterable[RunRecord], metrics: Sequence[str] = (), code: str = ""
) -> tuple[tuple[Section, ...], tuple[LeftOut, ...]]:
    """The comparable sections, ordered by dataset, and the runs that none of them counts.

    metrics: names in their preferred order; others follow by name. code: the fingerprint of the present code; runs
    made by another one are said to be stale.
    """
    runs, left_out = _counted(runs)
    by_protocol: dict[tuple[Any, ...], list[RunRecord]] = {}
    for run in runs:
        config = run.config
        options = tuple(sorted(_options(config).items()))
        protocol = (config.dataset.name, options, config.extractor, config.samples)
        by_protocol.setdefault(protocol, []).append(run)
    alike = [group for protocol in sorted(by_protocol) for group in _on_the_same_data(by_protocol[protocol])]
    made = tuple(_section(group, metrics, code) for group in alike)
    return made, tuple(sorted(left_out, key=lambda run: (run.name, run.id)))


def make_dataframe(runs: Sequence[RunRecord]) -> "pandas.DataFrame":
    """One row a run; the columns are described in `reports.results`."""
    import pandas

    rows = []
    for run in runs:
        config = run.config
        row: dict[str, Any] = {
            "run_id": run.id,
            "name": run.name,
            "variant": config.variant,
            "dataset": config.dataset.name,
            "seed": config.seed,
            "status": run.state,
            "epoch": run.epoch,
            "cause": run.cause,
            "recipe_name": run.recipe_name,
        }
        row |= {f.name: getattr(config.recipe, f.name) for f in fields(config.recipe)}
        row |= {f.name: getattr(config.dataset, f.name) for f in fields(config.dataset) if f.metadata}
        row |= {f.name: getattr(config, f.name) for f in fields(config) if f.name not in ("recipe", *row)}
        row["seconds"] = run.seconds
        row |= {f"parameters_{network}": count for network, count in sorted(run.parameters.items())}
        rows.append(row)
    names = sorted({name for run in runs for name in run.metrics})
    known = list(dict.fromkeys(column for row in rows for column in row))
    for run, row in zip(runs, rows, strict=True):
        for name in names:
            # A metric cannot take the place of what a run is.
            if name not in known:
                row[name] = run.metrics.get(name, math.nan)
                row[f"{name}_reference"] = run.reference.get(name, math.nan)
    columns = known + [column for name in names if name not in known for column in (name, f"{name}_reference")]
    return pandas.DataFrame(rows, columns=columns)


def absences(runs: Iterable[RunRecord]) -> dict[str, tuple[tuple[str, ...], int, int]]:
    """Why metrics could not be measured: by the reason, the metrics, in how many runs, and in how many on real data."""
    metrics: dict[str, set[str]] = {}
    counts: dict[str, list[int]] = {}
    for run in runs:
        for place, absent in enumerate((run.absent, run.absent_reference)):
            for reason in set(absent.values()):
                counts.setdefault(reason, [0, 0])[place] += 1
            for name, reason in absent.items():
                metrics.setdefault(reason, set()).add(name)
    return {reason: (tuple(sorted(metrics[reason])), *counts[reason]) for reason in sorted(metrics)}


def spell_field(name: str, value: Any) -> str:
    """A field of a config and its value, in words: `critic steps 5`."""
    if isinstance(value, (tuple, list)):
        value = "-".join(map(str, value)) or "none"
    elif isinstance(value, float):
        value = f"{value:g}"
    return f"{name.replace('_', ' ')} {value}"


def spell_metric(name: str) -> str:
    """The name of a metric in words: `mode KL`."""
    return " ".join(_ABBREVIATIONS.get(word, word) for word in name.split("_"))


def _counted(runs: Iterable[RunRecord]) -> tuple[list[RunRecord], list[LeftOut]]:
    """The finished and the failed runs, each config once, and the others with the reason why they do not count."""
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


def preference_order(run: RunRecord) -> tuple[Any, ...]:
    """Of repetitions the finished one counts, then the one that ended last."""
    return run.finished, run.lines[-1].get("timing", {}).get("time", 0.0) if run.lines else 0.0, run.id


def _on_the_same_data(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """One group a checksum. Where a dataset is drawn by the seed, so that no two seeds share one, all is one group."""
    if drawn_by_seed(runs):
        return [list(runs)]
    return [
        [run for run in runs if run.config.checksum == checksum]
        for checksum in sorted({run.config.checksum for run in runs})
    ]


def drawn_by_seed(runs: Sequence[RunRecord]) -> bool:
    """Whether every seed has data of its own, so that checksums which differ mean nothing."""
    pairs = {(run.config.seed, run.config.checksum) for run in runs}
    seeds, checksums = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(pairs) > 1 and len(seeds) == len(checksums) == len(pairs)


def _section(runs: Sequence[RunRecord], preferred: Sequence[str], code: str) -> Section:
    first = runs[0].config
    by_arm: dict[RunConfig, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: (run.config.seed, run.id)):
        by_arm.setdefault(replace(run.config, seed=0, checksum=""), []).append(run)
    arms = _arms(list(by_arm.values()))
    measured = {name for run in runs for name in run.metrics}
    names = [name for name in preferred if name in measured]
    names += sorted((name for name in measured if name not in names), key=_natural)
    reference = {
        name: summarize([run.reference[name] for run in runs if name in run.reference])
        for name in names
        if any(name in run.reference for run in runs)
    }
    return Section(
        first.dataset.name,
        _options(first),
        "" if drawn_by_seed(runs) else first.checksum,
        first.extractor,
        first.samples,
        arms,
        tuple(names),
        reference,
        _notes(runs, arms, reference, code),
    )


def _arms(groups: Sequence[Sequence[RunRecord]]) -> tuple[SeedGroup, ...]:
    """Numbered rows, ordered by variant and label."""
    labelled = []
    for variant in sorted({group[0].config.variant for group in groups}):
        mine = [group for group in groups if group[0].config.variant == variant]
        names = [_recipe_name(group) for group in mine]
        for group, name in zip(mine, names, strict=True):
            # A recipe's name stands for all that sets it apart from the other recipes; the rest is spelled out.
            alike = [other for other, named in zip(mine, names, strict=True) if named == name]
            words = [name] if name and len(set(names)) > 1 else []
            choices = [_choices(other[0]) for other in alike]
            words += [
                spell_field(field, value)
                for field, value in _choices(group[0]).items()
                if any(other.get(field) != value for other in choices)
            ]
            labelled.append((variant, ", ".join(words), group))
    labelled.sort(key=lambda arm: (arm[0], _natural(arm[1]), arm[2][0].config.key))
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


def _choices(run: RunRecord) -> dict[str, Any]:
    """What tells the arms of one variant in a section apart, by the name of its field."""
    config = run.config
    apart = ("variant", "recipe", "dataset", "seed", "checksum", "extractor", "samples")
    choices = {f.name: getattr(config.recipe, f.name) for f in fields(config.recipe)}
    return choices | {f.name: getattr(config, f.name) for f in fields(config) if f.name not in apart}


def differing_fields(arms: Sequence[SeedGroup]) -> dict[int, dict[str, Any]]:
    """By the number of each arm: the fields, with their values, in which the arms of a section are not all alike."""
    choices = {arm.number: _choices(arm.runs[0]) for arm in arms}
    names = list(next(iter(choices.values()), {}))
    apart = [name for name in names if len({repr(values[name]) for values in choices.values()}) > 1]
    return {number: {name: values[name] for name in apart} for number, values in choices.items()}


def _options(config: RunConfig) -> dict[str, Any]:
    return {name: value for name, value in config.dataset.as_dict(neutral=False).items() if name != "name"}


def _notes(
    runs: Sequence[RunRecord], arms: Sequence[SeedGroup], reference: Mapping[str, Summary], code: str
) -> tuple[str, ...]:
    notes = list(dict.fromkeys(note for run in runs for note in run.notes))
    codes = {made: _rows(arm for arm in arms if any(run.code == made for run in arm.runs)) for made in _codes(runs)}
    if len(codes) > 1:
        notes.append(
            "These runs were trained by different versions of the code, so differences between them may come from it: "
            + "; ".join(f"{made[:8] or 'unknown'} in {rows}" for made, rows in codes.items())
            + "."
        )
    if code and (stale := [arm for arm in arms if any(run.code not in ("", code) for run in arm.runs)]):
        notes.append(
            f"Stale: trained by other code than the present one, in {_rows(stale)}; the same command with --retrain "
            "does them again."
        )
    if said := earlier_protocol(runs):
        notes.append(said)
    machines = sorted({_machine(run) for run in runs})
    if len(machines) > 1:
        notes.append("Training times are from different machines: " + "; ".join(machines) + ".")
    # Data that each seed draws for itself have a value of their own.
    unsure = [name for name, value in reference.items() if value.spread > 1e-6 * abs(value.mean)]
    if unsure and not drawn_by_seed(runs):
        notes.append(f"The values on real data are not the same in all runs for: {', '.join(unsure)}.")
    return tuple(sorted(notes))


def _rows(arms: Iterable[SeedGroup]) -> str:
    numbers = [str(arm.number) for arm in arms]
    return f"row{'s' * (len(numbers) > 1)} {', '.join(numbers)}"


def _codes(runs: Sequence[RunRecord]) -> list[str]:
    return sorted({run.code for run in runs})


def _machine(run: RunRecord) -> str:
    environment = run.environment
    return f"{environment.get('device', 'unknown device')}, {environment.get('threads', '?')} threads"


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sorts `class_10` after `class_9`."""
    parts: list[tuple[int, int | str]] = []
    digits = ""
    for character in name + " ":
        if character.isdecimal() and character.isascii():
            digits += character
            continue
        if digits:
            parts.append((0, int(digits)))
            digits = ""
        parts.append((1, character))
    return parts
