"""python -m benchmarks.tune: gives every arm of a preset the same small tuning, and keeps the winners with the code."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_data_dir, add_plugin, add_runs_dir, add_workers, run_command
from benchmarks.suites.tuning import (
    Journal,
    added,
    before,
    by_seconds,
    chosen,
    deviations,
    paced,
    quality,
    refuse_arms,
    refuse_unwritable,
    timed,
    trials,
    write,
)
from variants.recipe import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser("benchmarks.tune", description=__doc__.partition(": ")[2])
    parser.add_argument("--preset", default="quick", metavar="NAME", help="quick, mnist or full (quick)")
    parser.add_argument(
        "--arms", nargs="+", default=[], metavar="NAME", help="only these; others stay as they were tuned (all)"
    )
    add_plugin(parser)
    add_workers(parser)
    add_runs_dir(parser, "runs/tuning")
    add_data_dir(parser)
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="where to write (with the code)")
    asked = parser.parse_args(arguments)
    plugins.load_plugins(asked.plugin)

    from benchmarks.questions.presets import find_preset

    wanted = find_preset(asked.preset)
    if not wanted.tuned:
        raise UserError(f"the preset {wanted.name} is not tuned")
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.inference.find import load_run
    from benchmarks.questions.presets import TUNING_SEEDS
    from benchmarks.suites.scheduler import all_ended, run_jobs
    from benchmarks.suites.tuned_settings import tuning_file
    from benchmarks.training.configure import add_classifier
    from benchmarks.training.provenance import fingerprint

    out = asked.out or tuning_file(wanted.name)
    refuse_arms(wanted, asked.arms)
    refuse_unwritable(out)
    if asked.arms:
        before(wanted, out)  # or a damaged file would be told of after the runs
    tried = [trial for trial in trials(wanted) if not asked.arms or trial.name in asked.arms]
    configs = [[trial.arm.config(seed, asked.data_dir) for seed in trial.arm.seeds] for trial in tried]
    jobs = [RunGroup(tuple(add_classifier(config, asked.data_dir) for config in each)) for each in configs]
    settings = RunOptions(asked.runs_dir, asked.data_dir, device="cpu", pictures="none", track=False)
    with SuiteProgress(f"tuning of {wanted.name}", sum(len(job.configs) for job in jobs)) as live:
        all_ended(run_jobs(jobs, "processes", settings, live, workers=asked.workers))
        grids: dict[str, dict[float, list[float]]] = {}
        seconds: dict[str, list[float]] = {}
        journals: dict[tuple[str, float], list[Journal]] = {}
        for trial, job in zip(tried, jobs, strict=True):
            metric = wanted.budgets[trial.arm.arm.dataset_role].quality
            for config in job.configs:
                folder = load_run(asked.runs_dir / config.name).folder
                lines, updates = folder.lines(), folder.facts()["updates_per_epoch"]
                value = quality(lines, folder.status()["state"], metric, updates)
                grids.setdefault(trial.name, {}).setdefault(trial.rate, []).append(value)
                # What a failed run reached is no deviation between seeds.
                if math.isfinite(value):
                    journals.setdefault((trial.name, trial.rate), []).append((lines, updates))
                spent = (line["timing"].get(part, 0.0) for line in lines for part in ("seconds", "evaluation_seconds"))
                seconds.setdefault(trial.name, []).append(sum(spent))
        metrics = {trial.name: wanted.budgets[trial.arm.arm.dataset_role].quality for trial in tried}
        winners = {}
        for name, grid in grids.items():
            try:
                winners[name] = chosen(grid, metrics[name])
            except UserError as refused:
                raise UserError(f"the arm {name}: {refused}") from None
        # Read again: others may have been tuned in the meantime.
        others = before(wanted, out) if asked.arms else {}
        now: dict[str, Any] = {
            "preset": wanted.name,
            "seeds": list(TUNING_SEEDS),
            "budget": "half the epochs of the preset",
            "code": fingerprint(),
            "arms": winners,
            "deviations": deviations(wanted, {**others.get("arms", {}), **winners}, journals),
            # Of a whole run, so that a suite can say how long it will take.
            "seconds_per_run": {name: round(2 * statistics.median(spent), 1) for name, spent in seconds.items()},
        }
        kept = added(others, now)
        known, compared = kept.get("seconds_per_update", {}), by_seconds(wanted, kept)
        if any(arm.name not in known for arm in compared):
            live.say("timing each arm alone")
            known = paced(timed(compared, asked.data_dir), known)
        kept["seconds_per_update"] = known
        write(kept, out)
        for name, arm in winners.items():
            live.say(f"{name:<28} {arm['winner']:g}{'  at the edge of the grid' if arm['edge'] else ''}")
        live.say(f"wrote {out}")
    return 0


if __name__ == "__main__":
    run_command(main)
