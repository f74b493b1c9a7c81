"""python -m tests.soak.precision: decides whether a reduced precision changes FID and accuracy, as claims are decided.

    python -m tests.soak.precision --variant cgan_mlp --dataset mnist --json docs/speed/precision.json

trains the same seeds in float32 and in the precisions that --precision names, and compares FID and accuracy by the
method of docs/method.md. Finished runs are found. The margins were chosen before the runs: that of the questions for
FID, and two hundredths of the accuracy.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.cli import options
from benchmarks.cli.options import Parser, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from benchmarks.config import PRECISIONS
from benchmarks.questions.base import FID_MARGIN, LN_FID, Outcome
from benchmarks.statistics.verdicts import FEWEST_SEEDS, DecidingContrast, DecidingTest, Numbers, Verdict, decide
from variants import VARIANTS
from variants.recipe import UserError, unknown

FULL, *REDUCED = PRECISIONS
ACCURACY = Outcome(
    "share of samples that the classifier takes for what was asked, over the last quarter of training",
    ("metrics/accuracy",),
    "more",
    noun="accuracy",
)
MARGINS: dict[str, tuple[Outcome, float]] = {"FID": (LN_FID, FID_MARGIN), "accuracy": (ACCURACY, 0.02)}


def parser() -> Parser:
    parser = Parser("tests.soak.precision", description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument("--variant", nargs="+", default=["cgan_mlp"], metavar="NAME", help="(cgan_mlp)")
    parser.add_argument("--dataset", default="auto", metavar="NAME", help="(auto: MNIST, else digits)")
    parser.add_argument(
        "--precision", nargs="+", default=["bfloat16"], metavar="|".join(REDUCED), help="to compare (bfloat16)"
    )
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="of each precision (10)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="to train (10)")
    parser.add_argument(
        "--epoch-updates", type=int, default=0, metavar="N", help="generator updates in an epoch (the whole data)"
    )
    parser.add_argument("--samples", type=int, default=2500, metavar="N", help="fakes in an evaluation (2500)")
    options.add_workers(parser)
    options.add_device(parser, "cpu")
    options.add_cuda_graphs(parser)
    options.add_runs_dir(parser)
    options.add_data_dir(parser)
    options.add_json(parser)
    options.add_plugin(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    for name in asked.variant:
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS)
    for name in asked.precision:
        if name not in REDUCED:
            raise unknown("precision", name, REDUCED, see=f"{FULL} is compared with one of " + ", ".join(REDUCED))
    if asked.seeds < FEWEST_SEEDS:
        raise UserError(f"--seeds is at least {FEWEST_SEEDS}, not {asked.seeds}: fewer decide nothing")
    if asked.json:
        refuse_unwritable(asked.json)

    from benchmarks.algorithm.cuda_graphs import refuse_without_graphs
    from benchmarks.algorithm.device import check_precision, device_name, resolve_device
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.suites.scheduler import require_all_ended, run_jobs
    from benchmarks.timing.machine import describe_machine, describe_software
    from benchmarks.timing.tables import render
    from benchmarks.training.configure import add_classifier, configure
    from benchmarks.training.provenance import fingerprint

    device = resolve_device(asked.device)
    if asked.cuda_graphs:
        refuse_without_graphs(device)
    for name in asked.precision:
        # Else each of its runs would fail, which counts as worse than any.
        check_precision(name, device)
    configs = [
        [
            configure(
                variant,
                asked.dataset,
                seed=seed,
                data_dir=asked.data_dir,
                samples=asked.samples,
                thorough=False,
                precision=precision,
                probes=(),
                epochs=asked.epochs,
                epoch_updates=asked.epoch_updates,
            )
            for seed in range(asked.seeds)
        ]
        for variant in asked.variant
        for precision in (FULL, *asked.precision)
    ]
    # Every config is checked before a missing classifier is trained.
    jobs = [RunGroup(tuple(add_classifier(config, asked.data_dir) for config in each)) for each in configs]
    how = {"device": asked.device, "cuda_graphs": asked.cuda_graphs}
    run_options = RunOptions(asked.runs_dir, asked.data_dir, pictures="none", track=False, **how)
    with SuiteProgress("precision", sum(len(job.configs) for job in jobs)) as live:
        require_all_ended(run_jobs(jobs, "processes", run_options, live, workers=asked.workers))
    folders = {
        (job.configs[0].variant, job.configs[0].precision): [run_options.runs_dir / each.name for each in job.configs]
        for job in jobs
    }
    verdicts = compare_precisions(
        {key: (folders[key[0], FULL], runs) for key, runs in folders.items() if key[1] != FULL}
    )
    measured = {
        "kind": "precision",
        "machine": describe_machine() | describe_software(device_name(device)) | {"threads": run_options.threads},
        "code": fingerprint(),
        "dataset": jobs[0].configs[0].dataset.name,
        "epochs": asked.epochs,
        "samples": asked.samples,
        "rows": [make_row(verdict) for verdict in verdicts],
    }
    if asked.json:
        write_output(asked.json, json.dumps(measured, indent=1) + "\n")
    print(render(measured))
    return 0


def compare_precisions(runs: Mapping[tuple[str, str], tuple[Sequence[Path], Sequence[Path]]]) -> tuple[Verdict, ...]:
    """Decides reduced precisions against float32; returns a verdict for each variant, precision and outcome.

    runs: by variant and precision, the run folders of float32 and of that precision. An unconditional variant has no
    accuracy.
    """
    from benchmarks.questions.outcomes import is_measured
    from benchmarks.run_folder.folder import RunFolder

    tests = []
    for (variant, precision), groups in runs.items():
        for what, (outcome, margin) in MARGINS.items():
            if is_measured(outcome, [RunFolder(path).lines() for group in groups for path in group]):
                full, reduced = (tuple(read_numbers(group, outcome)) for group in groups)
                contrast = DecidingContrast(what, outcome.label, precision, FULL, -margin, margin, "different")
                pair = ((contrast, Numbers(reduced, full)),)
                tests.append(DecidingTest(f"{variant}, {precision}, {what}", variant, pair))
    return decide(tests)


def read_numbers(folders: Sequence[Path], outcome: Outcome) -> list[float]:
    """Returns one number of each run that ended and has the figure, larger being better; −∞ for a failed run."""
    from benchmarks.questions.outcomes import score_run
    from benchmarks.run_folder.folder import ENDED, RunFolder

    ended = [(state, each.lines()) for each in map(RunFolder, folders) if (state := each.status()["state"]) in ENDED]
    values = [score_run(outcome, state, lines, updates=1) for state, lines in ended]
    return [value for value in values if value == value]


def make_row(verdict: Verdict) -> dict[str, Any]:
    """Returns a verdict as JSON values."""
    (effect,) = verdict.effects

    return {
        "variant": verdict.claim,
        "precision": effect.contrast.treatment,
        "outcome": effect.contrast.name,
        "metric": effect.contrast.metric,
        "margin": effect.contrast.high,
        "shift": effect.shift,
        "interval": list(effect.interval),
        "seeds": list(effect.seeds),
        "failed": list(effect.failed),
        "p": verdict.p,
        "adjusted": verdict.adjusted,
        "verdict": f"{verdict.better} is better" if verdict.better else verdict.outcome,
        "fragile_by": [[each.way, each.outcome, each.better] for each in verdict.fragile_by],
    }


if __name__ == "__main__":
    run_command(main)
