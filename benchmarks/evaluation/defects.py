"""Plants known defects into real data, to see which metric notices which.

Real examples that are neither in the reference nor in the training split stand for a generator's samples. Every metric
is measured on them with and without each defect, on several random splits of the data. A metric *notices* a defect if
it gets worse in every split by more than three standard deviations of its values on sound samples over the splits, and
by more than a hundredth of their mean; it is *fooled* if it gets better by as much.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from benchmarks.algorithm.sampling import Generate
from benchmarks.datasets import Dataset, Split
from benchmarks.evaluation.catalogue import METRICS, find_metric
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.matching import match_labels
from variants.recipe import UserError

# All chosen, not tuned. How many standard deviations, and what share of the mean, a metric has to move.
_DEVIATIONS, _SHARE = 3.0, 0.01
_SPLITS, _USUAL_SPLITS = {"mnist": 3}, 5
# The class that is replaced by the next one, and the class of which every sample is the same.
_DROPPED, _REPEATED = 3, 7
# Examples that are set aside to stand for samples, and samples of points.
_SOURCE, _POINTS = 10_000, 2_500
_COPIES = 20
_FEW = 5
_NOISE, _PATTERN = 0.2, 0.15
_WRONG = 0.1


@dataclass(frozen=True)
class DefectInput:
    """Holds what a defect is planted into."""

    # Fresh real examples, (n, *shape).
    sound: Tensor
    # The labels that they were asked for, (n,).
    labels: Tensor
    # The split that they come from, and their places in it, (n,).
    source: Split
    places: Tensor
    # The split that a generator would have been trained on.
    training: Split
    dataset: Dataset
    generator: Generator

    @property
    def next_labels(self) -> Tensor:
        return (self.labels + 1) % len(self.dataset.class_names)

    def draw(self, labels: Tensor, split: Split | None = None) -> Tensor:
        """Draws a random example of each of these labels, from the source or another split."""
        split = split or self.source
        chosen = torch.empty_like(labels)
        for label in labels.unique():
            members = (split.labels == label).nonzero().flatten()
            wanted = labels == label
            chosen[wanted] = members[torch.randint(len(members), (int(wanted.sum()),), generator=self.generator)]
        return split.images(chosen)

    def draw_flags(self, share: float) -> Tensor:
        """Chooses about this share of the samples at random."""
        return torch.rand(len(self.labels), generator=self.generator) < share

    def put(self, these: Tensor, where: Tensor) -> Tensor:
        """Replaces the chosen samples."""
        return torch.where(where.view(-1, *[1] * (self.sound.dim() - 1)), these, self.sound)


# The docstring of each of the following is its line in the table of defects.


def drop_class(d: DefectInput) -> Tensor:
    """one class is never made; the next one is made instead"""
    labels = d.labels.clone()
    labels[labels == _DROPPED] = _DROPPED + 1
    return d.put(d.draw(labels), d.labels == _DROPPED)


def repeat_one(d: DefectInput) -> Tensor:
    """every sample of one class is the same perfect image"""
    of_class = d.labels == _REPEATED
    return d.put(d.sound[of_class][:1].expand_as(d.sound), of_class)


def repeat_few(d: DefectInput) -> Tensor:
    """every sample of one class is one of five images"""
    of_class = d.labels == _REPEATED
    few = d.sound[of_class][:_FEW]
    return d.put(few[torch.arange(len(d.sound)) % len(few)], of_class)


def duplicate(d: DefectInput) -> Tensor:
    """a twentieth of the samples, each twenty times"""
    chosen = torch.empty_like(d.labels)
    for label in d.labels.unique():
        members = (d.labels == label).nonzero().flatten()
        chosen[members] = members[torch.arange(len(members)) // _COPIES]
    return d.sound[chosen]


def mislabel(d: DefectInput) -> Tensor:
    """a tenth of the samples show the next class"""
    wrong = d.draw_flags(_WRONG)
    return d.put(d.draw(d.next_labels), wrong)


def add_noise(d: DefectInput) -> Tensor:
    """Gaussian noise of deviation 0.2 on every pixel, where black is −1 and white is 1"""
    return (d.sound + _NOISE * torch.randn(d.sound.shape, generator=d.generator)).clamp(-1, 1)


def draw_noise(d: DefectInput) -> Tensor:
    """nothing but uniform noise"""
    low, high = d.sound.amin(0), d.sound.amax(0)
    if d.dataset.spec.is_image:
        low, high = -torch.ones(()), torch.ones(())
    return low + (high - low) * torch.rand(d.sound.shape, generator=d.generator)


def blend(d: DefectInput) -> Tensor:
    """each sample is the mean of two real images, of the class that was asked for and of the next one"""
    return (d.sound + d.draw(d.next_labels)) / 2


def copy_training(d: DefectInput) -> Tensor:
    """each sample is a training image"""
    return d.draw(d.labels, d.training)


def blur(d: DefectInput) -> Tensor:
    """each sample is blurred by the kernel 1 2 1 in both directions"""
    line = torch.tensor([0.25, 0.5, 0.25])
    channels = d.sound.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 3, 3)
    return functional.conv2d(functional.pad(d.sound, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def add_checkerboard(d: DefectInput) -> Tensor:
    """a checkerboard of amplitude 0.15 on every image, of period 2: fields of one pixel"""
    return (d.sound + _PATTERN * draw_checkerboard(d.sound, 2)).clamp(-1, 1)


def add_coarse_checkerboard(d: DefectInput) -> Tensor:
    """the same of period 4, as the first of two layers of stride 2 leaves it: fields of 2 × 2 pixels"""
    return (d.sound + _PATTERN * draw_checkerboard(d.sound, 4)).clamp(-1, 1)


def widen(d: DefectInput) -> Tensor:
    """every mode five times as wide"""
    centres = d.dataset.modes.points[d.labels]
    return centres + 5 * (d.sound - centres)


def bridge(d: DefectInput) -> Tensor:
    """a tenth of the samples lie between two modes"""
    between = d.draw_flags(_WRONG)
    return d.put(blend(d), between)


def draw_checkerboard(images: Tensor, period: int) -> Tensor:
    """Draws a checkerboard of −1 and 1 of this period, (height, width) as the images."""
    rows, columns = (torch.arange(side) // (period // 2) for side in images.shape[2:])
    return 1 - 2 * ((rows[:, None] + columns) % 2)


Plant = Callable[[DefectInput], Tensor]
IMAGE_DEFECTS: dict[str, Plant] = {
    "dropped class": drop_class,
    "one image in a class": repeat_one,
    "five images in a class": repeat_few,
    "duplicates": duplicate,
    "wrong labels": mislabel,
    "pixel noise": add_noise,
    "uniform noise": draw_noise,
    "blends": blend,
    "copies of training": copy_training,
    "blur": blur,
    "checkerboard": add_checkerboard,
    "coarse checkerboard": add_coarse_checkerboard,
}
POINT_DEFECTS: dict[str, Plant] = {
    "dropped mode": drop_class,
    "one point in a mode": repeat_one,
    "duplicates": duplicate,
    "uniform noise": draw_noise,
    "wider modes": widen,
    "bridges": bridge,
}


@dataclass(frozen=True)
class DefectTable:
    """Holds the measurements on one dataset, and decides what each metric notices."""

    dataset: str
    # How many examples were compared, as a sentence.
    facts: str
    # By metric: "min" or "max".
    directions: dict[str, str]
    # Metrics whose perfect value lies inside their range.
    interior: frozenset[str]
    # By metric: one value a split, of sound samples.
    sound: dict[str, list[float]]
    # By defect, then metric: the same of samples with the defect.
    planted: dict[str, dict[str, list[float]]]

    def verdict(self, metric: str, defect: str) -> str:
        """Returns "noticed", "fooled", "" if the metric does not move, or "no sample to measure"."""
        sign = 1 if self.directions[metric] == "min" else -1
        sound, planted = ([sign * v for v in values] for values in (self.sound[metric], self.planted[defect][metric]))
        if any(map(math.isnan, planted)):
            return "no sample to measure"
        margin = max(_DEVIATIONS * statistics.stdev(sound), _SHARE * abs(statistics.fmean(sound)))
        worse = [p - s for p, s in zip(planted, sound, strict=True)]
        if min(worse) > margin:
            return "noticed"
        # A value below a perfect one inside the range, such as ½ for memorisation, does not fool the metric.
        return "fooled" if max(worse) < -margin and metric not in self.interior else ""


def measure_defects(dataset: Dataset, say: Callable[[str], None], samples: int = 0) -> DefectTable:
    """Plants every defect into a dataset, in several random splits, and measures every metric.

    samples: of each comparison; 0 for all. Raises UserError for data without enough labelled classes or examples.
    """
    if dataset.test.labels is None:
        raise UserError(f"defects are planted by class, and {dataset.name} has no labels; choose another dataset")
    if (classes := len(dataset.class_names)) <= _REPEATED:
        raise UserError(
            f"defects are planted into {_REPEATED + 1} classes, and {dataset.name} has {classes}; "
            "choose another dataset"
        )
    defects = IMAGE_DEFECTS if dataset.spec.is_image else POINT_DEFECTS
    splits = _SPLITS.get(dataset.name, _USUAL_SPLITS)
    sound: dict[str, list[float]] = {}
    planted: dict[str, dict[str, list[float]]] = {name: {} for name in defects}
    for split in range(splits):
        evaluator, given = prepare_split(dataset, Generator().manual_seed(split), samples)
        for defect, plant in {"": lambda d: d.sound, **defects}.items():
            say(f"{dataset.name}: split {split + 1} of {splits}, {defect or 'sound samples'}")
            values = sound if not defect else planted[defect]
            measured = evaluator.evaluate(replay_samples(plant(given)), final=True)
            for name, value in (measured | dict.fromkeys(evaluator.absent, math.nan)).items():
                if not find_metric(name).family:
                    values.setdefault(name, []).append(value)
    interior = frozenset(
        name for name, m in METRICS.items() if m.range[0] < m.perfect < m.range[1] and m.direction == "min"
    )
    facts = (
        f"{len(given.sound):,} samples against {len(evaluator.dataset.reference):,} real examples, "
        f"{len(given.training):,} for training, {splits} splits"
    )
    directions = {name: find_metric(name).direction for name in sound}
    return DefectTable(dataset.name, facts, directions, interior, sound, planted)


def prepare_split(dataset: Dataset, generator: Generator, samples: int = 0) -> tuple[Evaluator, DefectInput]:
    """Returns an evaluator, and fresh real examples that are neither in its reference nor in its training split."""
    reference, training = dataset.test, dataset.train
    if len(training) < 2 * len(reference):
        # Half of the training examples would be fewer than the samples: the whole in three parts.
        every = Split(*(torch.cat(pair) for pair in zip(training.tensors(), reference.tensors(), strict=True)))
        order = torch.randperm(len(every), generator=generator)
        reference, source, training = (every.select(indices) for indices in order.chunk(3))
    else:
        size = min(_SOURCE, len(training) // 2)
        order = torch.randperm(len(training), generator=generator)
        source, training = training.select(order[:size]), training.select(order[size:])
    for name, split in {"reference": reference, "samples": source, "training": training}.items():
        if lacking := set(range(len(dataset.class_names))) - split.label_set:
            raise UserError(
                f"defects are planted by class, and {dataset.name} has too few examples of "
                f"{dataset.class_names[min(lacking)]} to leave the {name} one; choose another dataset"
            )
    count = samples or (len(reference) if dataset.spec.is_image else _POINTS)
    if samples or len(reference) > len(source):
        reference = reference.select(match_labels(reference, reference, min(count, len(reference))))
    changed = replace(dataset, train=training, test=reference, reference=reference)
    evaluator = Evaluator(changed, count)
    labels = reference.labels[evaluator.chosen]
    places = _find_labels(source.labels, labels)
    return evaluator, DefectInput(source.images(places), labels, source, places, training, changed, generator)


def _find_labels(available: Tensor, labels: Tensor) -> Tensor:
    """Returns for each label a place in `available` that has it: each place once, then again from the first."""
    places = torch.empty_like(labels)
    for label in labels.unique():
        members, wanted = (available == label).nonzero().flatten(), labels == label
        places[wanted] = members[torch.arange(int(wanted.sum())) % len(members)]
    return places


def replay_samples(samples: Tensor) -> Generate:
    """Returns a generator that hands out these samples in their order."""
    given = 0

    def generate(condition: Tensor | None, count: int) -> Tensor:
        nonlocal given
        given += count
        return samples[given - count : given]

    return generate


_MARKS = {"noticed": "**{}**", "fooled": "_{}_ ✗", "": "{}", "no sample to measure": "–"}


def format_page(tables: Sequence[DefectTable]) -> str:
    """Returns the Markdown page of these tables."""
    lines = [
        "# Which metric notices which defect",
        "",
        "Made by `python -m benchmarks.defects`; do not edit. Known defects are planted into real examples that",
        "neither the reference nor the training split has, and every metric is measured with and without them.",
        "",
        "- **bold**: the metric notices the defect: it is worse in every random split, by more than three standard",
        "  deviations of its values on sound samples over the splits, and more than a hundredth of their mean;",
        "- _italic_ ✗: the metric is fooled: it is better than on sound samples, by as much;",
        "- plain: it does not move by that much; –: it cannot be measured, for want of samples or of real examples.",
        "",
        "Figures are means over the splits. Labels are told to the generator, as to a conditional variant.",
        "",
    ]
    for table in tables:
        defects = list(table.planted)
        lines += [f"## {table.dataset}", "", f"{table.facts}.", ""]
        lines += ["| metric | better | sound | " + " | ".join(defects) + " | notices |"]
        lines += ["|" + "---|" * (len(defects) + 4)]
        for metric in table.sound:
            verdicts = [table.verdict(metric, defect) for defect in defects]
            cells = [
                _MARKS[verdict].format(_figure(table.planted[defect][metric]))
                for verdict, defect in zip(verdicts, defects, strict=True)
            ]
            better = {"min": "lower", "max": "higher"}[table.directions[metric]]
            count = f"{verdicts.count('noticed')} of {len(defects)}"
            lines.append(f"| `{metric}` | {better} | {_figure(table.sound[metric])} | {' | '.join(cells)} | {count} |")
        lines += ["", "The defects:", ""]
        every = IMAGE_DEFECTS | POINT_DEFECTS if defects[0] in IMAGE_DEFECTS else POINT_DEFECTS
        lines += [f"- {defect}: {(every[defect].__doc__ or '').strip()}" for defect in defects]
        lines.append("")
    lines += ["## The metrics", ""]
    shown = {metric for table in tables for metric in table.sound}
    lines += [f"- `{name}`: {METRICS[name].summary} ({METRICS[name].paper})" for name in METRICS if name in shown]
    return "\n".join(lines) + "\n"


def _figure(values: Sequence[float]) -> str:
    mean = math.fsum(values) / len(values)
    if math.isnan(mean):
        return "–"
    return f"{mean:.0f}" if abs(mean) >= 100 else f"{mean:.3g}"
