"""python -m benchmarks.run: trains one variant, with one or more seeds."""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli import options
from benchmarks.cli.options import Parser, read_fields, read_run_options, refuse_unread, run_command
from benchmarks.config import DEFAULT_PROBES, PRECISIONS, DatasetConfig
from variants import VARIANTS
from variants.recipe import FIELDS, UserError, unknown

if TYPE_CHECKING:
    from benchmarks.executors import RunGroup, RunOptions
    from benchmarks.inference.run import Run

DATASET_OPTIONS = [f for f in fields(DatasetConfig) if f.metadata]


def parser() -> Parser:
    parser = Parser(
        "benchmarks.run",
        usage="python -m benchmarks.run --variant NAME [options]",
        description="Trains a GAN variant, evaluates it, and logs it to MLflow. Settings that are not given are those "
        "of the variant.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=40, width=110),
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--variant", default="cgan_mlp", metavar="NAME", help=f"variant to train: {', '.join(VARIANTS)} (cgan_mlp)"
    )
    options.add_dataset(what)
    options.add_recipe(what)
    seeds = what.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the run (0)")
    seeds.add_argument("--seeds", type=int, nargs="+", metavar="N", help="train one run for each of these seeds")
    options.add_plugin(what)
    what.add_argument("--list", action="store_true", help="list variants, datasets, losses and noises, and exit")

    how = parser.add_argument_group("how")
    options.add_evaluation(how)
    options.add_thoroughness(how)
    how.add_argument(
        "--probes",
        nargs="+",
        default=DEFAULT_PROBES,
        metavar="NAME",
        help=f"additional measurements during training, or none ({' '.join(DEFAULT_PROBES)})",
    )
    how.add_argument(
        "--precision",
        default=PRECISIONS[0],
        metavar="|".join(PRECISIONS),
        help=f"number format of the networks' layers in training ({PRECISIONS[0]})",
    )
    options.add_device(how)
    how.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads (torch's own choice; 1 if a GPU trains)"
    )
    options.add_stack(how)
    options.add_cuda_graphs(how)
    options.add_retrain(how)

    where = parser.add_argument_group("where")
    options.add_runs_dir(where)
    options.add_data_dir(where)
    options.add_tracking(where)
    options.add_no_tracking(where)
    options.add_pictures(where, "all")

    training = parser.add_argument_group("recipe: training")
    architecture = parser.add_argument_group("recipe: architecture, for the variants that read it")
    for field in FIELDS.values():
        options.add_field(training if field.metadata["part"] == "training" else architecture, field)
    data = parser.add_argument_group("dataset options, for the datasets that take them")
    for field in DATASET_OPTIONS:
        options.add_field(data, field)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    if asked.list:
        from benchmarks.cli.tables import show_choices

        return show_choices()
    refuse_unread(asked, "no_tracking", "tracking_uri", "experiment")
    options.refuse_extractor(asked)
    # What can be refused without torch is refused before its import, which takes seconds.
    if asked.variant not in VARIANTS:
        raise unknown("variant", asked.variant, VARIANTS)
    if asked.precision not in PRECISIONS:
        raise unknown("precision", asked.precision, PRECISIONS, see="it is one of " + ", ".join(PRECISIONS))
    overrides = read_fields(asked, FIELDS.values())
    dataset = DatasetConfig(asked.dataset, **read_fields(asked, DATASET_OPTIONS))
    run_options = read_run_options(asked)
    seeds = asked.seeds or [asked.seed]
    if repeated := {seed for seed in seeds if seeds.count(seed) > 1}:
        raise UserError(f"--seeds has {min(repeated)} twice; a seed is one run")
    for option in ("evaluate_every", "threads"):
        if getattr(asked, option) < 0:
            raise UserError(f"--{option.replace('_', '-')} is at least 0, not {getattr(asked, option)}")

    import torch

    from benchmarks.algorithm.cuda_graphs import refuse_without_graphs
    from benchmarks.algorithm.device import check_precision, resolve_device
    from benchmarks.cli.progress import say
    from benchmarks.cli.tables import show_summary
    from benchmarks.executors import RunGroup
    from benchmarks.executors.base import split_job
    from benchmarks.training.cache import load_dataset
    from benchmarks.training.configure import add_classifier, configure
    from benchmarks.training.loop import Diverged

    check_precision(asked.precision, device := resolve_device(asked.device))
    if asked.cuda_graphs:
        refuse_without_graphs(device)

    # A GPU leaves little work to the CPU, for which sixteen threads take twenty times as long as one.
    if asked.threads or device.type == "cuda":
        torch.set_num_threads(asked.threads or 1)
    data = load_dataset(dataset, asked.data_dir, seeds[0])
    # All configs are made before the first run, so that nothing is trained before all are accepted.
    configs = [
        configure(
            asked.variant,
            replace(dataset, name=data.name),
            recipe=asked.recipe,
            seed=seed,
            evaluate_every=asked.evaluate_every,
            samples=asked.samples,
            thorough=not asked.quick_metrics,
            precision=asked.precision,
            inception=bool(asked.extractor),
            probes=() if list(asked.probes) == ["none"] else asked.probes,
            data_dir=asked.data_dir,
            **overrides,
        )
        for seed in seeds
    ]
    group = RunGroup(tuple(add_classifier(config, asked.data_dir) for config in configs), data.notes)
    failed = 0
    for part in split_job(group, run_options, 1, say):
        for config, ended in zip(part.configs, train_part(part, run_options), strict=True):
            if isinstance(ended, Diverged):
                say(f"failed: {ended}; its curves are kept in {asked.runs_dir / config.name}")
                failed += 1
            elif isinstance(ended, BaseException):
                raise ended
            else:
                show_summary(ended, asked.tracking_uri, asked.experiment, tracked=not asked.no_tracking)
    return 1 if failed else 0


def train_part(part: "RunGroup", run_options: "RunOptions") -> "list[Run | BaseException]":
    """Trains runs as one and returns how each ended. The screen shows the progress of the first one."""
    from benchmarks.cli.progress import RunProgress
    from benchmarks.executors.base import forward_messages
    from benchmarks.training.lockstep import train_group

    with RunProgress() as screen:
        others = [forward_messages(lambda text, name=name: screen.say(f"{name}: {text}")) for name in part.names[1:]]
        return train_group(part.configs, run_options, part.notes, [screen, *others])


if __name__ == "__main__":
    run_command(main)
