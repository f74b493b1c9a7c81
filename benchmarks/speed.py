"""python -m benchmarks.speed: times training on this machine, against a tutorial's loop and the machine's peak.

    python -m benchmarks.speed --variant cgan_mlp dcgan --dataset mnist --json speed.json

times each variant's loop, the stock loop (`benchmarks/timing/stock.py`) and the machine's best product, in turn, and
prints medians with their ranges. With --to it measures the seconds until a run is good enough, beside the loops of
widely copied tutorials (`benchmarks/timing/tutorials.py`), and writes the file of --json after each run, from which the
same command goes on. With --suite it estimates the cost of all runs of a preset, and with --torchmetrics it compares
metrics with those of torchmetrics. docs/speed.md explains the figures, and docs/metrics.md the last ones.
"""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_cuda_graphs, add_data_dir, add_device, add_json, add_plugin, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from benchmarks.config import PRECISIONS
from variants import VARIANTS
from variants.recipe import UserError, unknown

# Options that each kind of timing reads; every kind takes --json and --plugin.
READS = {
    "to": {"variant", "dataset", "recipe", "against", "threads", "rounds", "every", "budget", "data_dir"},
    "suite": {"rounds", "data_dir"},
    "torchmetrics": {"threads", "rounds"},
    "fill": set(),
}
_LEAST = {"threads": 0, "seeds": 1, "rounds": 1, "every": 1}
_WITH_TO_ALONE = ("every", "budget")
# Updates between evaluations of --to: half an epoch of MNIST, so that judging takes a sixth of the time or less.
_EVERY = 250
# Seconds of training; chosen, not tuned.
_BUDGET = 600.0
# Rounds if the user does not say: enough for a median; of --to, each is a whole training.
_ROUNDS, _ROUNDS_TO = 7, 5


def parser() -> Parser:
    parser = Parser("benchmarks.speed", description=__doc__.partition(": ")[2].partition("\n")[0])
    what = parser.add_argument_group("what").add_mutually_exclusive_group()
    what.add_argument(
        "--suite", metavar="PRESET", help="estimate the cost of all runs of a preset, on 1, 8 and 64 machines"
    )
    what.add_argument(
        "--torchmetrics", action="store_true", help="compare metrics with torchmetrics' own: exactness and seconds"
    )
    what.add_argument(
        "--to",
        metavar="TARGET",
        help='measure the seconds until a run meets a target twice in a row, such as "fid<=2 accuracy>=0.97"; goes on '
        "from the file of --json where it was interrupted",
    )
    what.add_argument("--fill", type=Path, metavar="PAGE", help="rewrite the tables of a page from their JSON files")
    case = parser.add_argument_group("of what")
    case.add_argument(
        "--variant",
        nargs="+",
        metavar="NAME",
        help=f"variants to time: {', '.join(VARIANTS)} (all that fit; with --to, cgan_mlp)",
    )
    case.add_argument(
        "--dataset", nargs="+", default=["auto"], metavar="NAME", help="datasets to train on (auto: MNIST, else digits)"
    )
    add_plugin(case)
    case.add_argument("--recipe", default="", metavar="NAME", help="recipe of all variants (each variant's own)")
    case.add_argument(
        "--against", metavar="stock|tutorial|none", help="loop to compare with (stock; with --to, tutorial)"
    )
    case.add_argument(
        "--precision",
        nargs="+",
        default=[PRECISIONS[0]],
        metavar="|".join(PRECISIONS),
        help=f"precision of this project's loop; the stock loop uses {PRECISIONS[0]}",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads of each loop (torch's own choice)"
    )
    how.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="numbers of seeds to train as one; figures are per seed (1)",
    )
    add_device(how, "cpu")
    add_cuda_graphs(how)
    how.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=f"times that each loop is measured ({_ROUNDS}; with --to, the seeds from 0 on: {_ROUNDS_TO})",
    )
    how.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="seconds that each loop trains in a round, about (2)"
    )
    how.add_argument(
        "--every",
        type=int,
        default=_EVERY,
        metavar="N",
        help=f"with --to, generator updates between evaluations ({_EVERY})",
    )
    how.add_argument(
        "--budget",
        type=float,
        default=_BUDGET,
        metavar="S",
        help=f"with --to, seconds of training after which a run is given up ({_BUDGET:g})",
    )
    add_data_dir(how)
    add_json(how)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    check(asked)

    from benchmarks.timing.tables import fill_page, render

    if asked.fill:
        print(fill_page(asked.fill))
        return 0
    measured = measure(asked)
    if asked.json:
        write_output(asked.json, json.dumps(measured, indent=1) + "\n")
    print(render(measured))
    return 0


def check(asked: Namespace) -> None:
    """Raises UserError for options that are wrong whatever the machine and the data are."""
    for name in asked.variant or ():
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS)
    for precision in asked.precision:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS, see="it is one of " + ", ".join(PRECISIONS))
    for name, least in _LEAST.items():
        given = getattr(asked, name)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not value >= least:
                raise UserError(f"--{name.replace('_', '-')} is at least {least}, not {value}")
    if kind := next((name for name in READS if getattr(asked, name) not in (None, False)), ""):
        known = parser()
        for name, value in vars(asked).items():
            if name not in READS[kind] | READS.keys() | {"json", "plugin"} and value != known.get_default(name):
                raise UserError(f"--{name.replace('_', '-')} is not read by --{kind}; leave it out")
    _check_loop(asked)
    for name in ("seconds", "budget"):
        if not 0 < getattr(asked, name) < math.inf:
            raise UserError(f"--{name} is above 0, not {getattr(asked, name)}")
    if asked.to is not None:
        from benchmarks.timing.quality import parse_target

        parse_target(asked.to)
    for name in _WITH_TO_ALONE:
        if asked.to is None and getattr(asked, name) != parser().get_default(name):
            raise UserError(f"--{name} is read with --to alone; leave it out")
    if asked.json:
        refuse_unwritable(asked.json)


def _check_loop(asked: Namespace) -> None:
    """Raises UserError for a loop that the timing does not compare with."""
    loops, other = (("tutorial", "none"), "stock") if asked.to is not None else (("stock", "none"), "tutorial")
    if asked.against is None or asked.against in loops:
        return
    if asked.against == other:
        why = "is not read by --to" if other == "stock" else "is read with --to alone"
        raise UserError(f"--against {other} {why}; take {' or '.join(loops)}")
    raise unknown("loop", asked.against, loops, see=f"--against takes {' or '.join(loops)}")


def measure(asked: Namespace) -> dict[str, Any]:
    """Measures what was asked for; returns JSON values."""
    if asked.suite:
        from benchmarks.timing.suite_cost import measure_suite

        return measure_suite(asked.suite, asked.rounds or _ROUNDS, asked.data_dir, _say)
    if asked.torchmetrics:
        from benchmarks.timing.libraries import measure_libraries

        return measure_libraries(asked.threads, asked.rounds or _ROUNDS, _say)
    from benchmarks.timing.cases import Case

    if asked.to is not None:
        from benchmarks.timing.quality import measure_quality, parse_target

        return measure_quality(
            parse_target(asked.to),
            [
                Case(variant, dataset, recipe=asked.recipe, threads=asked.threads, data_dir=asked.data_dir)
                for dataset in dict.fromkeys(asked.dataset)
                for variant in dict.fromkeys(asked.variant or ["cgan_mlp"])
            ],
            against_tutorials=asked.against != "none",
            seeds=range(asked.rounds or _ROUNDS_TO),
            every=asked.every,
            budget=asked.budget,
            file=asked.json,
            say=_say,
        )
    from benchmarks.timing.training import measure_training

    cases = [
        Case(
            variant,
            dataset,
            recipe=asked.recipe,
            precision=precision,
            device=asked.device,
            cuda_graphs=asked.cuda_graphs,
            threads=asked.threads,
            seeds=seeds,
            data_dir=asked.data_dir,
        )
        for dataset in asked.dataset
        for variant in asked.variant or VARIANTS
        for seeds in asked.seeds
        for precision in asked.precision
    ]
    return measure_training(
        cases,
        against_stock=asked.against != "none",
        rounds=asked.rounds or _ROUNDS,
        seconds=asked.seconds,
        skip_refused=not asked.variant,
        say=_say,
    )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_command(main)
