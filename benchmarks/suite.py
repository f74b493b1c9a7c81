"""python -m benchmarks.suite: trains all runs that the chosen questions need, as many at once as the machine can."""

import shlex
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli import options
from benchmarks.cli.options import Parser, read_run_options, refuse_unread, run_command
from benchmarks.executors import EXECUTORS
from benchmarks.questions.presets import PRESETS, find_preset
from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.statistics.verdicts import JudgedLook
    from benchmarks.suites.plan import Plan
    from benchmarks.suites.scheduler import Job, Trainer
    from reports.analysis.looks import Judged


def parser() -> Parser:
    summaries = "; ".join(f"{name}: {each.summary}" for name, each in PRESETS.items())
    parser = Parser("benchmarks.suite", description=__doc__.partition(": ")[2], epilog=f"Presets: {summaries}.")
    what = parser.add_argument_group("what")
    what.add_argument(
        "--preset", default="quick", metavar="NAME", help=f"data, budgets and seeds: {', '.join(PRESETS)} (quick)"
    )
    what.add_argument("--questions", nargs="+", default=[], metavar="NAME", help="questions to answer (all)")
    what.add_argument("--dataset", default="", metavar="NAME", help="images to train on instead of the preset's")
    what.add_argument("--seeds", type=int, default=0, metavar="N", help="number of seeds of each arm (the preset's)")
    options.add_plugin(what)
    what.add_argument(
        "--tuned",
        type=Path,
        default=None,
        metavar="FILE",
        help="tuned settings, as benchmarks.tune --out writes them (those kept with the code)",
    )
    what.add_argument("--plan", action="store_true", help="show the runs and their cost, and exit")
    how = parser.add_argument_group("how")
    options.add_executor(how)
    options.add_workers(how)
    options.add_device(how)
    options.add_stack(how)
    options.add_pictures(how, "milestones")
    options.add_cuda_graphs(how)
    options.add_retrain(how)
    where = parser.add_argument_group("where")
    options.add_runs_dir(where)
    options.add_data_dir(where)
    options.add_tracking(where)
    options.add_no_tracking(where)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    refuse_unread(asked, "no_tracking", "tracking_uri", "experiment")
    preset = find_preset(asked.preset)
    if asked.seeds < 0:
        raise UserError(f"--seeds is at least 1, not {asked.seeds}")
    if asked.executor not in EXECUTORS:
        raise unknown("executor", asked.executor, EXECUTORS, see="one of " + ", ".join(EXECUTORS))

    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.suites import scheduler
    from benchmarks.suites.plan import make_plan
    from benchmarks.suites.plan_history import record_plan
    from benchmarks.suites.tuned_settings import load_tuned_settings

    tuned = load_tuned_settings(preset, asked.tuned)
    plan = make_plan(preset, asked.questions, tuned=tuned, dataset=asked.dataset, seeds=asked.seeds)
    first = plan.up_to(plan.looks.seeds[0], [each.decision.name for each in plan.decisions]) if plan.looks else plan
    jobs, missing = scheduler.prepare_jobs(first, asked.data_dir, classifiers=not asked.plan)
    todo, done = scheduler.count_runs(jobs, asked.runs_dir, asked.retrain)
    run_options = read_run_options(asked)
    with SuiteProgress(preset.name, todo + done) as live:
        _announce(plan, jobs, missing, todo, done, scheduler.estimate_seconds(plan, tuned), live)
        if asked.plan:
            for arm in plan.arms:
                live.say(f"  {arm.name:<28} {len(arm.seeds):>3} seeds  {', '.join(arm.questions)}")
            return 0
        if len(record_plan(plan, asked.runs_dir, datetime.now(UTC).isoformat(timespec="seconds"))) > 1:
            live.say(
                f"this plan is not the first one for the runs in {asked.runs_dir}; a report will list the differences"
            )
        began = time.time()
        trainer = scheduler.Trainer(run_options, live, asked.executor, asked.workers, asked.address, asked.data_dir)
        if plan.looks:
            train_at_looks(plan, trainer)
        else:
            trainer.train(plan)
        states = [result.state for result in trainer.results.values()]
        live.say(f"{states.count('FINISHED')} runs finished, {states.count('FAILED')} failed")
        if killed := states.count("KILLED"):
            live.say(f"{killed} did not end; run the same command again to resume them")
        if trainer.trained:
            live.say(scheduler.describe_worker_time(trainer.trained, began, live.workers * (time.time() - began)))
        live.say(f"the {'table' if preset.arms else 'report'}: {report_command(asked)}")
    return 1 if killed else 0


def train_at_looks(plan: "Plan", trainer: "Trainer") -> "Judged":
    """Trains a plan that has looks: after each look only the arms of decisions that are open. Returns what they say.

    Raises UserError if a run does not end: nothing may be decided without it.
    """
    from benchmarks.suites.scheduler import describe_look, require_all_ended
    from reports.analysis.looks import judge_at_looks
    from reports.reading.runs import find_runs

    def train(part: "Plan") -> bool:
        trainer.train(part)
        require_all_ended(list(trainer.results.values()))
        return True

    def told(look: "JudgedLook") -> None:
        trainer.live.say(describe_look(look, plan.looks))

    return judge_at_looks(plan, lambda: find_runs(runs_dir=trainer.options.runs_dir).runs, train, told)


def _announce(
    plan: "Plan",
    jobs: "Sequence[Job]",
    missing: Mapping[str, str],
    todo: int,
    done: int,
    expected: Mapping[str, float],
    live: "SuiteProgress",
) -> None:
    """Says what the plan has, which arms cannot be trained, and how long the rest may take."""
    from benchmarks.cli.progress import format_duration

    live.say(
        f"{len(plan.questions)} questions, {len(plan.decisions)} decisions, {len(plan.arms)} arms, "
        f"{plan.runs} runs{' at most' if plan.looks else ''} ({done} already done); plan {plan.hash[:12]}"
    )
    if plan.looks:
        live.say(f"judged with {', '.join(map(str, plan.looks.seeds))} seeds an arm; what is settled stops")
    for why in dict.fromkeys(missing.values()):
        names = ", ".join(name for name, other in missing.items() if other == why)
        live.say(f"not run: {names}: {why}")
    seconds = sum(expected[arm.name] * len(job.configs) for arm, job in jobs)
    if todo and seconds:
        live.say(
            f"about {format_duration(seconds * todo / (todo + done))} of one core for the remaining runs"
            + " of the first look" * bool(plan.looks)
        )


def report_command(asked: Namespace) -> str:
    """Returns the command line that reports on the suite, or fills its table: the same plan, from its run folders."""
    words = ["python", "-m", "reports.build", "--preset", asked.preset, "--runs-dir", str(asked.runs_dir)]
    words += ["--questions", *asked.questions] if asked.questions else []
    words += ["--fill", "docs/variants.md"] if find_preset(asked.preset).arms else []
    for name in ("dataset", "seeds", "tuned"):
        words += [f"--{name}", str(value)] if (value := getattr(asked, name)) else []
    return shlex.join([*words, *plugins.list_arguments()])


if __name__ == "__main__":
    run_command(main)
