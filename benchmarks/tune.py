"""python -m benchmarks.tune: gives every arm of a preset the same small tuning, and keeps the winning rates."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_data_dir, add_plugin, add_runs_dir, add_workers, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from variants.recipe import UserError

_ELSEWHERE = "give another --out FILE, and the same to the suite and to reports.build by --tuned FILE"


def parser() -> Parser:
    parser = Parser("benchmarks.tune", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "--preset", default="quick", metavar="NAME", help="preset to tune: quick, mnist or full (quick)"
    )
    parser.add_argument(
        "--arms", nargs="+", default=[], metavar="NAME", help="arms to tune; the others keep their settings (all)"
    )
    add_plugin(parser)
    add_workers(parser)
    add_runs_dir(parser, "runs/tuning")
    add_data_dir(parser)
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="file to write (the one kept with the code)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)

    from benchmarks.questions.presets import TUNING_SEEDS, find_preset

    preset = find_preset(asked.preset)
    if not preset.tuned:
        raise UserError(f"the preset {preset.name} is not tuned")
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.suites import tuned_settings, tuning
    from benchmarks.suites.scheduler import require_all_ended, run_jobs
    from benchmarks.training.configure import add_classifier
    from benchmarks.training.provenance import fingerprint

    out = asked.out or tuned_settings.tuning_file(preset.name)
    tuning.refuse_arms(preset, asked.arms)
    refuse_unwritable(out, _ELSEWHERE)
    if asked.arms:
        tuned_settings.load_previous(preset, out)  # reports a damaged file before the runs
    trials = [trial for trial in tuning.list_trials(preset) if not asked.arms or trial.name in asked.arms]
    # Every arm is checked before a classifier is trained.
    configs = [[trial.arm.config(seed, asked.data_dir) for seed in trial.arm.seeds] for trial in trials]
    jobs = [RunGroup(tuple(add_classifier(config, asked.data_dir) for config in each)) for each in configs]
    options = RunOptions(asked.runs_dir, asked.data_dir, device="cpu", pictures="none", track=False)
    with SuiteProgress(f"tuning of {preset.name}", sum(len(job.configs) for job in jobs)) as live:
        require_all_ended(run_jobs(jobs, "processes", options, live, workers=asked.workers))
        results = tuning.read_trials(preset, trials, jobs, asked.runs_dir)
        metrics = {trial.name: preset.budgets[trial.arm.arm.dataset_role].quality for trial in trials}
        winners = {}
        for name, qualities in results.qualities.items():
            try:
                winners[name] = tuning.choose_rate(qualities, metrics[name])
            except UserError as refused:
                raise UserError(f"the arm {name}: {refused}") from None
        # Read again: others may have been tuned in the meantime.
        previous = tuned_settings.load_previous(preset, out) if asked.arms else {}
        every = {**previous.get("arms", {}), **winners}
        kept = tuned_settings.merge_tuning(
            previous,
            {
                "preset": preset.name,
                "seeds": list(TUNING_SEEDS),
                "budget": "half the epochs of the preset",
                "code": fingerprint(),
                "arms": winners,
                "deviations": tuning.estimate_deviations(preset, every, results.journals),
                # Of a whole run, so that a suite can estimate its time.
                "seconds_per_run": {
                    name: round(2 * statistics.median(spent), 1) for name, spent in results.seconds.items()
                },
            },
        )
        known, timed = kept.get("seconds_per_update", {}), tuning.list_timed_arms(preset, kept)
        if any(arm.name not in known for arm in timed):
            live.say("timing each arm alone")
            known = tuning.rescale_seconds(tuning.time_arms(timed, asked.data_dir), known)
        kept["seconds_per_update"] = known
        write_output(out, json.dumps(kept, indent=1, sort_keys=True) + "\n", _ELSEWHERE)
        for name, arm in winners.items():
            live.say(f"{name:<28} {arm['winner']:g}{'  at the edge of the grid' if arm['edge'] else ''}")
        live.say(f"wrote {out}")
    return 0


if __name__ == "__main__":
    run_command(main)
