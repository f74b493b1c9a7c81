"""A trained generator, fed with other noises than it was trained on: A1 of the source."""

import math

from torch import Generator

from benchmarks.algorithm.sampling import sampler
from benchmarks.evaluation.probes.base import Moment
from variants.noise import NOISES


def noise_swap(moment: Moment, stream: Generator) -> dict[str, float]:
    """ln FID with each other noise fed into the trained generator, minus ln FID with its own (A1); costly

    noise_swap_<noise>, in nats: FID in standardised features, or of the points themselves where no classifier judges
    them. Noises differ in shape and some in variance, so the figure of `uniform` (variance ⅓) is not that of its shape
    alone; `uniform_unit` has variance 1.
    """
    evaluator, recipe, gan = moment.evaluator, moment.recipe, moment.gan
    name = "fid_normalized" if "extractor" in evaluator.facts else "fid"
    own = moment.metrics.get(name, math.nan)
    figures = {}
    for noise in NOISES:
        if noise != recipe.noise:
            swapped = sampler(gan.ema_generator or gan.generator, recipe.with_({"noise": noise}), stream)
            conditional = recipe.conditioning != "none"
            other = evaluator.evaluate(swapped, conditional=conditional, only={name}).get(name, math.nan)
            figures[f"noise_swap_{noise}"] = logarithm(other) - logarithm(own)
    # What cannot be measured is absent.
    return {noise: figure for noise, figure in figures.items() if not math.isnan(figure)}


def logarithm(distance: float) -> float:
    return math.log(distance) if distance > 0 else -math.inf if distance == 0 else math.nan
