"""Trains and evaluates GANs: the commands, and a room for each part of a run.

Commands, each `python -m benchmarks.NAME`, with --help:

run.py          trains one variant with one or more seeds
suite.py        trains all runs that the questions need
compare.py      tells which of some arms is better, with as few seeds as it takes
tune.py         gives every arm of a suite the same small tuning
sample.py       draws new samples from a finished run, or writes them as files
evaluate.py     measures images that anything made
show.py         shows a run's settings and metrics, and how to repeat it
sync.py         sends to MLflow what a tracking server missed
extractors.py   trains and pins the classifiers that judge
defects.py      plants defects into real data, and writes down which metric notices which
speed.py        measures training against a tutorial's loop and the machine's peak

Contracts that one can write against:

config.py       holds RunConfig: everything that can change a result, and the key made of it
plugins.py      adds variants, losses, datasets, metrics and questions from a file or a package

Rooms, in the order of the data; the `__init__.py` of each has a map of its files:

statistics/     decides from numbers: exact tests, looks, verdicts
questions/      says what is asked: claims, arms, presets, outcomes
datasets/       loads what is trained on
algorithm/      updates both networks: steps, epochs, stacked seeds
run_folder/     keeps a run on disk
tracking/       keeps the run folder in MLflow, too
evaluation/     measures everything: metrics, probes, real data for comparison
pictures/       draws the images of a run
inference/      finds a finished run, and samples from it
training/       makes a finished run of a config
executors/      decides where runs are trained: here, in worker processes, on a cluster
cli/            reads command lines, and writes to the terminal
suites/         plans and carries out many runs
timing/         measures speed

From Python, in three lines:

    from benchmarks import configure, load_run, train
    run = train(configure("cgan_mlp", "digits", seed=0))
    images = run.generate(labels=[7, 7, 7])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.inference.find import find_run, load_run
    from benchmarks.inference.run import Run
    from benchmarks.plugins import load_plugins
    from benchmarks.training.configure import configure
    from benchmarks.training.train import train

__all__ = ["Run", "configure", "find_run", "load_plugins", "load_run", "train"]

_MODULES = {
    "configure": "training.configure",
    "train": "training.train",
    "load_run": "inference.find",
    "find_run": "inference.find",
    "Run": "inference.run",
    "load_plugins": "plugins",
}


def __getattr__(name: str) -> Any:
    # Imported at first use, so that a command line can answer --help without torch.
    if name not in _MODULES:
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    return getattr(import_module(f"benchmarks.{_MODULES[name]}"), name)
