"""Kills runs that then resume: they end with the bits of one that was never killed, and MLflow has each value once.

Every run is the real command in a process of its own, forked from this one so that nothing is imported again, and ended
by SIGKILL: at a random moment, or in the middle of a write of a certain kind, by the process itself. Then the same
command goes on, and may be killed again. What is compared is every file of the run folder that holds a result.
"""

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.soak.figures import Steps, code

EPOCHS = 4
WORDS = (
    *("--variant", "cgan_mlp", "--dataset", "digits", "--epochs", str(EPOCHS), "--epoch-updates", "3"),
    *("--evaluate-every", "2", "--samples", "60", "--quick-metrics", "--runs-dir", "runs"),
)
# In the files of a run folder that hold results; what is left is of one machine, one hour or one id.
RESULTS = ("*.safetensors", "*.png", "*.gif", "samples/*.png", "probes/*", "reference.json", "facts.json")
MOST_KILLS_OF_A_RUN = 4


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Traps: each is set in a process that is about to train, and kills it at the n-th write of its kind.


def half_a_file(suits: Callable[[str], bool], n: int, rng: random.Random) -> None:
    """Dies with a part of a file written under its temporary name."""
    from benchmarks.run_folder.folder import RunFolder

    whole, left = RunFolder._write_beside, [n]

    def torn(folder: RunFolder, name: str, *parts: bytes | memoryview) -> Path:
        if suits(name):
            left[0] -= 1
            if left[0] < 0:
                data = b"".join(parts)
                whole(folder, name, data[: rng.randrange(len(data))])
                die()
        return whole(folder, name, *parts)

    RunFolder._write_beside = torn


def half_a_line(n: int, rng: random.Random) -> None:
    """Dies with a part of a line at the end of the journal."""
    from benchmarks.run_folder import folder
    from benchmarks.run_folder.journal import encode_line

    whole, left = folder.RunFolder.append, [n]

    def torn(self: folder.RunFolder, line: dict) -> None:
        left[0] -= 1
        if left[0] < 0:
            text = encode_line(line)
            with open(self.file(folder.JOURNAL), "ab") as file:
                file.write(text[: rng.randrange(len(text))])
            die()
        whole(self, line)

    folder.RunFolder.append = torn


def between_the_renames_of_a_checkpoint(n: int, rng: random.Random) -> None:
    """Dies when the last checkpoint has become the previous one, and there is no last one."""
    rename, left = os.replace, [n]

    def torn(source: Path, target: Path, **kwargs: Any) -> None:
        rename(source, target, **kwargs)
        if str(target).endswith("checkpoint-previous.safetensors"):
            left[0] -= 1
            if left[0] < 0:
                die()

    os.replace = torn


def half_a_gif(n: int, rng: random.Random) -> None:
    """Dies with a part of the animation written under its temporary name."""
    from benchmarks.pictures import samples

    whole = samples.write_picture

    def torn(out: Path, data: bytes) -> None:
        if str(out).endswith(".gif"):
            Path(f"{out}.part").write_bytes(data[: rng.randrange(len(data))])
            die()
        whole(out, data)

    samples.write_picture = torn


def within_mlflow(call: str, n: int, rng: random.Random) -> None:
    """Dies within a call of MLflow's client, or just after it has taken effect."""
    from mlflow import MlflowClient

    whole, left = getattr(MlflowClient, call), [n]

    def torn(client: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            threading.Timer(rng.random() * 0.03, die).start()
            whole(client, *args, **kwargs)
            die()
        return whole(client, *args, **kwargs)

    setattr(MlflowClient, call, torn)


# What a trap is set for, and how many such writes a run has at least.
PLACES: dict[str, tuple[Callable[[int, random.Random], None], int]] = {
    "a checkpoint": (partial(half_a_file, lambda name: name == "checkpoint.safetensors"), EPOCHS),
    "the renames of a checkpoint": (between_the_renames_of_a_checkpoint, EPOCHS - 1),
    "a journal line": (half_a_line, EPOCHS + 1),
    "a picture": (partial(half_a_file, lambda name: name.endswith(".png")), EPOCHS),
    "the config": (partial(half_a_file, lambda name: name == "config.json"), 1),
    "the status": (partial(half_a_file, lambda name: name == "status.json"), 2),
    "the generator": (partial(half_a_file, lambda name: name == "generator.safetensors"), 1),
    "the memory of what was sent": (partial(half_a_file, lambda name: name == "mlflow.json"), 2),
    "the GIF": (half_a_gif, 1),
    "a batch of metrics": (partial(within_mlflow, "log_batch"), 3),
    "pictures for MLflow": (partial(within_mlflow, "log_artifacts"), 1),
    "a file for MLflow": (partial(within_mlflow, "log_artifact"), 3),
    "a new run in MLflow": (partial(within_mlflow, "create_run"), 1),
}
# Every other kill is at a moment that nobody chose.
ANYWHERE = "a random moment"


def start(folder: Path, trap: Callable[[], None] = lambda: None) -> int:
    """Forks a process that runs the command in a folder, and returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.chdir(folder)
        sys.stdout = sys.stderr = said = open("said.txt", "a", buffering=1)  # noqa: SIM115  until the process ends
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
        from benchmarks import run
        from benchmarks.cli import options
        from benchmarks.run_folder.folder import RunFolder
        from benchmarks.tracking.background import Uploader
        from benchmarks.training import loop, train

        # So that a run of a second has as many checkpoints, and talks to MLflow as often, as one of an hour.
        loop.CHECKPOINT_SECONDS = 0.0
        # So that the whole state of training is compared at the end.
        RunFolder.remove_checkpoints = lambda self, **_: None
        train.Uploader = partial(Uploader, interval=0.0)
        trap()
        sys.argv = ["benchmarks.run", *WORDS, "--tracking-uri", store(folder)]
        options.run_command(run.main)
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(1)


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def wait_for(pid: int) -> int:
    """Waits for a process, and returns its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def find_run(folder: Path):
    from benchmarks.run_folder.folder import list_run_folders

    (found,) = list_run_folders(folder / "runs")
    return found


def read_results(folder: Path) -> dict[str, bytes]:
    """Returns the files that must have the same bits."""
    run = find_run(folder)
    names = sorted(path for pattern in RESULTS for path in run.path.glob(pattern) if path.is_file())
    found = {path.relative_to(run.path).as_posix(): path.read_bytes() for path in names}
    lines = [{k: v for k, v in line.items() if k != "timing"} for line in run.lines()]
    return {**found, "metrics.jsonl": json.dumps(lines, sort_keys=True).encode()}


def find_differences(folder: Path, wanted: dict[str, bytes]) -> list[str]:
    """Returns the differences to the run that was never killed, and values that MLflow does not have once."""
    from mlflow import MlflowClient

    from benchmarks.tracking.download import list_runs
    from benchmarks.tracking.entities import iter_metrics

    run, found = find_run(folder), read_results(folder)
    wrong = [f"{name} differs" for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    wrong += [f"{path.name} was left" for path in sorted(run.path.rglob("*.part"))]
    if run.status()["state"] != "FINISHED":
        wrong.append(f"it is {run.status()}")
    client, listed = MlflowClient(store(folder)), list_runs(store(folder))
    if len(listed) != 1:
        return [*wrong, f"MLflow has {len(listed)} runs"]
    points = [
        (key, point.step, point.value)
        for key in client.get_run(listed[0].run_id).data.metrics
        for point in client.get_metric_history(listed[0].run_id, key)
        if not key.startswith("reference/")
    ]
    told = [(key, epoch, value) for epoch, key, value in iter_metrics(run.lines())]
    if sorted(points) != sorted(told):
        wrong.append(f"MLflow has {len(points)} values of {len(told)}, {len(set(points) & set(told))} of them right")
    pictures = [file.path for file in client.list_artifacts(listed[0].run_id, "images") if file.path.endswith(".png")]
    if len(pictures) != len(run.pictures()):
        wrong.append(f"MLflow has {len(pictures)} pictures of {len(run.pictures())}")
    return wrong


def try_once(folder: Path, number: int, wanted: dict[str, bytes], seconds: float, most: int) -> dict[str, Any]:
    """Trains a run, killed up to `most` times, to its end; returns how it was killed, and what is wrong with it."""
    rng = random.Random(number)
    killed: list[str] = []
    names = sorted(PLACES)
    for kill in range(rng.randint(1, min(most, MOST_KILLS_OF_A_RUN))):
        if (number + kill) % 2:
            pid = start(folder)
            time.sleep(rng.random() * seconds)
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
            os.kill(pid, signal.SIGKILL)
            where, status = ANYWHERE, wait_for(pid)
        else:
            where = names[(number // 2 + kill) % len(names)]
            trap, writes = PLACES[where]
            status = wait_for(start(folder, partial(trap, rng.randrange(writes), rng)))
        if status == 0:
            break
        if status != -signal.SIGKILL:
            said = (folder / "said.txt").read_text(errors="replace")[-2000:]
            return {"killed": killed, "wrong": [f"exit {status} on the way: {said}"], "bytes": 0, "values": 0}
        killed.append(where)
    if (status := wait_for(start(folder))) != 0:
        said = (folder / "said.txt").read_text(errors="replace")[-2000:]
        return {"killed": killed, "wrong": [f"exit {status} at the end: {said}"], "bytes": 0, "values": 0}
    found = read_results(folder)
    wrong = find_differences(folder, wanted)
    values = sum(len(part) for line in find_run(folder).lines() for part in line.values() if isinstance(part, dict))
    return {"killed": killed, "wrong": wrong, "bytes": sum(map(len, found.values())), "values": values}


def prepare(work: Path) -> tuple[Path, dict[str, bytes], float]:
    """Makes a folder with an empty store and the results of a run that is never killed; returns its seconds as well."""
    import torch
    from mlflow import MlflowClient

    from benchmarks import configure

    # A forked process would wait for ever for the threads that its parent had.
    torch.set_num_threads(1)
    shutil.rmtree(work, ignore_errors=True)
    (work / "empty").mkdir(parents=True)
    MlflowClient(store(work / "empty")).search_experiments()
    # Datasets and judges are in memory from here on, for every process that is forked.
    configure("cgan_mlp", "digits")
    shutil.copytree(work / "empty", work / "whole")
    began = time.monotonic()
    status = wait_for(start(work / "whole"))
    seconds = time.monotonic() - began
    if status != 0:
        raise RuntimeError((work / "whole" / "said.txt").read_text(errors="replace"))
    return work / "empty", read_results(work / "whole"), seconds


def kills(work: Path, size: float, say: Callable[[str], None], most: int = 50) -> dict[str, Any]:
    """Runs `most` kills, scaled by the size."""
    steps, most = Steps(work / "kills.jsonl", code()), max(1, round(most * size))
    empty, wanted, seconds = prepare(work / "kills")
    if wrong := find_differences(work / "kills" / "whole", wanted):
        raise RuntimeError(f"the run that was never killed is not right: {wrong}")
    while (done := sum(len(step["killed"]) for step in steps.done)) < most:
        number = len(steps.done)
        folder = work / "kills" / f"run-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(empty, folder)
        steps.add(try_once(folder, number, wanted, seconds, most - done))
        say(f"{done + len(steps.done[-1]['killed'])} of {most} kills; {steps.done[-1]}")
        if not steps.done[-1]["wrong"]:
            shutil.rmtree(folder)
    return summary(steps.done)


def summary(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kills": sum(len(step["killed"]) for step in steps),
        "kills_survived": sum(len(step["killed"]) for step in steps if not step["wrong"]),
        "runs": len(steps),
        "bytes_compared": sum(step["bytes"] for step in steps),
        "values_sent_and_found_once": sum(step["values"] for step in steps if not step["wrong"]),
        "kills_in": dict(sorted(Counter(where for step in steps for where in step["killed"]).items())),
        "wrong": [wrong for step in steps for wrong in step["wrong"]],
    }
