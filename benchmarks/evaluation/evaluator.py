"""Measures every applicable metric of a generator, and the same metrics of real data under the same protocol.

Samples are compared with the dataset's reference split, and generated for its labels: its own if there are as many
samples as examples, else labels of the same frequencies; always the same labels, in the same order. Metrics of cost
"each" are measured at every evaluation, those of cost "final" at the last one.
"""

import math
import re
import time
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.sampling import Generate
from benchmarks.datasets import Centres, Classes, Dataset, Split, StackedClasses
from benchmarks.evaluation.catalogue import METRICS
from benchmarks.evaluation.classifiers import classifiers_of
from benchmarks.evaluation.matching import draw_matched, match_reference
from metrics.base import Metric, Unmeasurable
from metrics.chunks import chunk_rows
from metrics.features import Channelwise, Extractor, FrozenClassifier
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.evaluation.reference import ReferenceSet
    from benchmarks.evaluation.samples import SampleSet

# Samples that are generated at once on a CPU.
_GENERATED_AT_ONCE = 1000
# The smallest side of images that count as large.
_SMALLEST_LARGE = 16
_NO_VALUE = "there was nothing to measure it on"
"""The reason why a metric whose value is NaN is absent."""
NOT_FINITE = "not_finite_samples"
"""The number of samples that are not finite; if there are any, it is the only value of an evaluation."""


class Evaluator:
    """Evaluates generators of one dataset. The real side is computed at the first evaluation, once.

    samples: how many a generator makes. classifiers: by default those of the dataset. device: where the generator gets
    its labels, and where metrics are computed if the device knows float64. inception: a metrics.inception.Inception,
    for figures that compare with papers.

    Attributes: chosen: (samples,), the reference examples whose labels a generator is asked for, in order. seconds: the
    time of each metric when last measured; what several metrics need counts for the first one. absent: the metrics that
    were last asked for and could not be measured, each with the reason.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: int = 10_000,
        classifiers: tuple[Extractor, ...] | None = None,
        *,
        device: torch.device | str = "cpu",
        inception: nn.Module | None = None,
    ) -> None:
        if samples < 2:
            raise UserError(f"an evaluation needs at least 2 samples, not {samples}")
        self.dataset, self.samples, self.device = dataset, samples, torch.device(device)
        self._place = torch.device("cpu") if self.device.type == "mps" else self.device
        self.classifiers = classifiers_of(dataset) if classifiers is None else classifiers
        self.inception = inception
        self.chosen = match_reference(dataset.reference, samples)
        self.seconds: dict[str, float] = {}
        self.absent: dict[str, str] = {}

    @cached_property
    def facts(self) -> frozenset[str]:
        """The conditions that the data meet, as in Metric.needs."""
        spec, classified = self.dataset.spec, bool(self.classifiers)
        # Without a classifier the class of a sample is unknown.
        modes = self.dataset.modes if classified or isinstance(self.dataset.modes, Centres) else None
        facts = {
            "images": spec.is_image,
            "large": spec.is_image and min(spec.shape[1:]) >= _SMALLEST_LARGE,
            "extractor": classified,
            "inception": self.inception is not None,
            "labels": self.dataset.reference.labels is not None,
            "modes": modes is not None,
            "classes": isinstance(modes, Classes),
            "centres": isinstance(modes, Centres),
            "mixture": isinstance(modes, Centres | StackedClasses),
            "captions": classified and self.dataset.captions is not None,
        }
        return frozenset(name for name, holds in facts.items() if holds)

    @cached_property
    def reference(self) -> "ReferenceSet":
        """The real side of the comparison."""
        # Imported here, because it imports torchmetrics, which takes as long as torch.
        from benchmarks.evaluation.reference import ReferenceSet

        shape, split = self.dataset.spec.shape, self.dataset.reference.to(self._place)
        classifiers: tuple[FrozenClassifier, ...] = tuple(
            (each if each.shape == shape else Channelwise(each, shape[0])).to(self._place) for each in self.classifiers
        )
        inception = None if self.inception is None else self.inception.to(self._place)
        return ReferenceSet(self.dataset, split, classifiers, self.samples, inception=inception)

    def names(self, *, final: bool = True, conditional: bool = True) -> list[str]:
        """Lists the metrics, and families of metrics, that apply."""
        facts = self.facts | ({"condition"} if conditional and "labels" in self.facts else set())
        return [name for name, metric in METRICS.items() if metric.needs <= facts and (final or metric.cost == "each")]

    def evaluate(
        self,
        generate: Generate,
        *,
        final: bool = False,
        conditional: bool = True,
        only: Collection[str] | None = None,
    ) -> dict[str, float]:
        """Measures every applicable metric of a generator; `absent` holds the others. See NOT_FINITE.

        generate: (labels or None, count) -> samples (count, *shape), in [-1, 1] for images. final: include metrics that
        are measured only once. conditional: whether the generator uses labels; without, metrics that need them are left
        out. only: the metrics, or families of metrics, to measure.
        """
        return self.judge(self.compare(self.generate(generate), conditional=conditional), final=final, only=only)

    def judge(
        self, comparison: "SampleSet", *, final: bool = False, only: Collection[str] | None = None
    ) -> dict[str, float]:
        """Measures every applicable metric of samples beside the reference; `absent` holds the others. See NOT_FINITE.

        Metrics of labels are left out if the samples have none. final, only: as for `evaluate`.
        """
        samples = comparison.images
        names = self.names(final=final, conditional=comparison.labels is not None)
        if only is not None:
            names = [name for name in names if name in only]
        if broken := int((~torch.isfinite(samples.flatten(1)).all(1)).sum()):
            self.seconds = {}
            self.absent = dict.fromkeys(names, f"{broken:,} of {len(samples):,} samples are not finite")
            return {NOT_FINITE: float(broken)}
        return self.measure(names, comparison)

    def compare(self, samples: Tensor, *, conditional: bool = True) -> "SampleSet":
        """Puts samples (samples, *shape), generated for the labels of `chosen`, beside the reference."""
        conditions = self._conditions(self.dataset.reference, self.chosen) if conditional else (None, None)
        return self.compare_given(samples, *conditions)

    def compare_given(self, samples: Tensor, labels: Tensor | None = None, tokens: Tensor | None = None) -> "SampleSet":
        """Puts samples (samples, *shape) that anything made beside the reference.

        labels: (samples,), None for samples of no known label. tokens: (samples, words), their captions, if any.
        """
        from benchmarks.evaluation.samples import SampleSet

        places = (None if each is None else each.to(self._place) for each in (labels, tokens))
        return SampleSet(self.reference, samples.to(self._place), *places)

    def measure(self, names: Iterable[str], comparison: "SampleSet") -> dict[str, float]:
        """Measures these metrics, and families of metrics; `absent` holds those that cannot be measured."""
        values: dict[str, float] = {}
        self.seconds, self.absent = {}, {}
        for name in names:
            began = time.perf_counter()
            try:
                measured = comparison.measure(METRICS[name].measurement)
            except Unmeasurable as error:
                self.absent[name] = str(error)
                continue
            self.seconds[name] = time.perf_counter() - began
            members = {member: float(value) for member, value in _figures(METRICS[name], measured).items()}
            values |= {member: v for member, v in members.items() if not math.isnan(v)}
            self.absent |= {member: _NO_VALUE for member, v in members.items() if math.isnan(v)}
        return values

    def measure_real_data(self, *, final: bool = True) -> dict[str, float]:
        """Measures every metric with unseen real examples in place of samples; see real_data_note."""
        names, held_out = self.names(final=final), self.held_out
        if not len(held_out):
            self.seconds, self.absent = {}, dict.fromkeys(names, "one real example cannot stand for samples as well")
            return {}
        return self.measure(names, self.compare_held_out(held_out))

    def compare_held_out(self, held_out: Tensor) -> "SampleSet":
        """Puts these examples of the reference, as samples, beside the rest of it."""
        from benchmarks.evaluation.samples import SampleSet

        split, rest = self.reference.split, torch.ones(len(self.reference.split), dtype=torch.bool)
        rest[held_out] = False
        reference, held_out = self.reference.select(rest.nonzero().flatten(), len(held_out)), held_out.to(self._place)
        return SampleSet(reference, split.images(held_out), *self._conditions(split, held_out))

    @cached_property
    def held_out(self) -> Tensor:
        """The reference examples that stand for samples: as many as samples, but at most half of the reference.

        They are drawn at random, with the label frequencies of the reference, from a stream of the data's checksum.
        """
        reference = self.dataset.reference
        own = stream(0, f"real data/{self.dataset.checksum}")
        return draw_matched(reference, min(self.samples, len(reference) // 2), own)

    @cached_property
    def fid_bias_ratio(self) -> float:
        """The bias of FID in `measure_real_data` over the bias for samples; it is proportional to 1/n + 1/m."""
        whole, held_out = len(self.dataset.reference), len(self.held_out)
        return (1 / held_out + 1 / (whole - held_out)) / (1 / self.samples + 1 / whole)

    @cached_property
    def real_data_note(self) -> str:
        """One sentence on what `measure_real_data` compares, and on the bias of its FID."""
        whole, held_out = len(self.dataset.reference), len(self.held_out)
        if not held_out:
            return "no real examples are left to stand for samples"
        return (
            f"{held_out:,} examples of the reference, drawn at random, against the other {whole - held_out:,}: FID has "
            f"{self.fid_bias_ratio:.3g} times the bias there that {self.samples:,} samples have against all {whole:,}"
        )

    def generate(self, generate: Generate) -> Tensor:
        """Returns the samples that `evaluate` judges: (samples, *shape), generated for the labels of `chosen`."""
        samples = torch.empty(self.samples, *self.dataset.spec.shape, device=self._place)
        conditions = self.dataset.reference.condition(self.chosen)
        conditions = None if conditions is None else conditions.to(self.device)
        size = chunk_rows(_GENERATED_AT_ONCE, samples)
        for start in range(0, self.samples, size):
            part = samples[start : start + size]
            condition = None if conditions is None else conditions[start : start + size]
            made = generate(condition, len(part))
            if made.shape != part.shape:
                raise ValueError(f"the generator made samples of shape {tuple(made.shape)}, not {tuple(part.shape)}")
            part.copy_(made.detach())
        return samples

    def _conditions(self, split: Split, chosen: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns the labels of these examples, and their captions if the dataset has captions."""
        labels = None if split.labels is None else split.labels[chosen].to(self._place)
        return labels, split.condition(chosen).to(self._place) if self.dataset.captions else None


def _figures(metric: Metric, measured: Any) -> dict[str, Any]:
    """Returns the figures of one metric, or of a family's members, by name, of all that were measured at once."""
    if not isinstance(measured, Mapping):
        return {metric.name: measured}
    if not metric.family:
        return {metric.name: measured[metric.name]}
    return {name: value for name, value in measured.items() if re.fullmatch(rf"{metric.name}_\d+", name)}
