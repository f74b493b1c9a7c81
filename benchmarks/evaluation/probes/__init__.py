"""What is measured while a run trains, besides its metrics: on copies, and with random streams of their own.

So a run has the same weights with and without probes. Their figures stand in the journal under `probes`.

base.py                 Probe and Moment: the contract
ranking.py              label_use, generalization_gap: which of two examples the discriminator takes for more real
swapped_noise.py        noise_swap: a generator that is fed with another noise than it was trained on
diminished_gradient.py  gradient_norms: the generator's gradient under either loss, as training goes
                        gradient: what is left of it as the discriminator goes on learning and the generator does not

Adding a probe takes a function (moment, stream) -> figures, and one line in PROBES.
"""

import copy
from dataclasses import replace

from benchmarks.algorithm.random_streams import stream
from benchmarks.config import PROBES as ALWAYS
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation.probes.base import Moment, Probe
from benchmarks.evaluation.probes.diminished_gradient import gradient, gradient_norms, needs_cross_entropy
from benchmarks.evaluation.probes.ranking import generalization_gap, label_use, needs_all_classes, needs_condition
from benchmarks.evaluation.probes.swapped_noise import noise_swap
from variants.recipe import UserError, unknown

__all__ = ["PROBES", "Moment", "Probe", "check", "measure"]

PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (
        Probe("label_use", label_use, needs_condition, discriminator_only=True),
        Probe("generalization_gap", generalization_gap, needs_all_classes, discriminator_only=True),
        Probe("noise_swap", noise_swap, final=True),
        Probe("gradient", gradient, needs_cross_entropy),
        Probe("gradient_norms", gradient_norms, needs_cross_entropy),
    )
}


def check(config: RunConfig, dataset: Dataset) -> None:
    """Raises UserError for a probe that does not exist, and for one that was asked for and cannot be measured.

    Those that are always on are left out where they do not apply.
    """
    for name in config.probes:
        if name not in PROBES:
            raise unknown("probe", name, PROBES)
        if (why := PROBES[name].refuses(config.recipe, dataset)) and name not in ALWAYS:
            raise UserError(f"--probes {name} does not apply to {config.variant} on {dataset.name}: {why}")


def measure(moment: Moment) -> dict[str, float]:
    """The figures of every probe that is due at an evaluation of a run. It is the same afterwards."""
    config, figures = moment.config, {}
    for name in config.probes:
        probe = PROBES[name]
        if probe.refuses(config.recipe, moment.dataset) or (probe.final and moment.epoch < config.recipe.epochs):
            continue
        if probe.discriminator_only:
            gan = replace(moment.gan, discriminator=copy.deepcopy(moment.gan.discriminator))
        else:
            gan = copy.deepcopy(moment.gan)
        copied = replace(moment, gan=gan)
        own = stream(config.seed, f"probe/{name}", moment.epoch, moment.evaluator.device)
        figures |= probe.measure(copied, own)
    return figures
