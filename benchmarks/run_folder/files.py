"""Reads and writes the files of one folder: each file is whole or absent, and no name or link leads out of it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import filelock

from benchmarks.run_folder.journal import parse_json
from benchmarks.run_folder.tensors import JSON_LIMIT, Bytes
from variants.recipe import UserError


class Folder:
    """Reads and writes the files of a folder; each is written under another name, flushed to the disk and renamed.

    Reading runs no code, follows no link, and raises UserError, one sentence, for a file that is damaged or larger than
    any that this project writes.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def make(self) -> None:
        """Makes the folder where there is none. Raises UserError where it cannot be made."""
        with self._writing(""):
            self.path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        """Returns the path of a file here. Raises UserError for a name that leads elsewhere, by `..`, root or link."""
        path = self.path.resolve() / name
        inside = False
        with suppress(OSError, RuntimeError, ValueError):  # a circle of links; a zero byte in a name
            inside = path.resolve() == path and self.path.resolve() in path.parents
        if not inside:
            raise UserError(f"{name!r} in {self.path} leads out of the run folder or through a link, so it is not read")
        return path

    def read_bytes(self, name: str, limit: int = JSON_LIMIT) -> bytes | None:
        """Returns a file's content, or None where there is no such file. Raises UserError above the limit, in bytes."""
        try:
            path = self.file(name)
            if not path.exists():
                return None
            # A pipe or a device would be waited for, perhaps for ever.
            if not path.is_file():
                raise self._damage(name, "it is not a plain file")
            if path.stat().st_size > limit:
                raise self._damage(name, f"it is larger than {limit // 2**20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {self.path / name}: {error.strerror or error}") from None

    def read_json(self, name: str) -> Any:
        """Returns the value in a JSON file, or None where there is no such file. Raises UserError for a damaged one."""
        data = self.read_bytes(name)
        return None if data is None else parse_json(data, partial(self._damage, name))

    def read_object(self, name: str) -> dict[str, Any]:
        """Returns the object in a JSON file, {} where there is no such file. Raises UserError for a damaged one."""
        value = self.read_json(name)
        if value is not None and not isinstance(value, dict):
            raise self._damage(name, "it does not hold an object")
        return value or {}

    def write_bytes(self, name: str, *parts: Bytes) -> None:
        """Writes a file so that it is either whole or as it was before. Raises UserError where it cannot be written."""
        with self._writing(name):
            os.replace(self._write_beside(name, *parts), self.file(name))
            self._flush(self.file(name).parent)

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file as `write_bytes` does; infinities and NaN as Python's json spells them."""
        self.write_bytes(name, json.dumps(value, indent=2).encode() + b"\n")

    @contextmanager
    def alone(self, name: str, seconds: float = -1, busy: str = "") -> Iterator[None]:
        """Runs the block while no other process runs one of this name.

        Waits so many seconds for that, without limit if negative, and then raises UserError with the text `busy`. The
        system releases the lock when the process ends, however it ends.
        """
        with self._writing(name):
            lock = filelock.FileLock(self.file(name), timeout=seconds, thread_local=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise UserError(busy) from None
        try:
            yield
        finally:
            lock.release()

    def _write_beside(self, name: str, *parts: Bytes) -> Path:
        path = self.file(name)
        # Never the folder itself: if that was deleted, nothing may begin anew in its place.
        if path.parent != self.path.resolve():
            path.parent.mkdir(exist_ok=True)
        beside = self.file(f"{name}.part")
        with open(beside, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        return beside

    @staticmethod
    def _flush(path: Path) -> None:
        # A rename is on the disk only once its folder is; Windows can neither open a folder nor needs it.
        if os.name == "posix":
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _damage(self, name: str, problem: str) -> UserError:
        return UserError(f"{self.path / name} is damaged: {problem}")

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {self.path / name}: {error.strerror or error}; what was written before is as it was"
            ) from error
