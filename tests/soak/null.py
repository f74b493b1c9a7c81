"""Compares an arm with itself on other seeds, many times: what is decided there, of real runs, is wrong.

Every comparison is of a plain GAN on ring8, by overlap, judged at looks as `benchmarks.compare` judges. It has seeds of
its own, so comparisons are independent. More comparisons are random splits of all runs: these share runs, which is
valid, since under a random split the two groups are exchangeable whatever the runs are. The same comparisons with a
constant added to the treatment's outcome show how a true effect at the margin, and of twice the margin, is judged.

A last comparison is of short runs on digits, whose FID is divided in the features of the classifier and multiplied in
pixels: the sentence of the verdict has to tell that.
"""

import math
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.config import RunConfig
from benchmarks.statistics.looks import ALPHA, Looks, plan_looks
from benchmarks.statistics.verdicts import (
    FEWEST_SEEDS,
    NO_DIFFERENCE,
    SUPPORTED,
    UNDETERMINED,
    DecidingContrast,
    DecidingTest,
    Numbered,
    Numbers,
    decide_at_looks,
)
from tests.soak.figures import Steps, code

COMPARISONS = 50
"""With runs of their own."""
SPLITS = 4
"""Random splits of all runs, for each comparison with runs of its own."""
LOOKS = plan_looks(20, FEWEST_SEEDS)
MARGIN = 0.10
"""Of the overlap, as `benchmarks.compare` has it."""
GROUP = 50
"""Runs that are trained as one, and kept as one step."""
RECIPE: dict[str, Any] = {
    "epochs": 4,
    "epoch_updates": 150,
    "batch_size": 64,
    "generator_widths": (32, 32),
    "discriminator_widths": (32, 32),
}
"""Small enough for thousands of runs. They are far from trained to their end, and differ much between seeds."""


def null(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Trains and judges the comparisons, scaled by the size, and the planted reversal."""
    comparisons = max(2, round(size * COMPARISONS))
    wanted = comparisons * 2 * LOOKS.last
    steps = Steps(work / "null.jsonl", code())
    groups = {step["first"]: step for step in steps.done if "first" in step}
    for first in range(0, wanted, GROUP):
        if first not in groups:
            groups[first] = train_group(work / "null-runs", range(first, min(first + GROUP, wanted)))
            steps.add(groups[first])
            say(f"{first + len(groups[first]['values'])} of {wanted} runs")
    told = next((step["sentence"] for step in steps.done if "sentence" in step), None)
    if told is None:
        told = plant_reversal(work / "null-runs")
        steps.add({"sentence": told})
    values = [value for first in sorted(groups) for value in groups[first]["values"]][:wanted]
    return describe(np.array(values, dtype=float), comparisons, say) | {
        "size": size,
        "seconds_of_a_run": round(sum(group["seconds"] for group in groups.values()) / len(values), 2),
        "planted_reversal": told,
    }


def train_group(runs_dir: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Trains runs with these seeds; returns the overlap of each, −∞ for a failed one, and seconds of the processor."""
    from benchmarks.questions.base import OVERLAP
    from benchmarks.questions.outcomes import score_run
    from benchmarks.run_folder.folder import RunFolder

    began = process_time()
    configs = [_configure("vanilla_gan", "ring8", seed=seed, samples=500, **RECIPE) for seed in seeds]
    _train(configs, runs_dir)
    folders = [RunFolder(runs_dir / config.name) for config in configs]
    scores = [
        score_run(OVERLAP, each.status()["state"], each.lines(), updates=RECIPE["epoch_updates"]) for each in folders
    ]
    shutil.rmtree(runs_dir)
    return {"first": seeds[0], "values": scores, "seconds": process_time() - began}


def _configure(variant: str, dataset: str, **fields: Any) -> RunConfig:
    from benchmarks.training.configure import add_classifier, configure

    return add_classifier(configure(variant, dataset, thorough=False, evaluate_every=1, probes=(), **fields), None)


def _train(configs: Sequence[RunConfig], runs_dir: Path) -> None:
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.suites.scheduler import require_all_ended, run_jobs

    options = RunOptions(runs_dir, pictures="none", track=False, stack="on")
    with SuiteProgress("null", len(configs)) as live:
        require_all_ended(run_jobs([RunGroup(tuple(configs))], "inline", options, live))


@dataclass(frozen=True)
class Judged:
    """Holds how a comparison of one test ended."""

    outcome: str
    # Outcomes that any look told, the last one included.
    told: tuple[str, ...]
    seeds: int

    @property
    def says_difference(self) -> bool:
        """Whether any look told a difference, or its sign."""
        return any(outcome not in (NO_DIFFERENCE, UNDETERMINED) for outcome in self.told)


def judge(treatment: Sequence[float], control: Sequence[float], looks: Looks = LOOKS) -> Judged:
    """Judges two groups at the looks, as `benchmarks.compare` does: which one is better is not said beforehand."""
    contrast = DecidingContrast("null", "overlap", "treatment", "control", -MARGIN, MARGIN, "different")

    def ask(seeds: int, names: tuple[str, ...]) -> Numbered:
        numbers = Numbers(tuple(treatment[:seeds]), tuple(control[:seeds]))
        return Numbered(tuple(DecidingTest(name, "", ((contrast, numbers),)) for name in names))

    taken = list(decide_at_looks(("null",), looks, ask, others=False))
    told = tuple(look.verdicts[0].outcome for look in taken)
    return Judged(told[-1], told, taken[-1].seeds)


def describe(values: np.ndarray, comparisons: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns the figures of all comparisons, as JSON values. values: the overlap of each run, in order of its seed."""
    apart = [tuple(pair) for pair in values.reshape(comparisons, 2, LOOKS.last)]
    splits = SPLITS * comparisons
    split = list(_split(values, splits, np.random.default_rng(0)))
    say(f"judging {comparisons} comparisons, and {splits} splits")
    found = {
        (name, effect): [
            judge((treatment + effect * MARGIN).tolist(), control.tolist()) for treatment, control in pairs
        ]
        for name, pairs in (("apart", apart), ("split", split))
        for effect in (0, 1, 2)
    }
    at_twice = found["apart", 2]
    settled = [each.seeds for each in at_twice if each.outcome == SUPPORTED]
    finite = values[np.isfinite(values)]
    return {
        "comparisons": comparisons,
        "splits": splits,
        "runs": len(values),
        "failed_runs": int((~np.isfinite(values)).sum()),
        "mean_overlap": round(float(finite.mean()), 3),
        "deviation_of_overlap": round(float(finite.std(ddof=1)), 3),
        "promised_wrong_at_most": round(ALPHA * comparisons, 1),
        "promised_wrong_at_most_by_splits": round(ALPHA * splits, 1),
        "wrong_at_no_effect": sum(each.says_difference for each in found["apart", 0]),
        "wrong_at_no_effect_by_splits": sum(each.says_difference for each in found["split", 0]),
        # At a margin a difference is told rightly, but neither that it matters nor that it does not.
        "wrong_at_the_margin": sum(each.outcome in (SUPPORTED, NO_DIFFERENCE) for each in found["apart", 1]),
        "wrong_at_the_margin_by_splits": sum(each.outcome in (SUPPORTED, NO_DIFFERENCE) for each in found["split", 1]),
        "no_practical_difference_at_no_effect": sum(each.outcome == NO_DIFFERENCE for each in found["apart", 0]),
        "planted_twice_the_margin_found": len(settled),
        "planted_twice_the_margin_sign_told": sum(each.says_difference for each in at_twice),
        "planted_twice_the_margin_seeds": statistics.median(settled) if settled else math.nan,
    }


def _split(
    values: np.ndarray, comparisons: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _ in range(comparisons):
        drawn = random.permutation(values)
        yield drawn[: LOOKS.last], drawn[LOOKS.last : 2 * LOOKS.last]


def plant_reversal(runs_dir: Path, seeds: int = 10, **fields: Any) -> str:
    """Returns the sentence on two groups of runs of one arm on digits: one is better to classifiers, worse in pixels.

    The treatment's FID is divided by the square of the margin in the classifiers' features, and multiplied by it in
    pixels.
    """
    from benchmarks.suites.comparison import find_criterion, plan_comparison
    from benchmarks.training.cache import load_dataset
    from reports import pages
    from reports.analysis.answers import answer_plan
    from reports.analysis.evidence import gather_evidence
    from reports.analysis.looks import judge_at_looks
    from reports.reading.runs import RunRecord, find_runs

    recipe = {"epochs": 6, "generator_widths": (64,), "discriminator_widths": (64,)} | fields
    control = [_configure("cgan_mlp", "digits", seed=seed, samples=500, **recipe) for seed in range(2 * seeds)]
    _train(control, runs_dir)
    runs = {run.config.seed: run for run in find_runs(runs_dir=runs_dir).runs}
    shutil.rmtree(runs_dir)
    data = load_dataset(control[0].dataset, None, 0)
    criterion = find_criterion("fid", None, data)
    # A name for the same arm: no run has been trained with this rate.
    other = replace(control[0].recipe, beta2=control[0].recipe.beta2 * (1 + 1e-6))
    planted = [replace(config, recipe=other) for config in control[:seeds]]

    def plant(run: RunRecord, config: RunConfig) -> RunRecord:
        factor = criterion.shown**2
        lines = [
            {**line, "metrics": {name: _scale(name, value, factor) for name, value in line.get("metrics", {}).items()}}
            for line in run.lines
        ]
        return replace(run, id=config.name, name=config.name, config=config, lines=tuple(lines))

    records = [runs[seed] for seed in range(seeds)]
    records += [plant(runs[seeds + place], config) for place, config in enumerate(planted)]
    labels = ("an arm", "the same arm")
    plan = plan_comparison([control[0], planted[0]], data, criterion, labels=labels, most=seeds)
    judged = judge_at_looks(plan, lambda: records)
    answers = answer_plan(gather_evidence(judged.needed, records), judged=judged)
    (sentence,) = pages.describe_verdicts(answers)
    return sentence


def _scale(name: str, value: float, factor: float) -> float:
    if name.startswith("fid_pixels"):
        return value * factor
    return value / factor if name.startswith("fid") else value
