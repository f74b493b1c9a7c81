"""Holds RunOptions: where and how runs are trained. None changes a result, except by rounding. Needs no torch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from variants.recipe import UserError, unknown

STACK = ("auto", "on", "off")
PICTURES = ("all", "milestones", "none")


@dataclass(frozen=True)
class RunOptions:
    """Says where and how runs are trained: the same for all runs of a command, whatever trains them."""

    # Holds the run folders.
    runs_dir: Path = Path("runs")
    # Holds the datasets; None: $GANBENCH_DATA, else data/.
    data_dir: Path | None = None
    # auto, cpu, cuda or mps; auto: CUDA if there is a GPU, else the CPU.
    device: str = "auto"
    # Epochs after which samples are drawn: all, milestones (0, 1, every tenth, the last) or none.
    pictures: str = "all"
    # CPU threads of torch for each run that an executor trains.
    threads: int = 1
    # MLflow store or server; None: $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.
    tracking_uri: str | None = None
    # MLflow experiment; None: $MLFLOW_EXPERIMENT_NAME, else gan-benchmark.
    experiment: str | None = None
    # Whether MLflow gets the runs.
    track: bool = True
    # Whether a run that is finished, or was begun, starts anew.
    retrain: bool = False
    # Whether seeds are trained as one network: on, off, or auto, which is on a GPU only. On a CPU the bits of a run
    # would depend on which other seeds were still to be trained.
    stack: str = "auto"
    # Whether updates are recorded as CUDA graphs and replayed; needs a GPU.
    cuda_graphs: bool = False
    # Whether a finished run keeps its last checkpoint, so that another run can go on from it.
    keep_checkpoint: bool = False
    # Folder of the run that a config names as its parent; None: the folder of that name in runs_dir.
    parent_dir: Path | None = None

    def __post_init__(self) -> None:
        for name, what, choices in (("stack", "--stack", STACK), ("pictures", "pictures", PICTURES)):
            if (value := getattr(self, name)) not in choices:
                raise unknown(f"choice of {what}", value, choices, see="one of " + ", ".join(choices))
        if self.threads < 1:
            raise UserError(f"a run has at least 1 thread, not {self.threads}")
        object.__setattr__(self, "runs_dir", Path(self.runs_dir))
        for name in ("data_dir", "parent_dir"):
            object.__setattr__(self, name, None if getattr(self, name) is None else Path(getattr(self, name)))

    def absolute(self) -> Self:
        """Returns the options with absolute paths, for workers whose working folder may be another one."""
        folders = {name: getattr(self, name) for name in ("runs_dir", "data_dir", "parent_dir")}
        return replace(self, **{name: path and path.absolute() for name, path in folders.items()})
