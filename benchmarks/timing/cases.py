"""Describes what is trained while it is timed. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """Describes one timed training: the variant, the data, and how it is trained."""

    variant: str
    dataset: str
    recipe: str = ""
    """As --recipe; "" for the variant's own."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Recipe fields that are changed."""
    precision: str = "float32"
    device: str = "cpu"
    threads: int = 0
    """CPU threads of torch; 0 for its own choice."""
    seeds: int = 1
    """Seeds that our loop trains as one."""
    cuda_graphs: bool = False
    """Records the updates of our loop."""
    data_dir: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.variant} on {self.dataset}"
