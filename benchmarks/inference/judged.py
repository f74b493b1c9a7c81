"""Draws again the samples that the last evaluation of a run judged."""

import torch
from torch import Tensor

from benchmarks.algorithm.device import resolve_device
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.sampling import sampler
from benchmarks.datasets import Dataset
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.inference.run import Run
from variants import UserError


def draw_judged(run: Run, dataset: Dataset) -> tuple[Tensor, Tensor | None]:
    """Returns the samples that the last evaluation of a finished run judged, and what each was asked for.

    dataset: of the run. The samples are (samples, *shape) float32, those of the run to the bit on a machine that rounds
    alike. The conditions are labels or captions, None for an unconditional run. Raises UserError for a run that is not
    finished, and on a machine without the kind of device whose random numbers the run was judged with.
    """
    generator, config, device = run.generator, run.config, _find_device(run)
    evaluated = [line["epoch"] for line in run.folder.lines() if line.get("metrics")]
    if not evaluated or evaluated[-1] != config.recipe.epochs:
        raise UserError(f"{run.path} has no evaluation of its last epoch")
    # It generates, and judges nothing: it needs no classifier.
    evaluator = Evaluator(dataset, config.samples, (), device=device)
    noise = stream(config.seed, "evaluation", evaluated[-1], device)
    samples = evaluator.generate(sampler(generator.to(device), config.recipe, noise))
    conditional = config.recipe.conditioning != "none"
    return samples, dataset.reference.condition(evaluator.chosen) if conditional else None


def _find_device(run: Run) -> torch.device:
    """Returns the kind of device on which a run was judged."""
    name = run.folder.environment().get("device", "cpu")
    try:
        # A GPU is recorded by its model.
        return resolve_device(name if name in ("cpu", "mps") else "cuda")
    except UserError as refused:
        raise UserError(
            f"{run.folder.name} was judged on {name}, with random numbers that only such a device draws, and {refused}"
        ) from None
