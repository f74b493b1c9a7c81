"""Measures more than metrics while a run trains, on copies and with random streams of its own.

A run has the same weights with and without probes. Their values stand in the journal under `probes`.

base.py                 defines Probe and Moment, the contract
ranking.py              measures label_use and generalization_gap: which of two examples the discriminator ranks higher
swapped_noise.py        measures noise_swap: FID of a generator that is fed with a noise it was not trained on
diminished_gradient.py  measures gradient and gradient_norms: the generator's gradient under two losses

To add a probe, write a function (moment, stream) -> values by name, and one line in PROBES.
"""

import copy
from dataclasses import replace

from benchmarks.algorithm.random_streams import stream
from benchmarks.config import DEFAULT_PROBES, RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation.probes.base import Moment, Probe
from benchmarks.evaluation.probes.diminished_gradient import (
    measure_gradient_fall,
    measure_gradient_norms,
    refuse_without_cross_entropy,
)
from benchmarks.evaluation.probes.ranking import (
    measure_generalization_gap,
    measure_label_use,
    refuse_missing_classes,
    refuse_without_condition,
)
from benchmarks.evaluation.probes.swapped_noise import measure_noise_swap
from variants.recipe import UserError, unknown

__all__ = ["PROBES", "Moment", "Probe", "check_probes", "measure_probes"]

PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (
        Probe("label_use", measure_label_use, refuse_without_condition, discriminator_only=True),
        Probe("generalization_gap", measure_generalization_gap, refuse_missing_classes, discriminator_only=True),
        Probe("noise_swap", measure_noise_swap, final=True),
        Probe("gradient", measure_gradient_fall, refuse_without_cross_entropy),
        Probe("gradient_norms", measure_gradient_norms, refuse_without_cross_entropy),
    )
}


def check_probes(config: RunConfig, dataset: Dataset) -> None:
    """Raises UserError for an unknown probe, and for a requested one that cannot be measured.

    The default probes are skipped where they do not apply.
    """
    for name in config.probes:
        if name not in PROBES:
            raise unknown("probe", name, PROBES)
        if (why := PROBES[name].refuses(config.recipe, dataset)) and name not in DEFAULT_PROBES:
            raise UserError(f"--probes {name} does not apply to {config.variant} on {dataset.name}: {why}")


def measure_probes(moment: Moment) -> dict[str, float]:
    """Returns the values of every probe that is due at this evaluation, and leaves the run unchanged."""
    config, values = moment.config, {}
    for name in config.probes:
        probe = PROBES[name]
        if probe.refuses(config.recipe, moment.dataset) or (probe.final and moment.epoch < config.recipe.epochs):
            continue
        if probe.discriminator_only:
            gan = replace(moment.gan, discriminator=copy.deepcopy(moment.gan.discriminator))
        else:
            gan = copy.deepcopy(moment.gan)
        own = stream(config.seed, f"probe/{name}", moment.epoch, moment.evaluator.device)
        values |= probe.measure(replace(moment, gan=gan), own)
    return values
