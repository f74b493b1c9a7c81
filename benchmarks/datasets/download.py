"""Downloads a published file, whole or not at all.

torchvision's own downloads wait without limit when packets are lost, and leave partial files that later pass for whole
ones. So only its folders and its tables of addresses are used here (a test compares the tables).
"""

import hashlib
import os
import tempfile
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.error import HTTPError
from urllib.parse import urlsplit

from variants.recipe import UserError

STALLED = 20.0  # seconds without data until a download is abandoned
LARGEST = 2**28  # bytes; the largest published archive has 170 MB
PIECE = 2**20


class Unreachable(UserError):
    """Tells why no address gave the file, without a full stop."""


def download_file(path: Path, urls: Iterable[str], md5: str, patience: float) -> None:
    """Downloads a file from the first address that gives the right one. Nothing stands at `path` until it is whole.

    patience: seconds to wait for an answer, of all addresses together; it does not limit the download. Raises
    Unreachable if no address gives the file, and UserError if it cannot be written.
    """
    addresses = tuple(urls)
    reasons = []
    for url in addresses:
        try:
            with _answer(url, patience / len(addresses)) as answer:
                total = int(answer.headers.get("Content-Length") or 0)
                write_file(path, _show_progress(_pieces(answer), path.name, total), md5)
            return
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, UserError) and not isinstance(error, Unreachable):
                raise
            reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
            reasons.append(f"{urlsplit(url).hostname}: {reason}")
    raise Unreachable("; ".join(reasons))


def write_file(path: Path, pieces: Iterable[bytes], md5: str = "") -> None:
    """Writes a file under another name, and renames it when it is complete and has the given MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    try:
        with open(handle, "wb", buffering=0) as file:
            for piece in pieces:
                digest.update(piece)
                with _writing(path):
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[file.write(rest) :]
            with _writing(path):
                os.fsync(file.fileno())
        if md5 and digest.hexdigest() != md5:
            raise Unreachable("it sent another file than the published one (the MD5 differs)")
        with _writing(path):
            os.chmod(beside, 0o644)  # a temporary file is private, a dataset is not
            os.replace(beside, path)
    finally:
        with suppress(OSError):
            os.unlink(beside)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another folder with --data-dir") from None


def md5_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _answer(url: str, seconds: float) -> HTTPResponse:
    # Name resolution has no timeout, so it runs in a thread that can be abandoned.
    answers: SimpleQueue[HTTPResponse | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=seconds))
        except (OSError, HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise Unreachable(f"no answer within {seconds:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _pieces(answer: HTTPResponse) -> Iterator[bytes]:
    with suppress(AttributeError):  # the socket's timeout was for the answer; a download may pause for longer
        answer.fp.raw._sock.settimeout(STALLED)
    size = 0
    while piece := answer.read(PIECE):
        size += len(piece)
        if size > LARGEST:
            raise Unreachable(f"it sends more than {LARGEST:,} bytes")
        yield piece


def _show_progress(pieces: Iterable[bytes], name: str, total: int) -> Iterator[bytes]:
    """Passes the pieces on, and shows a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("downloading {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total or None)
        for piece in pieces:
            progress.advance(task, len(piece))
            yield piece
