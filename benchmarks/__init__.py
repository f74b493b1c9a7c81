"""How it is run: datasets, the training loop, the run folder, MLflow, and the command lines.

Commands, each `python -m benchmarks.NAME`:
run          trains one variant with one or more seeds
suite        trains all runs that the questions need
tune         gives every arm of a suite the same small tuning
sample       new pictures from a finished run
show         what a run was, what was measured, and how to run it again
sync         sends to MLflow what a tracking server missed
prune        removes old checkpoints and pictures of finished runs
extractors   trains and pins the classifiers that judge
speed        how fast training is, against a tutorial's loop and the machine's peak
defects      plants defects into real data, and writes down which metric notices which

From Python, in three lines:
    from benchmarks import configure, load_run, train
    run = train(configure("cgan_mlp", "digits", seed=0))
    images = run.generate(labels=[7, 7, 7])

config.py       RunConfig: everything that can change a result, and its key
resolve.py      from what a person asks for to a RunConfig
datasets/       name -> Dataset in memory, with what networks need to know and its known modes
randomness.py   the named random streams of a run
batches.py      what the updates of an epoch see: examples, noise, labels
steps.py        one discriminator update, one generator update: the algorithm
updates.py      the updates of an epoch, as they stand or as CUDA graphs
optimizer.py    torch's Adam without its overhead
training.py     epochs of steps, evaluations, pictures, checkpoints
together.py     several seeds trained as one
probes/         measurements taken during training, on copies
sampler.py      samples of a generator, in training or after it
evaluation.py   a trained generator -> every metric that applies
questions/      the theory questions, data only: claims, arms, what decides
presets.py      which data, budgets and seeds the questions get
plan.py         questions, preset and tuned settings -> every config and decision, and their hash
symptoms.py     collapse, divergence, a discriminator that has won, read off the journal
outcomes.py     how a journal becomes the one number by which a run is compared
executors/      where runs are trained: here, in worker processes, on a Ray cluster
live.py         many runs at once, watched
question_runs.py  the questions of a suite in MLflow
tuned/          the tuned settings of each preset
environment.py  where and by what code a run was made
journal.py      the run folder: config, metrics, checkpoints, pictures; survives a kill
runs.py         a run as a person uses it: found by name, new samples from its generator
prompts.py      from a sentence to the captions that it allows
plugins.py      what a file or an installed package adds to variants, losses, datasets and the rest
tracking.py     the run folder -> MLflow
pictures/       sample grids, GIF, loss curves, network graphs
timing/         what benchmarks.speed measures, and how
commands.py     what the command lines share
terminal.py     what is shown while a run trains
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

_HOME = {
    "configure": "training.configure",
    "train": "training.train",
    "load_run": "inference.find",
    "find_run": "inference.find",
    "Run": "inference.run",
    "load_plugins": "plugins",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that a command line can answer --help without torch.
    if name not in _HOME:
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    return getattr(import_module(f"benchmarks.{_HOME[name]}"), name)
