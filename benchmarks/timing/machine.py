"""The machine that figures come from. Needs no torch."""

import os
import platform
from collections.abc import Mapping
from typing import Any

# More waiting processes than this share of the cores, and the figures are those of a busy machine; chosen.
BUSY = 0.5


def machine() -> dict[str, Any]:
    """What figures depend on, and cannot be told from them. It names no host and no user."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    }


def busy(machine: Mapping[str, Any]) -> list[str]:
    """A sentence where other work was going on, which makes all figures doubtful."""
    if machine["load_before"] > BUSY * machine["cores"]:
        return [
            f"the machine was busy before (load {machine['load_before']:.1f} on {machine['cores']} cores), "
            "so these figures are not to be trusted"
        ]
    return []


def software(device: str = "cpu") -> dict[str, Any]:
    """The rest, which torch knows, as it is set in this process."""
    import torch

    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "device": device}


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
