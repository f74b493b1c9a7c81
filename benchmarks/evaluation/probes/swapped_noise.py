"""Feeds a trained generator with other noise distributions than its own (A1)."""

import math

from torch import Generator

from benchmarks.algorithm.sampling import sampler
from benchmarks.evaluation.probes.base import Moment
from variants.noise import NOISES


def measure_noise_swap(moment: Moment, stream: Generator) -> dict[str, float]:
    """ln FID with each other noise fed into the trained generator, minus ln FID with its own (A1); costly

    noise_swap_<noise>, in nats: FID in standardised features, or of the points themselves for data without a
    classifier. Noises differ in shape, and some in variance: the value of `uniform` (variance ⅓) mixes both effects,
    while `uniform_unit` has variance 1.
    """
    evaluator, recipe, gan = moment.evaluator, moment.recipe, moment.gan
    name = "fid_normalized" if "extractor" in evaluator.facts else "fid"
    own = moment.metrics.get(name, math.nan)
    values = {}
    for noise in NOISES:
        if noise != recipe.noise:
            swapped = sampler(gan.ema_generator or gan.generator, recipe.with_({"noise": noise}), stream)
            conditional = recipe.conditioning != "none"
            other = evaluator.evaluate(swapped, conditional=conditional, only={name}).get(name, math.nan)
            difference = _log(other) - _log(own)
            # A value that cannot be measured is absent.
            if not math.isnan(difference):
                values[f"noise_swap_{noise}"] = difference
    return values


def _log(distance: float) -> float:
    return math.log(distance) if distance > 0 else -math.inf if distance == 0 else math.nan
