"""Plants known defects into real data, and finds which metric notices which.

Real examples that neither the reference nor the training split has play the generator. Each defect is planted into
them, and every metric is measured with and without it, on several random splits of the data. A metric *notices* a
defect when it gets worse in every split by more than three standard deviations of its values on sound samples over the
splits, and by more than a hundredth of their mean; it is *fooled* when it gets better by as much.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from variants.recipe import UserError

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from benchmarks.datasets import Dataset, Split
    from benchmarks.evaluation.evaluator import Evaluator

SPLITS = {"mnist": 3}
USUAL_SPLITS = 5
# The class that is dropped, so that the next one is made instead, and the one of which every sample is the same.
DROPPED, REPEATED = 3, 7
MARGIN, LEAST = 3.0, 0.01
SOURCE = 10_000
POINTS = 2_500
COPIES = 20
NOISE = 0.2
PATTERN = 0.15
WRONG = 0.1


@dataclass(frozen=True)
class DefectInput:
    """What a defect is planted into.

    sound: (n, *shape) fresh real examples. labels: (n,) what was asked for. source: the split that they come from, and
    places: (n,) where in it. training: the split that a generator would have learnt from.
    """

    sound: "Tensor"
    labels: "Tensor"
    source: "Split"
    places: "Tensor"
    training: "Split"
    dataset: "Dataset"
    generator: "Generator"

    def another(self, labels: "Tensor", split: "Split | None" = None) -> "Tensor":
        """A random example of each of these labels, from the source or another split."""
        import torch

        split = split or self.source
        chosen = torch.empty_like(labels)
        for label in labels.unique():
            members = (split.labels == label).nonzero().flatten()
            wanted = labels == label
            chosen[wanted] = members[torch.randint(len(members), (int(wanted.sum()),), generator=self.generator)]
        return split.images(chosen)

    def noise(self) -> "Tensor":
        import torch

        return torch.randn(self.sound.shape, generator=self.generator)


def dropped_class(p: DefectInput) -> "Tensor":
    """one class is never made; the next one is made instead"""
    labels = p.labels.clone()
    labels[labels == DROPPED] = DROPPED + 1
    return _where(p.labels == DROPPED, p.another(labels), p.sound)


def one_image(p: DefectInput) -> "Tensor":
    """every sample of one class is the same perfect image"""
    of_class = p.labels == REPEATED
    return _where(of_class, p.sound[of_class][:1].expand_as(p.sound), p.sound)


def duplicates(p: DefectInput) -> "Tensor":
    """a twentieth of the samples, each twenty times"""
    import torch

    chosen = torch.empty_like(p.labels)
    for label in p.labels.unique():
        members = (p.labels == label).nonzero().flatten()
        chosen[members] = members[torch.arange(len(members)) // COPIES]
    return p.sound[chosen]


def wrong_labels(p: DefectInput) -> "Tensor":
    """a tenth of the samples show the next class"""
    import torch

    wrong = torch.rand(len(p.labels), generator=p.generator) < WRONG
    return _where(wrong, p.another((p.labels + 1) % len(p.dataset.class_names)), p.sound)


def pixel_noise(p: DefectInput) -> "Tensor":
    """Gaussian noise of deviation 0.2 on every pixel, where black is −1 and white is 1"""
    return (p.sound + NOISE * p.noise()).clamp(-1, 1)


def uniform_noise(p: DefectInput) -> "Tensor":
    """nothing but uniform noise"""
    import torch

    low, high = p.sound.amin(0), p.sound.amax(0)
    if p.dataset.spec.is_image:
        low, high = -torch.ones(()), torch.ones(())
    return low + (high - low) * torch.rand(p.sound.shape, generator=p.generator)


def blends(p: DefectInput) -> "Tensor":
    """each sample is the mean of two real images, of the class that was asked for and of the next one"""
    return (p.sound + p.another((p.labels + 1) % len(p.dataset.class_names))) / 2


def copies(p: DefectInput) -> "Tensor":
    """each sample is a training image"""
    return p.another(p.labels, p.training)


def blur(p: DefectInput) -> "Tensor":
    """each sample is blurred by the kernel 1 2 1 in both directions"""
    import torch
    from torch.nn import functional

    line = torch.tensor([0.25, 0.5, 0.25])
    channels = p.sound.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 3, 3)
    return functional.conv2d(functional.pad(p.sound, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def checkerboard(p: DefectInput) -> "Tensor":
    """a checkerboard of amplitude 0.15 on every image, of period 2: fields of one pixel"""
    return (p.sound + PATTERN * draw_checkerboard(p.sound, 2)).clamp(-1, 1)


def coarse_checkerboard(p: DefectInput) -> "Tensor":
    """the same of period 4, as the first of two layers of stride 2 leaves it: fields of 2 × 2 pixels"""
    return (p.sound + PATTERN * draw_checkerboard(p.sound, 4)).clamp(-1, 1)


def draw_checkerboard(images: "Tensor", period: int) -> "Tensor":
    """A checkerboard of −1 and 1 of this period, as large as the images."""
    import torch

    rows, columns = (torch.arange(side) // (period // 2) for side in images.shape[2:])
    return 1 - 2 * ((rows[:, None] + columns) % 2)


def wider(p: DefectInput) -> "Tensor":
    """every mode five times as wide"""
    centres = p.dataset.modes.points[p.labels]
    return centres + 5 * (p.sound - centres)


def bridges(p: DefectInput) -> "Tensor":
    """a tenth of the samples lie between two modes"""
    import torch

    between = torch.rand(len(p.labels), generator=p.generator) < WRONG
    return _where(between, (p.sound + p.another((p.labels + 1) % len(p.dataset.class_names))) / 2, p.sound)


def _where(chosen: "Tensor", these: "Tensor", those: "Tensor") -> "Tensor":
    import torch

    return torch.where(chosen.view(-1, *[1] * (those.dim() - 1)), these, those)


IMAGE_DEFECTS: dict[str, Callable[[DefectInput], "Tensor"]] = {
    "dropped class": dropped_class,
    "one image in a class": one_image,
    "duplicates": duplicates,
    "wrong labels": wrong_labels,
    "pixel noise": pixel_noise,
    "uniform noise": uniform_noise,
    "blends": blends,
    "copies of training": copies,
    "blur": blur,
    "checkerboard": checkerboard,
    "coarse checkerboard": coarse_checkerboard,
}
POINT_DEFECTS: dict[str, Callable[[DefectInput], "Tensor"]] = {
    "dropped mode": dropped_class,
    "one point in a mode": one_image,
    "duplicates": duplicates,
    "uniform noise": uniform_noise,
    "wider modes": wider,
    "bridges": bridges,
}


@dataclass(frozen=True)
class DefectTable:
    """What was measured on one dataset: sound[metric] and planted[defect][metric] hold one value for each split."""

    dataset: str
    facts: str
    directions: dict[str, str]
    interior: frozenset[str]
    sound: dict[str, list[float]]
    planted: dict[str, dict[str, list[float]]]

    def verdict(self, metric: str, defect: str) -> str:
        """`noticed`, `fooled`, or "" where the metric does not move, of one metric and one defect."""
        sign = 1 if self.directions[metric] == "min" else -1
        sound, planted = ([sign * v for v in values] for values in (self.sound[metric], self.planted[defect][metric]))
        if any(map(math.isnan, planted)):
            return "no sample to measure"
        margin = max(MARGIN * statistics.stdev(sound), LEAST * abs(statistics.fmean(sound)))
        worse = [p - s for p, s in zip(planted, sound, strict=True)]
        if min(worse) > margin:
            return "noticed"
        # A metric whose right value lies inside its range, as ½ for memorisation, is not fooled by being below it.
        return "fooled" if max(worse) < -margin and metric not in self.interior else ""


def measure_defects(dataset: "Dataset", splits: int, say: Callable[[str], None], samples: int = 0) -> DefectTable:
    """Plants every defect into a dataset, in each of several random splits. samples: of each comparison; 0 for all."""
    import torch

    from benchmarks.evaluation.catalogue import METRICS, find_metric

    defects = IMAGE_DEFECTS if dataset.spec.is_image else POINT_DEFECTS
    sound: dict[str, list[float]] = {}
    planted: dict[str, dict[str, list[float]]] = {name: {} for name in defects}
    for split in range(splits):
        generator = torch.Generator().manual_seed(split)
        evaluator, planting = prepare_split(dataset, generator, samples)
        for defect, plant in {"": lambda p: p.sound, **defects}.items():
            say(f"{dataset.name}: split {split + 1} of {splits}, {defect or 'sound samples'}")
            values = sound if not defect else planted[defect]
            measured = evaluator.evaluate(replay_samples(plant(planting)), final=True)
            for name, value in (measured | dict.fromkeys(evaluator.absent, math.nan)).items():
                if not find_metric(name).family:
                    values.setdefault(name, []).append(value)
    interior = frozenset(
        name for name, m in METRICS.items() if m.range[0] < m.perfect < m.range[1] and m.direction == "min"
    )
    facts = (
        f"{len(planting.sound):,} samples against {len(evaluator.dataset.reference):,} real examples, "
        f"{len(planting.training):,} for training, {splits} splits"
    )
    return DefectTable(
        dataset.name, facts, {name: find_metric(name).direction for name in sound}, interior, sound, planted
    )


def prepare_split(dataset: "Dataset", generator: "Generator", samples: int = 0) -> "tuple[Evaluator, DefectInput]":
    """An evaluator, and fresh real examples that its reference and its training split do not have."""
    import torch

    from benchmarks.datasets import Split
    from benchmarks.evaluation.evaluator import Evaluator
    from benchmarks.evaluation.matching import match_labels

    def part(split: Split, indices: torch.Tensor) -> Split:
        return Split(split.data[indices], split.labels[indices])

    reference, training = dataset.test, dataset.train
    if len(training) < 2 * len(reference):
        # Half of the training examples would be fewer than the samples: the whole in three parts.
        every = Split(*(torch.cat(pair) for pair in zip(training.tensors(), reference.tensors(), strict=True)))
        order = torch.randperm(len(every), generator=generator)
        reference, source, training = (part(every, indices) for indices in order.chunk(3))
    else:
        size = min(SOURCE, len(training) // 2)
        order = torch.randperm(len(training), generator=generator)
        source, training = part(training, order[:size]), part(training, order[size:])
    parts = {"reference": reference, "samples": source, "training": training}
    for what, split in parts.items():
        if lacking := set(range(len(dataset.class_names))) - split.label_set:
            raise UserError(
                f"defects are planted by class, and {dataset.name} has too few examples of "
                f"{dataset.class_names[min(lacking)]} to leave the {what} one; choose another dataset"
            )
    count = samples or (len(reference) if dataset.spec.is_image else POINTS)
    if samples or len(reference) > len(source):
        reference = part(reference, match_labels(reference, reference, min(count, len(reference))))
    changed = replace(dataset, train=training, test=reference, reference=reference)
    evaluator = Evaluator(changed, count)
    labels = reference.labels[evaluator.chosen]
    places = _without_repeats(source.labels, labels)
    return evaluator, DefectInput(source.images(places), labels, source, places, training, changed, generator)


def _without_repeats(available: "Tensor", labels: "Tensor") -> "Tensor":
    """For each label a place in `available` that has it: each place once, then again from the first."""
    import torch

    places = torch.empty_like(labels)
    for label in labels.unique():
        members, wanted = (available == label).nonzero().flatten(), labels == label
        places[wanted] = members[torch.arange(int(wanted.sum())) % len(members)]
    return places


def replay_samples(samples: "Tensor") -> "Callable[[Tensor | None, int], Tensor]":
    """A generator that gives these samples in their order."""
    given = 0

    def generate(condition: "Tensor | None", count: int) -> "Tensor":
        nonlocal given
        given += count
        return samples[given - count : given]

    return generate


MARKS = {"noticed": "**{}**", "fooled": "_{}_ ✗", "": "{}", "no sample to measure": "–"}


def format_page(tables: Sequence[DefectTable]) -> str:
    """The Markdown page of these tables."""
    from benchmarks.evaluation.catalogue import METRICS

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
                MARKS[verdict].format(_figure(table.planted[defect][metric]))
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
