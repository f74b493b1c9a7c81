"""Writes what TensorBoard shows of a run, from its run folder: curves, sample pictures, settings with final metrics.

Tags are the names that MLflow shows, with the epoch as their step and the journal's own time. A run has one file of
events, which is made anew each time.
"""

import io
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.run_folder.folder import RunFolder

# TensorBoard reads the files that have "tfevents" in their names; its own names hold those of the machine.
EVENTS = "events.out.tfevents.gan-benchmark"
# Bytes, chosen, not tuned: far above what any picture of samples has.
_PICTURE_LIMIT = 64 * 2**20


def refuse_without_tensorboard() -> None:
    """Raises UserError where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        raise UserError(
            "--tensorboard needs TensorBoard, which is not installed; pip install 'gan-benchmark[tensorboard]' has it"
        )


def make_events(folder: "RunFolder") -> bytes:
    """Returns the file of events of a run. Raises UserError for a damaged run folder."""
    # Imports TensorBoard, which takes seconds.
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    from benchmarks.tracking.entities import iter_metrics, sanitize_name

    lines = folder.lines()
    times = {line["epoch"]: _seconds(line.get("timing", {}).get("time", 0.0)) for line in lines}
    evaluated = [line["metrics"] for line in lines if line.get("metrics")]
    with tempfile.TemporaryDirectory() as place:
        with SummaryWriter(place) as writer:
            for epoch, tag, value in iter_metrics(lines):
                writer.add_scalar(tag, value, epoch, times[epoch])
            for epoch in folder.pictures():
                picture = _make_picture(folder, folder.picture_name(epoch))
                writer.file_writer.add_summary(picture, epoch, times.get(epoch))
            # The final metrics by name: TensorBoard takes the last value of each from its curve.
            metrics = dict.fromkeys(map(sanitize_name, evaluated[-1] if evaluated else ()), 0.0)
            for summary in hparams(_list_settings(folder), metrics):
                writer.file_writer.add_summary(summary, walltime=times.get(lines[-1]["epoch"]) if lines else None)
        (file,) = Path(place).iterdir()
        return file.read_bytes()


def _seconds(time: float) -> float | None:
    """Returns a time of day; None for one that no clock shows: a stranger's journal may hold any."""
    return time if 0 < time < 2**40 else None


def _make_picture(folder: "RunFolder", name: str) -> Any:
    """Returns a picture as a summary of TensorBoard, in the bytes of its file."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    data = folder.read_bytes(name, _PICTURE_LIMIT) or b""
    try:
        # Reads no more than the header.
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise UserError(f"{folder.path / name} is damaged: it is not a picture") from None
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
    return Summary(value=[Summary.Value(tag="samples", image=image)])


def _list_settings(folder: "RunFolder") -> dict[str, bool | int | float | str]:
    config = folder.config()
    values = {"variant": config.variant, "dataset": config.dataset.name, "seed": config.seed}
    values |= config.recipe.as_dict()
    plain = (bool, int, float, str)
    return {name: v if isinstance(v, plain) else " ".join(map(str, v)) or "none" for name, v in values.items()}
