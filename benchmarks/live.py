"""Many runs at once: submitted, watched, and done again where the machine was to blame."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import groupby

from benchmarks.cli.progress import Live
from benchmarks.executors import Job, Result, Settings, open_executor
from benchmarks.run_folder.folder import RunFolder
from variants.recipe import Refused

TRIES = 2


def run_jobs(
    jobs: Sequence[Job],
    executor: str,
    settings: Settings,
    live: Live,
    *,
    workers: int = 0,
    address: str = "",
    ended: Callable[[int, Result], None] = lambda place, result: None,
) -> list[Result]:
    """Trains all jobs, in their order, and gives every run's Result, in the order in which they ended.

    What is trained already is found without being handed to the executor. A failed run stops no other; one whose cause
    was the machine is tried once more, after the others. ended: is told of each run with the place of its job. Ctrl-C
    leaves runs that the same command goes on with.
    """
    results: list[Result] = []
    waiting: list[tuple[int, int]] = []
    for place, job in enumerate(jobs):
        for which, config in enumerate(job.configs):
            state = RunFolder(settings.runs_dir / config.name).status()["state"]
            if state == "FINISHED" and not settings.retrain:
                results.append(Result(config.name, "FINISHED", found=True))
                live.ended(results[-1])
                ended(place, results[-1])
            else:
                waiting.append((place, which))
    if not waiting:
        return results
    with open_executor(executor, settings, workers, address, say=live.hear) as opened:
        live.workers = opened.workers
        pending: dict[Future[Result], tuple[int, int, int]] = {}
        for place, places in groupby(waiting, key=lambda each: each[0]):
            left = [which for _, which in places]
            job = Job(tuple(jobs[place].configs[which] for which in left), jobs[place].notes)
            for which, future in zip(left, opened.submit(job), strict=True):
                pending[future] = (place, which, 1)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                place, which, tried = pending.pop(future)
                result = future.result()
                if result.machine and tried < TRIES:
                    live.say(f"{result.name} did not end, and is tried once more: {result.cause}")
                    (again,) = opened.submit(Job((jobs[place].configs[which],), jobs[place].notes))
                    pending[again] = (place, which, tried + 1)
                    continue
                if result.state != "FINISHED":
                    live.say(f"{result.name} {'failed' if result.state == 'FAILED' else 'did not end'}: {result.cause}")
                results.append(result)
                live.ended(result)
                ended(place, result)
    return results


def all_ended(results: Sequence[Result]) -> None:
    """Raises Refused where a run has not ended, since nothing may be decided without it."""
    if left := [result for result in results if result.state == "KILLED"]:
        raise Refused(
            f"{len(left)} of {len(results)} runs did not end, such as {left[0].name} ({left[0].cause}); the same "
            "command goes on with them"
        )
