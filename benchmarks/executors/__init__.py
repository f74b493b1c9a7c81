"""Where runs are trained: in this process, in worker processes, or on a Ray cluster. Nothing else knows which.

    with open_executor("processes", RunOptions(Path("runs")), workers=4) as executor:
        futures = [future for job in jobs for future in executor.submit(job)]
        results = [future.result() for future in futures]

base.py        Job, Settings, Result, Executor: the contract, and how the training of one run becomes a Result
inline.py      in this process, one run after the other
processes.py   in worker processes of this machine, whose death costs only the run that they had
ray.py         on the machines of a Ray cluster, which share no disk; an optional extra
sending.py     the thread that sends runs that ended to MLflow, for the first two

Importing this package imports neither torch nor Ray nor MLflow.
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from benchmarks.executors.base import Executor, Result, RunGroup
from benchmarks.training.options import RunOptions
from variants.recipe import UserError, unknown

EXECUTORS = {
    "inline": "benchmarks.executors.inline:Inline",
    "processes": "benchmarks.executors.processes:Processes",
    "ray": "benchmarks.executors.ray:OnRay",
}


def open_executor(
    name: str,
    settings: RunOptions,
    workers: int = 0,
    address: str = "",
    say: Callable[[str], None] = warnings.warn,
) -> Executor:
    """The executor of that name, ready for jobs.

    workers: runs at once, 0 for as many as there are CPU cores, or 2 on a GPU. address: of a Ray cluster, "" for one on
    this machine that ends with the executor. say: is told what the person should know; threads may call it. Raises
    UserError for a choice that is not possible.
    """
    if name not in EXECUTORS:
        raise unknown("executor", name, EXECUTORS, see="one of " + ", ".join(EXECUTORS))
    if workers < 0:
        raise UserError(f"--workers is at least 0, not {workers}; 0 is as many as there are CPU cores")
    if address and name != "ray":
        raise UserError(
            f"--address is of a Ray cluster, and the executor is {name}; say --executor ray, or leave it out"
        )
    if name == "ray" and find_spec("ray") is None:
        raise UserError("--executor ray needs Ray, which is not installed; pip install 'gan-benchmark[ray]' has it")
    if settings.cuda_graphs and name != "ray":
        # Now, and not once for each run; the machines of a cluster have devices of their own.
        from benchmarks.algorithm.cuda_graphs import refuse_without_graphs
        from benchmarks.algorithm.device import resolve_device

        refuse_without_graphs(resolve_device(settings.device))
    module, _, kind = EXECUTORS[name].partition(":")
    options = {"address": address} if name == "ray" else {}
    return getattr(import_module(module), kind)(settings.absolute(), workers, say=say, **options)


__all__ = ["EXECUTORS", "Executor", "Result", "RunGroup", "RunOptions", "open_executor"]
