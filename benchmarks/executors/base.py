"""The contract of the executors, and how the training of runs becomes their Results. Needs no torch."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from benchmarks.config import RunConfig
from benchmarks.training.options import RunOptions
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.training.listener import ProgressListener

STOPPED = "it was stopped before its end; the same command goes on with it"


@dataclass(frozen=True)
class RunGroup:
    """Configs that differ in their seed only: they may be trained together. There is one run folder a seed.

    notes: what a reader of these runs has to know, such as that other data took the place of what was asked for.
    """

    configs: tuple[RunConfig, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "configs", tuple(self.configs))
        object.__setattr__(self, "notes", tuple(self.notes))
        # Points of the plane are drawn from the seed, so that their checksums differ with it.
        if len({replace(config, seed=0, checksum="") for config in self.configs}) > 1:
            raise ValueError("the configs of a job differ in their seed only")
        if len({config.seed for config in self.configs}) < len(self.configs):
            raise ValueError("a seed is one run, and a job has it once")


@dataclass(frozen=True)
class Result:
    """How the run of one seed ended.

    name: of its run folder. state: FINISHED; FAILED, by what training itself did; or KILLED, by anything else, so that
    the run has not ended. cause: of the latter two, one sentence. machine: whether the cause was the machine (a worker
    killed, a node lost, no memory, no disk), so that a second try may help. seconds: wall-clock of the training, 0
    where it was found already trained, which is `found`.
    """

    name: str
    state: str
    cause: str = ""
    machine: bool = False
    seconds: float = 0.0
    found: bool = False


class Executor(Protocol):
    """Trains jobs. workers: how many runs at once."""

    workers: int

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        """Has a job trained: a future for each of its configs, in their order.

        What goes wrong with a run is in its Result: no future raises it. Runs start in the order of submission. A
        future whose run has not started can be cancelled.
        """
        ...

    def close(self, cancel: bool = False) -> None:
        """Waits until all is trained and has arrived in MLflow; for a server, a bounded time.

        With cancel=True what has not started is cancelled, and what is in training is stopped so that it can go on
        later from its last checkpoint; its Result is KILLED with the cause STOPPED.
        """
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(cancel=kind is not None)


def split_job(job: RunGroup, options: RunOptions, workers: int, say: Callable[[str], None]) -> list[RunGroup]:
    """A job in parts, each of runs that one worker trains as one; of one run each where they are not to be.

    say: is told why seeds that were asked to be trained as one are not.
    """
    size = 1
    if len(job.configs) > 1 and options.stack != "off":
        from benchmarks.algorithm.device import resolve_device
        from variants import load_variant

        config = job.configs[0]
        try:
            variant, device = load_variant(config.variant), resolve_device(options.device).type
        except UserError:
            # Each run says so in its Result.
            return [RunGroup((each,), job.notes) for each in job.configs]
        if variant.not_stackable_because and options.stack == "on":
            say(f"seeds of {config.variant} are trained one by one: {variant.not_stackable_because}")
        if not variant.not_stackable_because and (options.stack == "on" or device == "cuda"):
            # Every worker gets some, but a GPU is the same one for all of them.
            size = len(job.configs) if device == "cuda" else -(-len(job.configs) // workers)
    return [RunGroup(job.configs[at : at + size], job.notes) for at in range(0, len(job.configs), size)]


def train_here(
    job: RunGroup, options: RunOptions, say: Callable[[str, str], None], *, track: bool = False
) -> list[Result]:
    """Trains the runs of a job in this process, as one if there are several. Only KeyboardInterrupt is not a Result.

    say: hears the name of a run, and a sentence about it. track: whether MLflow hears of the runs while they train; an
    executor sends them when they end. Result.seconds: the share of each run.
    """
    from benchmarks.training.lockstep import train_group

    names = [config.name for config in job.configs]
    listeners = [forward_messages(partial(say, name)) for name in names]
    began = time.perf_counter()
    try:
        ended = train_group(job.configs, replace(options, track=track), job.notes, listeners)
    except (Exception, SystemExit) as error:
        ended = [error] * len(names)
    seconds = (time.perf_counter() - began) / len(names)
    return [
        make_failure(name, each, seconds, options)
        if isinstance(each, BaseException)
        else Result(name, "FINISHED", seconds=0.0 if each.found else seconds, found=each.found)
        for name, each in zip(names, ended, strict=True)
    ]


def make_failure(name: str, error: BaseException, seconds: float, options: RunOptions) -> Result:
    """What went wrong, in one sentence without secrets, and whether the machine was the cause."""
    from benchmarks.tracking.client import redact_uri, resolve_uri
    from benchmarks.training.loop import Diverged, describe_error

    uri = resolve_uri(options.tracking_uri)
    state = "FAILED" if isinstance(error, Diverged) else "KILLED"
    cause = describe_error(error).replace(uri, redact_uri(uri))[:500]
    return Result(name, state, cause, machine=is_machine_fault(error), seconds=seconds)


def is_machine_fault(error: BaseException | None) -> bool:
    """Whether this, or what it was raised from, is a failure of memory, disk or network."""
    while error is not None:
        # torch says it with a RuntimeError on a CPU, and with a kind of its own, derived from that, on a GPU.
        text = str(error).lower() if isinstance(error, RuntimeError) else ""
        if isinstance(error, MemoryError | OSError) or "out of memory" in text or "can't allocate memory" in text:
            return True
        error = error.__cause__
    return False


def forward_messages(say: Callable[[str], None]) -> "ProgressListener":
    """Returns a listener that passes on the sentences for the user, and nothing else."""
    from benchmarks.training.listener import ProgressListener

    listener = ProgressListener()
    listener.say = say  # type: ignore[method-assign]
    return listener
