"""Tunes learning rates: lists the trials, chooses each arm's rate, and measures deviations and times."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.questions import QUESTIONS, Contrast, load_question, presets
from benchmarks.questions.base import LN_FID, OVERLAP, Arm, unique
from benchmarks.questions.outcomes import read_outcome, score_run
from benchmarks.questions.presets import Preset
from benchmarks.suites.plan import (
    PlannedArm,
    list_tuned_arms,
    plan_arm,
    pooled_deviation,
    select_arms,
    select_decisions,
)
from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from benchmarks.executors import RunGroup

_TIMED_UPDATES, _TIMED_ROUNDS = 60, 5

Journal = tuple[Sequence[Mapping[str, Any]], int]
"""Lines of a run, and its generator updates in an epoch."""


@dataclass(frozen=True)
class Trial:
    """Tries one learning rate of one arm, with the tuning seeds."""

    name: str
    rate: float
    arm: PlannedArm


@dataclass
class TrialResults:
    """Collects the results of all trials."""

    qualities: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    """By arm and rate, one of each seed; −∞ for a failed run."""
    journals: dict[tuple[str, float], list[Journal]] = field(default_factory=dict)
    """By arm and rate, of the runs that did not fail: what a failed run reached is no deviation between seeds."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """By arm, one of each run."""


def list_trials(preset: Preset) -> list[Trial]:
    """Returns every tuned arm with every rate of its grid, for half the budget.

    Not tuned are arms that take the rate of another one, that name one, and those whose settings are the claim's own.
    """
    trials = []
    for arm in list_tuned_arms(preset):
        for rate in presets.SGD_RATES if arm.fields.get("optimizer") == "sgd" else presets.RATES:
            planned = plan_arm(arm, preset, {"arms": {arm.name: {"winner": rate}}}, seeds=presets.TUNING_SEEDS)
            half = planned.recipe.with_(
                {"epochs": max(1, planned.recipe.epochs // 2), "generator_lr": rate, "discriminator_lr": rate}
            )
            trials.append(Trial(arm.name, rate, replace(planned, recipe=half, thorough=False, probes=(), rates=())))
    return trials


def read_trials(preset: Preset, trials: Sequence[Trial], jobs: "Sequence[RunGroup]", runs_dir: Path) -> TrialResults:
    """Reads the runs of all trials, which have ended."""
    from benchmarks.run_folder.folder import RunFolder

    results = TrialResults()
    for trial, job in zip(trials, jobs, strict=True):
        metric = preset.budgets[trial.arm.arm.dataset_role].quality
        for config in job.configs:
            folder = RunFolder(runs_dir / config.name)
            lines, updates = folder.lines(), folder.facts()["updates_per_epoch"]
            value = score_quality(lines, folder.status()["state"], metric, updates)
            results.qualities.setdefault(trial.name, {}).setdefault(trial.rate, []).append(value)
            if math.isfinite(value):
                results.journals.setdefault((trial.name, trial.rate), []).append((lines, updates))
            spent = (line["timing"].get(part, 0.0) for line in lines for part in ("seconds", "evaluation_seconds"))
            results.seconds.setdefault(trial.name, []).append(sum(spent))
    return results


def score_quality(lines: Sequence[Mapping[str, Any]], state: str, metric: str, updates: int) -> float:
    """Returns the quality by which rates are chosen, larger being better: −ln FID, or overlap, over the last quarter.

    −∞ for a failed run.
    """
    return score_run({"fid_normalized": LN_FID, "overlap": OVERLAP}[metric], state, lines, updates=updates)


def choose_rate(values: Mapping[float, Sequence[float]], metric: str) -> dict[str, Any]:
    """Returns the entry of an arm: its grid, the winner by the median, whether that is at the edge, and its quality.

    grid: by rate, ln FID or overlap of each seed, null for a failed run. quality: the winner's median, as the metric
    itself. Of equal medians the smaller rate wins.
    """
    medians = {rate: statistics.median(seeds) for rate, seeds in values.items()}
    rates = sorted(values)
    winner = max(rates, key=lambda rate: medians[rate])
    best, is_fid = medians[winner], metric == "fid_normalized"
    if best == -math.inf:
        raise UserError("every rate of the grid failed")
    sign = -1.0 if is_fid else 1.0
    return {
        "metric": "ln fid_normalized" if is_fid else metric,
        "grid": {
            f"{rate:g}": [round(sign * value, 6) if math.isfinite(value) else None for value in values[rate]]
            for rate in rates
        },
        "winner": winner,
        "edge": winner in (rates[0], rates[-1]),
        "quality": round(math.exp(-best) if is_fid else best, 6),
    }


def estimate_deviations(
    preset: Preset,
    winners: Mapping[str, Mapping[str, Any]],
    journals: Mapping[tuple[str, float], Sequence[Journal]],
) -> dict[str, dict[str, float]]:
    """Returns the deviation of each deciding outcome between seeds: by role and label, pooled over the role's arms.

    winners: the entries of the arms. journals: by arm and rate; those at the winning rate count. Outcomes that tuning
    does not measure, such as those of a probe, are left out.
    """
    contrasts = _list_contrasts(preset)
    found: dict[str, dict[str, float]] = {}
    for role, outcome in dict.fromkeys((c.treatment.dataset_role, c.outcome) for c in contrasts):
        threshold = math.nan
        if outcome.threshold_of:
            if outcome.threshold_of not in winners:
                continue
            threshold = outcome.threshold_factor * float(winners[outcome.threshold_of]["quality"])
        arms = {arm.name for c in contrasts for arm in c.arms if arm.dataset_role == role and arm.name in winners}
        groups = [
            [
                read_outcome(outcome, lines, updates=updates, threshold=threshold)
                for lines, updates in journals.get((name, winners[name]["winner"]), ())
            ]
            for name in sorted(arms)
        ]
        if math.isfinite(deviation := pooled_deviation(groups)):
            found.setdefault(role, {})[outcome.label] = round(deviation, 6)
    return found


def time_arms(
    arms: Sequence[PlannedArm], data_dir: Path | None, updates: int = _TIMED_UPDATES, rounds: int = _TIMED_ROUNDS
) -> dict[str, float]:
    """Returns one core's seconds for a generator update with its discriminator updates: arms in turn, the median.

    The first round warms up and does not count.
    """
    import torch

    from benchmarks.algorithm.epoch import Updates, train_updates
    from benchmarks.algorithm.gan import build_gan
    from benchmarks.training.cache import load_dataset
    from benchmarks.training.configure import check
    from variants.objective import objective

    torch.set_num_threads(1)
    measured: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for round_ in range(rounds):
        for arm in arms:
            config = arm.config(0, data_dir)
            data = load_dataset(config.dataset, data_dir, 0)
            gan = build_gan(check(config, data), data.spec, config.recipe, 0, torch.device("cpu"))
            steps = train_updates(Updates(gan, objective(config.recipe), config.recipe), data.train, 0, 1, 10 + updates)
            for _ in range(10):
                next(steps)
            began = time.process_time()
            for _ in range(updates):
                next(steps)
            if round_:
                measured[arm.name].append((time.process_time() - began) / updates)
    return {name: round(statistics.median(values), 7) for name, values in measured.items()}


def list_timed_arms(preset: Preset, tuned: Mapping[str, Any]) -> list[PlannedArm]:
    """Returns the arms that are compared at equal seconds, where both sides have a learning rate."""

    def has_rate(arm: Arm) -> bool:
        common = preset.budgets[arm.dataset_role].rates
        return bool(common) or not arm.takes_tuning or (arm.lr_from or arm.name) in tuned["arms"]

    ready = [
        contrast
        for contrast in _list_contrasts(preset)
        if contrast.until == "seconds" and all(map(has_rate, contrast.arms))
    ]
    return [plan_arm(arm, preset, tuned, seeds=(0,)) for arm in unique(a for c in ready for a in c.arms)]


def rescale_seconds(measured: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, float]:
    """Adds seconds measured now to those kept, rescaled to the machine on which these were measured.

    The factor is the median ratio over the arms that were measured both times; 1 where there is none.
    """
    pace = statistics.median([kept[name] / measured[name] for name in measured if name in kept] or [1.0])
    return {**{name: round(pace * seconds, 7) for name, seconds in measured.items()}, **kept}


def refuse_arms(preset: Preset, names: Sequence[str]) -> None:
    """Raises UserError for arms that a preset does not have, and for those that it neither tunes nor times."""
    arms = {arm.name: arm for arm, _ in select_arms(preset, map(load_question, QUESTIONS))}
    useful = {arm.name for arm in list_tuned_arms(preset)}
    useful |= {arm.name for c in _list_contrasts(preset) if c.until == "seconds" for arm in c.arms}
    for name in names:
        if name not in arms:
            raise unknown("arm", name, arms, see=f"the preset {preset.name} has no such arm")
        if name not in useful:
            arm = arms[name]
            why = f"takes the rate of {arm.lr_from}" if arm.lr_from else "has a rate of its own, which is not tuned"
            raise UserError(f"the arm {name} {why}; leave it out")


def _list_contrasts(preset: Preset) -> list[Contrast]:
    taken, _ = select_decisions(preset, map(load_question, QUESTIONS))
    return [contrast for decision, _ in taken for contrast in decision.contrasts]
