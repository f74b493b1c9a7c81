"""benchmarks.training.cache: TODO."""

import hashlib
from functools import lru_cache
from pathlib import Path

import torch

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Dataset, data_folder, depends_on_seed, load
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.run_folder.folder import RunFolder
from benchmarks.training.provenance import fingerprint


def load_dataset(config: DatasetConfig, data_dir: Path | str | None, seed: int) -> Dataset:
    """A dataset, the same object for all seeds whose data is the same, so that what is computed from it is shared too.

    On MNIST the real side of the metrics takes three seconds, as much as a tenth of a short run.
    """
    folder = data_folder(data_dir)
    # Two folders of images of one name are equal configs, and one relative folder is another one elsewhere. Loading is
    # told the folder as it was given: notes name it, and are published.
    where = (config.path, folder.absolute())
    return _loaded(config, where, folder, seed if depends_on_seed(config) else 0)


@lru_cache(maxsize=2)
def _loaded(config: DatasetConfig, where: tuple[str, Path], data_dir: Path, seed: int) -> Dataset:
    dataset = load(config, data_dir, seed)
    first = _first_of(config, where, dataset.checksum)
    return first.setdefault("dataset", dataset)


@lru_cache(maxsize=2)
def _first_of(config: DatasetConfig, where: tuple[str, Path], checksum: str) -> dict[str, Dataset]:
    """Where the first dataset of these tensors is kept."""
    return {}


@lru_cache(maxsize=2)
def get_evaluator(dataset: Dataset, samples: int, device: torch.device, threads: int) -> Evaluator:
    """One judge for all runs of that data and protocol, and of that many threads, which round the real side's sums."""
    return Evaluator(dataset, samples, device=device)


def measure_reference(
    evaluator: Evaluator, config: RunConfig, runs_dir: Path
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of real data under the protocol of a config, and why others of them cannot be measured.

    They take half a minute on MNIST and are the same for all runs of that data and protocol, so they are kept beside
    the run folders, under a name that changes with the data, the judges, the protocol, the plugins, and the code.
    """
    decided_by = (config.checksum, config.extractor, config.samples, config.thorough, config.plugins, fingerprint())
    name = hashlib.sha256(repr(decided_by).encode()).hexdigest()
    kept = RunFolder(runs_dir / "reference")
    kept.make()
    # Of several processes one measures, and the others wait for it.
    with kept.alone(f"{name}.lock"):
        measured = kept.read_json(f"{name}.json")
        if measured is None:
            measured = {"metrics": evaluator.measure_real_data(final=config.thorough), "absent": evaluator.absent}
            kept.write_json(f"{name}.json", measured)
    return measured["metrics"], measured["absent"]
