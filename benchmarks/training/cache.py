"""Keeps datasets, evaluators and the metrics of real data for the runs that share them."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Dataset, data_folder, depends_on_seed, load
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.inception import load_inception
from benchmarks.run_folder.folder import RunFolder
from benchmarks.training.provenance import fingerprint


def load_dataset(config: DatasetConfig, data_dir: Path | str | None, seed: int) -> Dataset:
    """Loads a dataset, as one object for all seeds that have the same data, so that they share what is derived from it.

    On MNIST the metrics' side of real data takes three seconds, as much as a tenth of a short run.
    """
    folder = data_folder(data_dir)
    # Configs of two image folders of one name are equal, and a relative folder is another one elsewhere. Loading gets
    # the folder as it was given: notes name it, and are published.
    where = (config.path, folder.absolute())
    own = seed if depends_on_seed(config) else 0
    place = _place(config, where, own)
    if "dataset" not in place:
        loaded = load(config, folder, own)
        place["dataset"] = _place_of_first(config, where, loaded.checksum).setdefault("dataset", loaded)
        if config.name == "auto":
            # It is asked for by its own name next. The notes tell of the choice.
            _place(replace(config, name=loaded.name), where, own)["dataset"] = replace(loaded, notes=())
    return place["dataset"]


@lru_cache(maxsize=2)
def _place(config: DatasetConfig, where: tuple[str, Path], seed: int) -> dict[str, Dataset]:
    """Returns where the dataset of a config is kept once it is loaded."""
    return {}


@lru_cache(maxsize=2)
def _place_of_first(config: DatasetConfig, where: tuple[str, Path], checksum: str) -> dict[str, Dataset]:
    """Returns where the first dataset with these tensors is kept, which stands for those loaded later."""
    return {}


@lru_cache(maxsize=2)
def get_evaluator(
    dataset: Dataset, samples: int, device: torch.device, threads: int, inception: bool = False
) -> Evaluator:
    """Returns one evaluator for all runs of that data, protocol, and number of threads, on which rounding depends."""
    read = load_inception(dataset.data_dir) if inception else None
    return Evaluator(dataset, samples, device=device, inception=read)


def measure_reference(
    evaluator: Evaluator, config: RunConfig, runs_dir: Path
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns the metrics of real data under the protocol of a config, and why others cannot be measured.

    They take half a minute on MNIST and are the same for all runs of that data and protocol. So they are kept beside
    the run folders, in a file whose name changes with the data, classifiers, protocol, plugins and code.
    """
    protocol = (config.samples, config.thorough, config.inception, config.plugins)
    decided_by = (config.checksum, config.extractor, *protocol, fingerprint())
    name = hashlib.sha256(repr(decided_by).encode()).hexdigest()
    kept = RunFolder(runs_dir / "reference")
    kept.make()
    # One of several processes measures; the others wait for it.
    with kept.alone(f"{name}.lock"):
        measured = kept.read_json(f"{name}.json")
        if measured is None:
            measured = {"metrics": evaluator.measure_real_data(final=config.thorough), "absent": evaluator.absent}
            kept.write_json(f"{name}.json", measured)
    return measured["metrics"], measured["absent"]
