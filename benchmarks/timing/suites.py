"""What a preset costs: each arm's update and each evaluation are timed here, and multiplied on paper.

A run is trained by one core, as `benchmarks.suite` does it for small networks. On many machines a suite takes as long
as its core-seconds shared out among all cores, but never less than its longest run.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.algorithm.device import keep_memory
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.matching import match_labels
from benchmarks.questions import QUESTIONS, load_question
from benchmarks.questions.presets import Preset, find_preset
from benchmarks.suites.plan import PlannedArm, make_plan, select_arms
from benchmarks.suites.tuning import timed, trials
from benchmarks.timing.machine import busy, machine, software
from benchmarks.training.cache import load_dataset

MACHINES = (1, 8, 64)
# Of each arm, in each round: enough for a median, and few enough for the slowest arms.
UPDATES = 10

Say = Callable[[str], None]


def measure(name: str, rounds: int, data_dir: Path | None, say: Say) -> dict[str, Any]:
    """The core-seconds of a preset's suite and of its tuning, and the hours on some numbers of machines like this.

    Raises UserError for a preset that does not exist, and for data that are not there.
    """
    before = machine()
    notes = busy(before)
    for note in notes:
        say(note)
    keep_memory()
    wanted = find_preset(name)
    arms = make_plan(wanted, tuned=made_up(wanted)).arms
    say(f"timing the updates of {len(arms)} arms in turn, {rounds} rounds after one that warms up")
    seconds = timed(arms, data_dir, UPDATES, rounds + 1)
    judged: dict[tuple[str, int, bool], float] = {}
    for arm in arms:
        for final in (False, True):
            key = (arm.dataset.name, arm.samples, final and arm.thorough)
            if key not in judged:
                say(f"timing an evaluation of {key[1]:,} samples of {key[0]}" + ", with what is costly" * key[2])
                judged[key] = judging(arm, key[2], data_dir)

    def spent(arm: PlannedArm, per_update: float) -> tuple[float, float]:
        """Seconds of one run: training, and judging."""
        recipe = arm.recipe
        updates = recipe.epoch_updates or len(load_dataset(arm.dataset, data_dir, 0).train) // recipe.batch_size
        # Epoch 0 too, and the last one whatever its number.
        between = 1 + (recipe.epochs - 1) // arm.evaluate_every
        each, last = (judged[arm.dataset.name, arm.samples, final and arm.thorough] for final in (False, True))
        return recipe.epochs * updates * per_update, between * each + last

    costs = {arm.name: spent(arm, seconds[arm.name]) for arm in arms}
    tuning = [
        # An arm's update takes as long at any rate.
        len(trial.arm.seeds) * sum(spent(trial.arm, seconds[trial.name]))
        for trial in (trials(wanted) if wanted.tuned else ())
    ]
    runs = {arm.name: len(arm.seeds) for arm in arms}
    training, evaluation = (sum(runs[name] * cost[part] for name, cost in costs.items()) for part in (0, 1))
    longest = max(costs, key=lambda name: sum(costs[name]))
    total, cores = training + evaluation + sum(tuning), before["cores"]
    return {
        "kind": "suite",
        "machine": before | software(),
        "rounds": rounds,
        "notes": notes,
        "preset": name,
        "runs": sum(runs.values()),
        "core_seconds": {"training": training, "evaluation": evaluation, "tuning": sum(tuning)},
        "longest_run": {"arm": longest, "seconds": sum(costs[longest])},
        "hours": {str(count): hours(total, sum(costs[longest]), count * cores) for count in MACHINES},
        "arms": {
            arm.name: {
                "variant": arm.arm.variant,
                "runs": runs[arm.name],
                "ms_per_update": 1e3 * seconds[arm.name],
                "training_seconds": costs[arm.name][0],
                "evaluation_seconds": costs[arm.name][1],
            }
            for arm in arms
        },
    }


def made_up(preset: Preset) -> dict[str, Any]:
    """Tuned settings for a preset that was never tuned, so that its plan can be made: what they are costs nothing."""
    if not preset.tuned:
        return {}
    return {
        "arms": {trial.name: {"winner": trial.rate, "quality": 1.0} for trial in trials(preset)},
        "seconds_per_update": {arm.name: 1.0 for arm, _ in select_arms(preset, map(load_question, QUESTIONS))},
    }


def hours(core_seconds: float, longest: float, cores: int) -> float:
    """How long so many cores take, of which one has the longest run."""
    return max(core_seconds / cores, longest) / 3600


def judging(arm: PlannedArm, final: bool, data_dir: Path | None) -> float:
    """Seconds of one core for an evaluation of the arm's kind, of real examples, with the real side computed before."""
    data = load_dataset(arm.dataset, data_dir, 0)
    evaluator = Evaluator(data, arm.samples)
    samples = data.train.images(match_labels(data.train, data.reference, arm.samples))
    names = evaluator.names(final=final)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        evaluator.measure(names, evaluator.compare(samples))
        began = time.process_time()
        evaluator.measure(names, evaluator.compare(samples))
        return time.process_time() - began
    finally:
        torch.set_num_threads(threads)
