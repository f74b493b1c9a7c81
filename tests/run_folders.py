"""Fills run folders as training fills them, and reads what MLflow has of them."""

import os
from collections.abc import Callable

from PIL import Image

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import make_client
from variants.recipe import Recipe

CONFIG = RunConfig(
    variant="cgan_mlp",
    recipe=Recipe(epochs=4, generator_widths=(256, 512), conditioning="embedding"),
    dataset=DatasetConfig("digits"),
    seed=3,
    checksum="ab" * 32,
    extractor="cd" * 32,
)
BEGAN = 1_700_000_000.25


def child(act: Callable[[], None]) -> int:
    """Starts a process that acts again and again until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                act()
        finally:
            os._exit(1)
    return pid


def line(epoch: int, **curves: float) -> dict:
    return {"epoch": epoch, "curves": {"generator_loss": 1.5, **curves}, "timing": {"time": 1e9 + epoch}}


def train(folder: RunFolder, epochs: range, began: float = BEGAN, **metrics: float) -> None:
    """Fills the folder as training does, with the same values for the same epoch."""
    for epoch in epochs:
        if epoch:
            picture = folder.file(folder.picture_name(epoch))
            picture.parent.mkdir(exist_ok=True)
            Image.new("L", (600, 640), epoch).save(picture)
        folder.append(
            {
                "epoch": epoch,
                "curves": {"generator_loss": 2.0 - epoch / 8},
                "metrics": {"fid": 64.0 / (epoch + 1), **metrics},
                "timing": {"time": began + epoch, "seconds": 0.5},
            }
        )


def finish(folder: RunFolder, state: str = "FINISHED", **detail: object) -> None:
    folder.write_bytes("losses.png", b"curves")
    folder.write_bytes("samples.gif", b"film")
    folder.write_bytes("generator.safetensors", b"weights")
    folder.set_status(state, **detail)


def stored(tracking_uri: str, run_id: str) -> dict[str, list[tuple[int, float, int]]]:
    """Returns every point that MLflow has of every metric."""
    client = make_client(tracking_uri)
    return {
        key: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, key)]
        for key in client.get_run(run_id).data.metrics
    }


def images(tracking_uri: str, run_id: str) -> list[str]:
    return [file.path for file in make_client(tracking_uri).list_artifacts(run_id, "images")]
