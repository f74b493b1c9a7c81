"""Where and by what code a run was made: recorded beside it, and no part of its key."""

import ast
import hashlib
import os
import platform
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.datasets import Dataset
from variants import Refused

HOUSE = Path(__file__).resolve().parent.parent

# The code that decides what a run computes. Reports, tracking, pictures and command lines do not.
DECIDING = (
    "variants/**/*.py",
    "metrics/**/*.py",
    "benchmarks/datasets/**/*.py",
    "benchmarks/evaluation.py",
    "benchmarks/randomness.py",
    "benchmarks/steps.py",
    "benchmarks/training.py",
)
DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> torch.device:
    """The device of that name; auto is CUDA where there is one, else the CPU. Raises Refused where there is none."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if not there.get(name):
        raise Refused(
            f"this machine has no device {name!r}; it has {', '.join(n for n, here in there.items() if here)}"
        )
    return torch.device(name)


def describe(device: torch.device, dataset: Dataset, recipe_name: str) -> dict[str, Any]:
    """The environment of a run that starts now, as JSON values. It names no host, no user and no folder."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
        "code": fingerprint(),
        "recipe": recipe_name,
        "dataset": dataset.name,
        "notes": list(dataset.notes),
        "protocol": dataset.reference_note,
    }


@cache
def fingerprint() -> str:
    """SHA-256 of the syntax trees, without docstrings, of the code that decides what a run computes."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in DECIDING for path in HOUSE.glob(pattern)}):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(f"{path.relative_to(HOUSE).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()


def peak_memory(device: torch.device) -> float:
    """Largest memory so far in MiB: of the process, or on the GPU. NaN where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if os.name != "posix":
        return float("nan")
    import resource

    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
