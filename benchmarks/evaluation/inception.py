"""Finds the weights of Inception, which measures figures that compare with papers, and downloads them if it can."""

from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.datasets import Dataset
from benchmarks.datasets.download import PATIENCE, MissingData, bring
from variants.recipe import UserError

if TYPE_CHECKING:
    from metrics.inception import Inception


def refuse_inception(dataset: Dataset) -> None:
    """Raises UserError where Inception cannot read the images of a dataset, or its weights cannot be had."""
    channels = dataset.spec.shape[0]
    if not dataset.spec.is_image or channels not in (1, 3):
        what = f"images of {channels} channels" if dataset.spec.is_image else "points"
        raise UserError(f"--extractor inception reads grey or colour images, and {dataset.name} has {what}")
    load_inception(dataset.data_dir)


@lru_cache(maxsize=1)
def load_inception(data_dir: Path) -> "Inception":
    """Reads Inception once, from the data folder or the cache of torch; downloads its weights if they are in neither.

    Raises UserError if the weights cannot be had or are other ones, and if the package that reads them is missing.
    """
    if find_spec("torch_fidelity") is None:
        raise UserError("--extractor inception needs the package torch-fidelity; pip install torch-fidelity")
    # Imported here, because it imports torchmetrics, which takes as long as torch.
    from metrics.inception import ADDRESS, FILE, BadWeights, Inception

    try:
        return Inception(_find_weights(data_dir / "extractors", FILE, ADDRESS))
    except MissingData as refused:
        raise UserError(f"{refused.what}; get {ADDRESS}, and put it there") from None
    except BadWeights as refused:
        raise UserError(f"{refused}; remove it, and get {ADDRESS}") from None


def _find_weights(folder: Path, file: str, address: str) -> Path:
    cached = Path(torch.hub.get_dir(), "checkpoints", file)
    if not (folder / file).is_file() and cached.is_file():
        return cached
    if not (folder / file).is_file():
        # What has arrived is checked before it is read, as a file that somebody put there is.
        bring(partial(_download, address, file), folder, {}, [file], file, PATIENCE)
    return folder / file


def _download(address: str, file: str, folder: Path) -> None:
    torch.hub.download_url_to_file(address, str(folder / file))
