"""benchmarks.suites.tuning: TODO."""

import errno
import json
import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from benchmarks.questions.base import Contrast
    from benchmarks.questions.presets import Preset
    from benchmarks.suites.plan import PlannedArm


TIMED_UPDATES, TIMED_ROUNDS = 60, 5

Journal = tuple[Sequence[Mapping[str, Any]], int]
"""The lines of a run, and its generator updates in an epoch."""


@dataclass(frozen=True)
class Trial:
    """One learning rate of one arm, as an arm whose runs are those of the tuning seeds."""

    name: str
    rate: float
    arm: "PlannedArm"


def trials(preset: "Preset") -> list[Trial]:
    """Every arm that is tuned, with every rate of its grid, for half the budget.

    Not tuned are arms that take the rate of another one, that name one, and those whose settings are the claim's own.
    """
    from benchmarks.questions.presets import RATES, SGD_RATES, TUNING_SEEDS
    from benchmarks.suites.plan import list_tuned_arms, plan_arm

    found = []
    for arm in list_tuned_arms(preset):
        for rate in SGD_RATES if arm.fields.get("optimizer") == "sgd" else RATES:
            planned = plan_arm(arm, preset, {"arms": {arm.name: {"winner": rate}}}, seeds=TUNING_SEEDS)
            half = planned.recipe.with_({"epochs": max(1, planned.recipe.epochs // 2)})
            found.append(Trial(arm.name, rate, replace(planned, recipe=half, thorough=False, probes=())))
    return found


def quality(lines: Sequence[Mapping[str, Any]], state: str, metric: str, updates: int) -> float:
    """What a rate is chosen by, larger being better: ln FID, or overlap, over the last quarter; −∞ for a failed run."""
    from benchmarks.questions.base import LN_FID, OVERLAP
    from benchmarks.questions.outcomes import score_run

    return score_run({"fid_normalized": LN_FID, "overlap": OVERLAP}[metric], state, lines, updates=updates)


def chosen(values: Mapping[float, Sequence[float]], metric: str) -> dict[str, Any]:
    """The entry of an arm: its grid, the winner by the median, whether that is at the edge, and what it reached.

    grid: by rate, ln FID or overlap of each seed, null for a failed run. quality: the winner's median, as the metric
    itself. Of equal medians the smaller rate wins.
    """
    medians = {rate: statistics.median(seeds) for rate, seeds in values.items()}
    winner = max(sorted(medians), key=lambda rate: medians[rate])
    sign, rates = (-1.0, sorted(values)) if metric == "fid_normalized" else (1.0, sorted(values))
    best = medians[winner]
    if best == -math.inf:
        raise UserError("every rate of the grid failed")
    return {
        "metric": "ln fid_normalized" if metric == "fid_normalized" else metric,
        "grid": {
            f"{rate:g}": [round(sign * value, 6) if math.isfinite(value) else None for value in values[rate]]
            for rate in rates
        },
        "winner": winner,
        "edge": winner in (rates[0], rates[-1]),
        "quality": round(math.exp(-best) if metric == "fid_normalized" else best, 6),
    }


def deviations(
    preset: "Preset",
    winners: Mapping[str, Mapping[str, Any]],
    journals: "Mapping[tuple[str, float], Sequence[Journal]]",
) -> dict[str, dict[str, float]]:
    """How much each deciding outcome differs between seeds: by role and words, pooled over the arms of that role.

    winners: the entries of the arms. journals: of the runs that did not fail, by the names of arms and their rates;
    those at the winning rate count. What tuning does not measure, such as what needs a probe, is left out.
    """
    from benchmarks.questions import QUESTIONS, load_question
    from benchmarks.questions.outcomes import read_outcome
    from benchmarks.suites.plan import pooled_deviation, select_decisions

    taken, _ = select_decisions(preset, map(load_question, QUESTIONS))
    contrasts = [contrast for decision, _ in taken for contrast in decision.contrasts]
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
                read_outcome(outcome, lines, updates=n, threshold=threshold)
                for lines, n in journals.get((name, winners[name]["winner"]), ())
            ]
            for name in sorted(arms)
        ]
        if math.isfinite(deviation := pooled_deviation(groups)):
            found.setdefault(role, {})[outcome.label] = round(deviation, 6)
    return found


def timed(
    arms: "Sequence[PlannedArm]", data_dir: Path | None, updates: int = TIMED_UPDATES, rounds: int = TIMED_ROUNDS
) -> dict[str, float]:
    """Seconds of one core for a generator update with its discriminator updates: in turns, alone, the median.

    The first of the rounds warms up and does not count.
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
            variant = check(config, data)
            both = build_gan(variant, data.spec, config.recipe, 0, torch.device("cpu"))
            both_updates = Updates(both, objective(config.recipe), config.recipe)
            steps = train_updates(both_updates, data.train, 0, 1, 10 + updates)
            for _ in range(10):
                next(steps)
            began = time.process_time()
            for _ in range(updates):
                next(steps)
            if round_:
                measured[arm.name].append((time.process_time() - began) / updates)
    return {name: round(statistics.median(values), 7) for name, values in measured.items()}


def at_equal_seconds(preset: "Preset") -> "list[Contrast]":
    """The contrasts whose arms are compared at equal seconds."""
    from benchmarks.questions import QUESTIONS, load_question
    from benchmarks.suites.plan import select_decisions

    taken, _ = select_decisions(preset, map(load_question, QUESTIONS))
    return [contrast for decision, _ in taken for contrast in decision.contrasts if contrast.until == "seconds"]


def by_seconds(preset: "Preset", tuned: Mapping[str, Any]) -> "list[PlannedArm]":
    """The arms that are compared at equal seconds, where both sides have a learning rate."""
    from benchmarks.questions.base import unique
    from benchmarks.suites.plan import plan_arm

    ready = [
        contrast
        for contrast in at_equal_seconds(preset)
        if all(not arm.takes_tuning or (arm.lr_from or arm.name) in tuned["arms"] for arm in contrast.arms)
    ]
    return [plan_arm(arm, preset, tuned, seeds=(0,)) for arm in unique(a for c in ready for a in c.arms)]


def paced(measured: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, float]:
    """The seconds that are kept, and those measured now of other arms, as they were where the first were measured.

    How much faster that was is the median over the arms that were measured both times; 1 where there is none.
    """
    pace = statistics.median([kept[name] / measured[name] for name in measured if name in kept] or [1.0])
    return {**{name: round(pace * seconds, 7) for name, seconds in measured.items()}, **kept}


def refuse_arms(preset: "Preset", names: Sequence[str]) -> None:
    """Raises UserError for arms that a preset does not have, and those that it neither tunes nor times."""
    from benchmarks.questions import QUESTIONS, load_question
    from benchmarks.suites.plan import list_tuned_arms, select_arms

    arms = {arm.name: arm for arm, _ in select_arms(preset, map(load_question, QUESTIONS))}
    useful = {arm.name for arm in list_tuned_arms(preset)}
    useful |= {arm.name for contrast in at_equal_seconds(preset) for arm in contrast.arms}
    for name in names:
        if name not in arms:
            raise unknown("arm", name, arms, see=f"the preset {preset.name} has no such arm")
        if name not in useful:
            arm = arms[name]
            why = f"takes the rate of {arm.lr_from}" if arm.lr_from else "has a rate of its own, which is not tuned"
            raise UserError(f"the arm {name} {why}; leave it out")


def refuse_unwritable(file: Path) -> None:
    """Raises UserError where the file cannot be written, before hours of tuning."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        with NamedTemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise _unwritable(file, error) from None


def write(kept: Mapping[str, Any], file: Path) -> None:
    """Writes tuned settings beside the file and renames them, so that it is whole at any time. Raises UserError."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from None
    finally:
        beside.unlink(missing_ok=True)


def _unwritable(file: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {file}: {error.strerror or error}; give another --out FILE, and the same to the suite and to "
        "reports.build by --tuned FILE"
    )


def before(preset: "Preset", out: Path) -> dict[str, Any]:
    """The settings that stay where only some arms are tuned: those in `out`, else those with the code, else none."""
    from benchmarks.suites.tuned_settings import read_tuning, tuning_file

    for file in (out, tuning_file(preset.name)):
        if file.exists():
            return read_tuning(preset.name, file)
    return {}


def added(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Tuned settings with those of the arms that were tuned now.

    Each of these says by which code, where that is not the code of the others. Known deviations between seeds stay as
    they are: they are pooled over all arms, and these are only some.
    """
    if not before:
        return dict(now)
    of_now = {} if before.get("code") == now["code"] else {"code": now["code"]}
    roles = {**before.get("deviations", {}), **now["deviations"]}
    return {
        **{name: before.get(name, now[name]) for name in ("preset", "seeds", "budget", "code")},
        "arms": {**before["arms"], **{name: {**arm, **of_now} for name, arm in now["arms"].items()}},
        "deviations": {
            role: {**now["deviations"].get(role, {}), **before.get("deviations", {}).get(role, {})} for role in roles
        },
        "seconds_per_run": {**before.get("seconds_per_run", {}), **now["seconds_per_run"]},
        "seconds_per_update": before.get("seconds_per_update", {}),
    }
