"""Guards the downloads of torchvision: a dataset arrives whole or not at all, and nobody waits for a dead network.

torchvision checks the MD5 of what it downloads. It also waits without limit where packets vanish, and leaves half files
that pass for whole ones at the next start. So it works in a thread of its own and in a temporary folder.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from variants.recipe import UserError

# Seconds without a new byte until a download is given up: of data that the user asked for, and of data that have a
# replacement. Shorter than a person waits; the import of torchvision comes on top.
PATIENCE, IMPATIENCE = 30.0, 4.0
# Bytes in the temporary folder; the largest dataset has 5.8 GB, packed and unpacked.
LARGEST = 2**33
# Seconds between two looks at the folder, and the share of them that a busy thread computes for at least.
_INTERVAL, _BUSY = 0.1, 0.1
# The machine refused to write, whatever the network did.
_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class MissingData(UserError):
    """Tells that a published dataset is neither on disk nor can be had. what: the sentence without advice."""

    def __init__(self, what: str, advice: str = "connect to a network, put that file there") -> None:
        super().__init__(f"{what}; {advice}, or choose --dataset digits")
        self.what = what


class Unreachable(Exception):
    """Tells why a download was given up, without a full stop."""


def md5_of(path: Path) -> str:
    """Returns the MD5 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def bring(
    download: Callable[[Path], object],
    root: Path,
    archives: Mapping[str, str],
    wanted: Iterable[str],
    title: str,
    patience: float,
) -> None:
    """Runs a download in a temporary folder beside the data, and moves what is wanted to its place at the end.

    download: gets the folder that stands for `root`. archives: path below root -> MD5 of the published file; those that
    are there already, and whole, are not downloaded again. wanted: the files and folders that are kept, beside the
    archives. Raises MissingData if the data cannot be had.
    """
    with _beside(root, title) as folder:
        for name, md5 in archives.items():
            if (root / name).is_file() and md5_of(root / name) == md5:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _link(root / name, folder / name)
        try:
            guard(lambda: download(folder), folder, patience)
        except Exception as error:  # torchvision and the network raise many kinds of errors
            if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
                raise UserError(
                    f"cannot write {title} to {root}: {error.strerror}; choose another folder with --data-dir"
                ) from None
            whole = [name for name, md5 in archives.items() if _is_whole(folder / name, md5)]
            _move(whole, folder, root)
            missing = root / next((name for name in archives if name not in whole), title)
            raise MissingData(
                f"{title} is not complete in {missing.parent}: {missing.name} could not be downloaded "
                f"({_reason(error)})"
            ) from None
        # An archive counts as a sign that all is there, so it comes last.
        _move([*wanted, *archives], folder, root)


def guard(download: Callable[[], object], folder: Path, patience: float) -> None:
    """Runs a download in a thread, and raises what it raises; Unreachable if nothing happens for `patience` seconds.

    A thread that is abandoned is stopped as soon as the system gives it back. What torchvision prints goes to standard
    error.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            download()
        except BaseException as error:  # raised again below
            failed.append(error)

    thread = threading.Thread(target=run, name="download", daemon=True)
    waits = socket.getdefaulttimeout()
    # Half the patience, so that a second address has its turn. Looking a name up has no limit of its own.
    socket.setdefaulttimeout(patience / 2)
    try:
        with redirect_stdout(sys.stderr):
            thread.start()
            _watch(thread, folder, patience)
    finally:
        socket.setdefaulttimeout(waits)
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
    if failed:
        raise failed[0]


def _watch(thread: threading.Thread, folder: Path, patience: float) -> None:
    arrived, computed, last = 0, time.process_time(), time.monotonic()
    while thread.is_alive():
        thread.join(_INTERVAL)
        size, used, now = _size(folder), time.process_time(), time.monotonic()
        if size > LARGEST:
            raise Unreachable(f"it sends more than {LARGEST:,} bytes")
        # Importing, unpacking and checking take no bytes from the network, but time of the processor.
        if size != arrived or used - computed > _BUSY * _INTERVAL:
            last = now
        elif now - last > patience:
            raise Unreachable(f"nothing arrived within {patience:.0f} s")
        arrived, computed = size, used


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # renamed or removed meanwhile
            total += path.stat().st_size
    return total


@contextmanager
def _beside(root: Path, title: str) -> Iterator[Path]:
    """Makes a temporary folder below `root`, and takes it away with all folders that are empty then."""
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
    except OSError as error:
        raise MissingData(
            f"{title} is not complete in {root}, and nothing can be written there ({error.strerror})",
            "choose another folder with --data-dir",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _is_whole(path: Path, md5: str) -> bool:
    return path.is_file() and md5_of(path) == md5


def _move(names: Iterable[str], folder: Path, root: Path) -> None:
    for name in names:
        source, target = folder / name, root / name
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():  # of an earlier, incomplete state
            target.rename(folder / f"old-{target.name}")
        os.replace(source, target)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "File not found or corrupted" in text:
        return "it sent another file than the published one: the MD5 differs"
    return text[:500]
