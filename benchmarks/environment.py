"""Where and by what code a run was made: recorded beside it, and no part of its key."""

import ast
import ctypes
import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.config import DEFAULT_SAMPLES, FOLDER, PRECISIONS, PROBES, PROTOCOL_VERSION, RunConfig
from benchmarks.datasets import Dataset
from benchmarks.steps import ROUNDING
from metrics.features import Extractor
from variants import Refused, load_variant

HOUSE = Path(__file__).resolve().parent.parent

# The code that decides what a run computes. Reports, tracking, pictures and command lines do not.
DECIDING = (
    "variants/**/*.py",
    "metrics/**/*.py",
    "benchmarks/batches.py",
    "benchmarks/datasets/**/*.py",
    "benchmarks/evaluation.py",
    "benchmarks/optimizer.py",
    "benchmarks/probes/**/*.py",
    "benchmarks/randomness.py",
    "benchmarks/sampler.py",
    "benchmarks/steps.py",
    "benchmarks/together.py",
    "benchmarks/training.py",
    "benchmarks/updates.py",
)


def resolve_device(name: str) -> torch.device:
    """The device of that name; auto is CUDA where there is one, else the CPU. Raises Refused where there is none.

    From then on float32 is float32 there: torch has convolutions on a GPU round it to TF32, unless told otherwise.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if not there.get(name):
        raise Refused(
            f"this machine has no device {name!r}; it has {', '.join(n for n, here in there.items() if here)}"
        )
    for place in ROUNDING:
        place.fp32_precision = "ieee"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What a person calls it: the model of a GPU, else its kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def check_precision(precision: str, device: torch.device) -> None:
    """Raises Refused where a device cannot train in a precision."""
    gpu = device.type == "cuda"
    able = {
        "float32": True,
        "tf32": gpu and torch.cuda.get_device_capability(device) >= (8, 0),
        "bfloat16": device.type == "cpu" or (gpu and torch.cuda.is_bf16_supported()),
    }
    if not able[precision]:
        raise Refused(f"the device {device.type!r} does not train in {precision}; take --precision float32")


@cache
def keep_memory() -> None:
    """Has glibc keep freed memory for the next step: giving it back to the system takes half of a convolutional step.

    Elsewhere it does nothing. It changes no result.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter in (mmap_threshold, trim_threshold):
            libc.mallopt(parameter, 1 << 30)


def describe(
    device: torch.device, dataset: Dataset, config: RunConfig, extractors: Sequence[Extractor], notes: Sequence[str]
) -> dict[str, Any]:
    """The environment of a run that starts now, as JSON values.

    It names no host, no user, and no folder but that of a person's own images, in the command.
    """
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
        "code": fingerprint(),
        "recipe": load_variant(config.variant).nearest(config.recipe)[0],
        "command": command(config),
        "extractor": {
            "name": " ".join(sorted({each.name for each in extractors})),
            "sha256": config.extractor,
            "accuracy": [each.accuracy for each in extractors],
        },
        "dataset": dataset.name,
        "notes": list(notes),
        "protocol": dataset.reference_note,
        "protocol_version": PROTOCOL_VERSION,
    }


def command(config: RunConfig) -> str:
    """The command line that makes this run again."""
    recipe, changes = load_variant(config.variant).nearest(config.recipe)
    told = config.dataset.as_dict(neutral=False)
    name = told.pop("name")
    dataset = FOLDER + config.dataset.path if config.dataset.path else name
    options: dict[str, Any] = {"variant": config.variant, "dataset": dataset, "seed": config.seed}
    options |= {"recipe": recipe, **changes, "evaluate_every": config.evaluate_every, **told}
    if config.samples != DEFAULT_SAMPLES:
        options["samples"] = config.samples
    if config.precision != PRECISIONS[0]:
        options["precision"] = config.precision
    words = ["python", "-m", "benchmarks.run"] + (["--quick-metrics"] if not config.thorough else [])
    for plugin in config.plugins:
        if (name := plugin.rpartition(":")[0]).endswith(".py"):
            words += ["--plugin", name]
    if config.probes != PROBES:
        words += ["--probes", *(config.probes or ["none"])]
    for name, value in options.items():
        values = value if isinstance(value, tuple) else (str(value).lower() if isinstance(value, bool) else value,)
        words += ["--" + name.replace("_", "-"), *map(str, values)]
    return shlex.join(words)


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
