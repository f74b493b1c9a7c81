"""Repeats the tests in random order with two workers, and runs them once more to count the lines that they execute."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.soak.figures import ROOT, Steps, code


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def run_tests(seed: int, workers: int) -> dict[str, Any]:
    """Runs the tests of `make test` in the order of a seed; returns counts, failures, seconds."""
    began = time.monotonic()
    words = [sys.executable, "-m", "pytest", "-q", "-m", "not long", "-n", str(workers), f"--randomly-seed={seed}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment())
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|errors?|skipped)", done.stdout)}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    seconds = round(time.monotonic() - began, 1)
    return {"seed": seed, "exit": done.returncode, "counts": counts, "failed": failed, "seconds": seconds}


def repetitions(work: Path, size: float, say: Callable[[str], None], times: int = 20) -> dict[str, Any]:
    """Repeats the tests, scaled by the size."""
    steps, wanted = Steps(work / "repetitions.jsonl", code()), max(1, round(times * size))
    while len(steps.done) < wanted:
        steps.add(run_tests(seed=len(steps.done) + 1, workers=2))
        say(f"{len(steps.done)} of {wanted}: {steps.done[-1]}")
    return {
        "repetitions": len(steps.done),
        "repetitions_passed": sum(step["exit"] == 0 for step in steps.done),
        "tests": max(step["counts"].get("passed", 0) for step in steps.done),
        "skipped": max(step["counts"].get("skipped", 0) for step in steps.done),
        "seconds_each": round(sum(step["seconds"] for step in steps.done) / len(steps.done)),
        "failed": sorted({name for step in steps.done for name in step["failed"]}),
    }


def coverage(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Counts the lines of the packages that the tests execute, except in processes that they start."""
    data = {**environment(), "COVERAGE_FILE": str((work / "coverage").absolute())}
    run = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:randomly"]
    if size < 1:
        run += ["tests/benchmarks/statistics/test_ranks.py", "tests/benchmarks/statistics/test_verdicts.py"]
    say("counting lines")
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, env=data)
    combine = [sys.executable, "-m", "coverage", "combine", "-q"]
    subprocess.run(combine, cwd=ROOT, env=data, check=True)
    report = [sys.executable, "-m", "coverage", "report", "--format=total", "--precision=1"]
    total = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, env=data, check=True)
    return {"percent_of_lines": float(total.stdout), "exit": done.returncode}
