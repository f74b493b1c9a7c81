"""Where runs are trained: in this process, in worker processes, or on a Ray cluster. Nothing else knows which.

    with open_executor("processes", RunOptions(Path("runs")), workers=4) as executor:
        futures = [future for job in jobs for future in executor.submit(job)]
        results = [future.result() for future in futures]

base.py        defines the contract (RunGroup, Result, Executor), the queue of tasks, training as Results
inline.py      trains in this process, one run after the other
processes.py   trains in worker processes of this machine, whose death costs only the run that they had
ray.py         trains on the machines of a Ray cluster, which share no disk; an optional extra

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
    options: RunOptions,
    workers: int = 0,
    address: str = "",
    say: Callable[[str], None] = warnings.warn,
) -> Executor:
    """Opens the executor of that name, ready for jobs. Raises UserError for a choice that is not possible.

    workers: runs at once, 0 for as many as there are CPU cores, or 2 on a GPU. address: of a Ray cluster, "" for one on
    this machine that ends with the executor. say: is called with messages for the person, also from threads.
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
    if options.cuda_graphs and name != "ray":
        # Now, and not once for each run; the machines of a cluster have devices of their own.
        from benchmarks.algorithm.cuda_graphs import refuse_without_graphs
        from benchmarks.algorithm.device import resolve_device

        refuse_without_graphs(resolve_device(options.device))
    module, _, kind = EXECUTORS[name].partition(":")
    rest = {"address": address} if name == "ray" else {}
    return getattr(import_module(module), kind)(options.absolute(), workers, say=say, **rest)


__all__ = ["EXECUTORS", "Executor", "Result", "RunGroup", "RunOptions", "open_executor"]
