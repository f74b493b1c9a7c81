"""Chooses the device, and sets what decides how it rounds and how fast it is."""

import ctypes
import os
import platform
import sys
from functools import cache

import torch

from benchmarks.algorithm.precision import ROUNDING
from variants import UserError


def resolve_device(name: str) -> torch.device:
    """Returns the device of that name; auto is CUDA where there is one, else the CPU. Raises UserError for a missing
    one.

    It also makes float32 exact: by default torch rounds convolutions on a GPU to TF32.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if not there.get(name):
        raise UserError(
            f"this machine has no device {name!r}; it has {', '.join(n for n, here in there.items() if here)}"
        )
    # The older flag for the same: torch.export refuses to read it where it disagrees with the others.
    torch.backends.cudnn.allow_tf32 = False
    for place in ROUNDING:
        place.fp32_precision = "ieee"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Names a device for a person: the model of a GPU, else its kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def check_precision(precision: str, device: torch.device) -> None:
    """Raises UserError where a device cannot train in a precision."""
    gpu = device.type == "cuda"
    able = {
        "float32": True,
        "tf32": gpu and torch.cuda.get_device_capability(device) >= (8, 0),
        "bfloat16": device.type == "cpu" or (gpu and torch.cuda.is_bf16_supported()),
    }
    if not able[precision]:
        raise UserError(f"the device {device.type!r} does not train in {precision}; take --precision float32")


@cache
def keep_memory() -> None:
    """Lets glibc keep freed memory for the next step; returning it to the system takes half of a convolutional step.

    With other C libraries it does nothing. It changes no result.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter in (mmap_threshold, trim_threshold):
            libc.mallopt(parameter, 1 << 30)


def peak_memory(device: torch.device) -> float:
    """Returns the largest memory so far, in MiB: of the process, or on the GPU. NaN where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if os.name != "posix":
        return float("nan")
    import resource

    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
