"""A generator, judged: every metric that applies, each with its value on real data under the same protocol.

Samples are compared with the dataset's reference split. They are given its labels: its own where there are as many
samples as it has examples, else labels of the same frequencies; always the same ones, in the same order. Metrics
marked "each" in their record are measured at every evaluation, those marked "final" at the last one.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.algorithm.random_streams import stream
from benchmarks.datasets import Centres, Classes, Dataset, Split, StackedClasses
from benchmarks.evaluation.catalogue import METRICS
from benchmarks.evaluation.classifiers import classifiers_of
from benchmarks.evaluation.matching import draw_matched, match_reference
from benchmarks.evaluation.reference import BATCH, FrozenClassifier, ReferenceSet
from benchmarks.evaluation.samples import SampleSet
from metrics.base import Unmeasurable
from metrics.chunks import chunk_rows
from metrics.features import Channelwise, Extractor
from variants.recipe import UserError

Generate = Callable[[Tensor | None, int], Tensor]
SMALLEST_LARGE = 16
UNTOLD = "there was nothing to measure it on"
"""The reason why a metric is absent whose value is not a number."""
NOT_FINITE = "not_finite_samples"
"""What stands in the place of all metrics where samples are not finite: how many are not."""


class Evaluator:
    """Judges generators of one dataset. The real side is computed at the first evaluation, once.

    samples: how many a generator has to make. classifiers: the extractors, by default those of the dataset. device:
    where labels are handed to the generator, and where metrics are computed if it knows float64.
    chosen: (samples,) the reference examples whose labels a generator is asked for, in order.
    seconds: what each metric took when last measured; what several need is counted for the first one.
    absent: of the metrics that were last asked for, those that could not be measured, each with the reason.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: int = 10_000,
        classifiers: tuple[Extractor, ...] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        if samples < 2:
            raise UserError(f"an evaluation needs at least 2 samples, not {samples}")
        self.samples, self.device = samples, torch.device(device)
        self._place = torch.device("cpu") if self.device.type == "mps" else self.device
        self.classifiers = classifiers_of(dataset) if classifiers is None else classifiers
        self.dataset = dataset
        self.chosen = match_reference(dataset.reference, samples)
        self.seconds: dict[str, float] = {}
        self.absent: dict[str, str] = {}

    @cached_property
    def facts(self) -> frozenset[str]:
        """What there is to measure with: see Metric.needs."""
        spec, judged = self.dataset.spec, bool(self.classifiers)
        # Without a classifier nothing tells which class a sample is of.
        modes = self.dataset.modes if judged or isinstance(self.dataset.modes, Centres) else None
        there = {
            "images": spec.is_image,
            "large": spec.is_image and min(spec.shape[1:]) >= SMALLEST_LARGE,
            "extractor": judged,
            "labels": self.dataset.reference.labels is not None,
            "modes": modes is not None,
            "classes": isinstance(modes, Classes),
            "centres": isinstance(modes, Centres),
            "mixture": isinstance(modes, Centres | StackedClasses),
            "captions": judged and self.dataset.captions is not None,
        }
        return frozenset(name for name, is_there in there.items() if is_there)

    def names(self, *, final: bool = True, conditional: bool = True) -> list[str]:
        """The metrics, and families of metrics, that are measured."""
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
        """Every metric of a generator that can be measured; `absent` tells of the others. Where samples are not finite,
        only how many are not, as NOT_FINITE.

        generate: (labels or None, count) -> samples (count, *shape) in [-1, 1] for images. final: also what is measured
        only once. conditional: whether the generator uses the labels; without, what asks for them is absent. only: the
        metrics, or families of them, that are wanted.
        """
        samples = self._generated(generate)
        names = self.names(final=final, conditional=conditional)
        if only is not None:
            names = [name for name in names if name in only]
        if broken := int((~torch.isfinite(samples.flatten(1)).all(1)).sum()):
            self.seconds = {}
            self.absent = dict.fromkeys(names, f"{broken:,} of {len(samples):,} samples are not finite")
            return {NOT_FINITE: float(broken)}
        return self.measure(names, self.compare(samples, conditional=conditional))

    def compare(self, samples: Tensor, *, conditional: bool = True) -> SampleSet:
        """Samples (samples, *shape), made for the labels of `chosen`, beside the reference."""
        return SampleSet(self.reference, samples, *(self._asked_for if conditional else (None, None)))

    def measure(self, names: Iterable[str], comparison: SampleSet) -> dict[str, float]:
        """These metrics, and families of metrics, of one comparison; those that it does not allow are `absent`."""
        values: dict[str, float] = {}
        self.seconds, self.absent = {}, {}
        for name in names:
            began = time.perf_counter()
            try:
                value = METRICS[name].measure(comparison)
            except Unmeasurable as error:
                self.absent[name] = error.reason
                continue
            self.seconds[name] = time.perf_counter() - began
            members = {f"{name}_{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {name: value}
            values |= {member: v for member, v in members.items() if not math.isnan(v)}
            self.absent |= {member: UNTOLD for member, v in members.items() if math.isnan(v)}
        return values

    def measure_real_data(self, *, final: bool = True) -> dict[str, float]:
        """Every metric with real examples in the place of samples, which training never saw: see real_data_note."""
        names, held = self.names(final=final), self.held_out
        if not len(held):
            self.seconds, self.absent = {}, dict.fromkeys(names, "one real example cannot stand for samples as well")
            return {}
        return self.measure(names, self.compare_held_out(held))

    def compare_held_out(self, held: Tensor) -> SampleSet:
        """These examples of the reference in the place of samples, beside the rest of it."""
        reference, rest = self.reference.split, torch.ones(len(self.reference.split), dtype=torch.bool)
        rest[held] = False
        side, held = self.reference.part(rest.nonzero().flatten(), len(held)), held.to(self._place)
        return SampleSet(side, reference.images(held), *self._asked(reference, held))

    @cached_property
    def held_out(self) -> Tensor:
        """The reference examples, as many as samples but at most half, that stand for samples of a perfect generator.

        They are drawn at random with the label frequencies of the reference, by a stream of the data's checksum.
        """
        reference = self.dataset.reference
        own = stream(0, f"real data/{self.dataset.checksum}")
        return draw_matched(reference, min(self.samples, len(reference) // 2), own)

    @cached_property
    def fid_bias_ratio(self) -> float:
        """How many times the bias of the samples' FID that in `reference` has: it falls as one over the counts."""
        whole, held = len(self.dataset.reference), len(self.held_out)
        return (1 / held + 1 / (whole - held)) / (1 / self.samples + 1 / whole)

    @cached_property
    def real_data_note(self) -> str:
        """What `reference` compares, in one sentence, and what its smaller number of examples does to FID."""
        whole, held = len(self.dataset.reference), len(self.held_out)
        if not held:
            return "no real examples are left to stand for samples"
        return (
            f"{held:,} examples of the reference, drawn at random, against the other {whole - held:,}: FID has "
            f"{self.fid_bias_ratio:.3g} times the bias there that {self.samples:,} samples have against all {whole:,}"
        )

    def _generated(self, generate: Generate) -> Tensor:
        samples = torch.empty(self.samples, *self.dataset.spec.shape, device=self._place)
        size = chunk_rows(BATCH, samples)
        for start in range(0, self.samples, size):
            part = samples[start : start + size]
            condition = None if self._conditions is None else self._conditions[start : start + size]
            made = generate(condition, len(part))
            if made.shape != part.shape:
                raise ValueError(f"the generator made samples of shape {tuple(made.shape)}, not {tuple(part.shape)}")
            part.copy_(made.detach())
        return samples

    @cached_property
    def _conditions(self) -> Tensor | None:
        """What a generator is told of each sample, on its device."""
        condition = self.dataset.reference.condition(self.chosen)
        return None if condition is None else condition.to(self.device)

    @cached_property
    def _asked_for(self) -> tuple[Tensor | None, Tensor | None]:
        return self._asked(self.dataset.reference, self.chosen)

    @cached_property
    def _placed_classifiers(self) -> tuple[FrozenClassifier, ...]:
        shape = self.dataset.spec.shape
        return tuple(
            (each if each.shape == shape else Channelwise(each, shape[0])).to(self._place) for each in self.classifiers
        )

    @cached_property
    def reference(self) -> ReferenceSet:
        """The reference, and what is computed from it."""
        return ReferenceSet(
            self.dataset, self.dataset.reference.to(self._place), self._placed_classifiers, self.samples
        )

    def _asked(self, split: Split, chosen: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Labels of these examples, and captions where there are any."""
        labels = None if split.labels is None else split.labels[chosen].to(self._place)
        return labels, split.condition(chosen).to(self._place) if self.dataset.captions else None
