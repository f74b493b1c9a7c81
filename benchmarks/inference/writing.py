"""Writes samples as files: each image as a PNG file in a folder, or all as one .npy file. Imports torch when it writes.

Samples are written as they come, so that any number of them needs little memory. Everything is first written into a
hidden folder beside, and renamed once it is whole: an interrupted command leaves nothing under the name that was asked
for, and if it was killed, only that hidden folder.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from variants.recipe import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

ARRAY = ".npy"
# Types of the values in an array; the first is the default for images.
TYPES = ("uint8", "float32")
# The least number of digits in the names of images.
_DIGITS = 5


def labels_file(out: Path) -> Path:
    """Returns the file of the labels of the images in a .npy file, beside it."""
    return out.with_name(f"{out.stem}-labels{ARRAY}")


def write_array(
    out: Path, count: int, batches: "Iterable[tuple[Tensor, Tensor | None]]", dtype: str = TYPES[0]
) -> list[Path]:
    """Writes samples as one .npy file (count, *shape), and their labels or captions, if any, as another one beside it.

    batches: samples in [-1, 1], each with its condition. dtype: uint8, 0 to 255, or float32, as they are. Returns the
    files. Raises UserError for a sample that is not finite, and where the files cannot be written.
    """
    from benchmarks.datasets import quantise

    whole = {"samples": out, "labels": labels_file(out)}
    with _place_beside(out) as folder:
        with _Arrays(folder, count) as arrays:
            for samples, condition in _checked(out, count, batches):
                arrays.append("samples", (quantise(samples) if dtype == TYPES[0] else samples).numpy())
                if condition is not None:
                    arrays.append("labels", condition.numpy())
        # The samples come last, for without them the labels are not taken for anything.
        _put({folder / name: whole[name] for name in reversed(arrays.files)})
    return [whole[name] for name in arrays.files]


def write_images(
    out: Path, count: int, batches: "Iterable[tuple[Tensor, Tensor | None]]", class_folders: Sequence[str] = ()
) -> list[Path]:
    """Writes images as PNG files 00000.png, 00001.png, … in a new folder, and returns the folder.

    class_folders: names of folders, by label, for images whose conditions are labels. Captions are written as an array
    labels.npy in the folder. The rest is as in `write_array`.
    """
    from PIL import Image

    from benchmarks.datasets import quantise
    from benchmarks.pictures import encode_png

    digits = max(_DIGITS, len(str(count - 1)))
    with _place_beside(out) as folder:
        whole, number = folder / "images", 0
        whole.mkdir()
        with _Arrays(whole, count) as arrays:
            for samples, condition in _checked(out, count, batches):
                labels = condition.tolist() if class_folders and condition is not None else [None] * len(samples)
                for pixels, label in zip(quantise(samples).numpy(), labels, strict=True):
                    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
                    place = whole if label is None else whole / class_folders[label]
                    place.mkdir(exist_ok=True)
                    (place / f"{number:0{digits}d}.png").write_bytes(encode_png(image))
                    number += 1
                if condition is not None and not class_folders:
                    arrays.append(f"labels{ARRAY}", condition.numpy())
        _put({whole: out})
    return [out]


def refuse_full(out: Path, size: int) -> None:
    """Raises UserError where a disk has no room for so many bytes."""
    place = next(parent for parent in out.absolute().parents if parent.exists())
    if (free := shutil.disk_usage(place).free) < size:
        raise UserError(f"cannot write {out}: it takes {size / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free")


def _put(whole: Mapping[Path, Path]) -> None:
    """Gives what is whole its name. Raises FileExistsError where another process took one of the names meanwhile."""
    if any(path.exists() for path in whole.values()):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    for beside, path in whole.items():
        os.rename(beside, path)


def _checked(
    out: Path, count: int, batches: "Iterable[tuple[Tensor, Tensor | None]]"
) -> "Iterator[tuple[Tensor, Tensor | None]]":
    """Yields batches on the CPU, while a bar shows how far they are. Raises UserError for samples not finite."""
    from benchmarks.datasets.prepared import progress

    with progress(f"writing {out.name}", count) as advance:
        for samples, condition in batches:
            if not bool(samples.isfinite().all()):
                raise UserError(f"the generator makes samples that are not finite, so {out} is not written")
            yield samples.cpu(), None if condition is None else condition.cpu()
            advance(len(samples))


@contextmanager
def _place_beside(out: Path) -> Iterator[Path]:
    """Lends a hidden folder beside a path, removed at the end. Raises UserError where nothing can be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None


class _Arrays:
    """Writes .npy files part by part, without holding them in memory. A context manager."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.files: dict[str, BinaryIO] = {}
        self.open = ExitStack()

    def __enter__(self) -> "_Arrays":
        return self

    def __exit__(self, *error: Any) -> None:
        self.open.__exit__(*error)

    def append(self, name: str, part: "np.ndarray") -> None:
        """Writes the next rows of the array in the file of that name."""
        import numpy as np

        if name not in self.files:
            self.files[name] = self.open.enter_context(open(self.folder / name, "xb"))  # noqa: SIM115  (it stays open)
            header = {"shape": (self.rows, *part.shape[1:]), "fortran_order": False}
            header["descr"] = np.lib.format.dtype_to_descr(part.dtype)
            np.lib.format.write_array_header_1_0(self.files[name], header)
        self.files[name].write(np.ascontiguousarray(part).data)
