"""Describes the machine that figures come from. Needs no torch."""

import os
import platform
from collections.abc import Mapping
from typing import Any

# Waiting processes per core above which the machine counts as busy; chosen, not tuned.
_BUSY = 0.5


def describe_machine() -> dict[str, Any]:
    """Returns what figures depend on: processor, cores, system, Python, load. Names no host and no user."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    }


def warn_if_busy(machine: Mapping[str, Any]) -> list[str]:
    """Returns one sentence where other work was going on, which makes all figures doubtful, else none."""
    if machine["load_before"] > _BUSY * machine["cores"]:
        return [
            f"the machine was busy before (load {machine['load_before']:.1f} on {machine['cores']} cores), "
            "so these figures are not to be trusted"
        ]
    return []


def describe_software(device: str = "cpu") -> dict[str, Any]:
    """Returns torch's version and its threads as set in this process, and the device."""
    import torch

    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "device": device}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
