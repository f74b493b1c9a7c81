"""What is trained while it is timed. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """What is trained while it is timed.

    recipe: as --recipe, "" for the variant's own. changes: fields of it. options: of the dataset. threads: of torch, 0
    for its own choice. cuda_graphs: whether our loop records its updates. loader_workers: processes in which the stock
    loop loads its data. side: of random images that take the places of the dataset's; 0 leaves those.
    """

    variant: str
    dataset: str
    recipe: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    device: str = "cpu"
    threads: int = 0
    seeds: int = 1
    cuda_graphs: bool = False
    loader_workers: int = 0
    side: int = 0
    data_dir: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.variant} on {self.dataset}"
