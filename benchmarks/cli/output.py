"""Writes the file that a command was asked for, and refuses before the work a file that cannot be written."""

import errno
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from variants.recipe import UserError


def refuse_unwritable(file: Path, advice: str = "") -> None:
    """Raises UserError for a file that cannot be written, before the hours of work whose result it is to hold.

    Makes nothing: missing folders are made once there is something to write. advice: what to do instead.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_special(file):
            with NamedTemporaryFile(dir=next(parent for parent in file.absolute().parents if parent.exists())):
                pass
    except OSError as error:
        raise _unwritable(file, error, advice) from None


def refuse_existing(*paths: Path) -> None:
    """Raises UserError for a file or folder that is to be written, and that exists or cannot be made."""
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UserError(f"cannot write {path}: it exists already; remove it, or choose another name")
        refuse_unwritable(path)


def write_output(file: Path, text: str, advice: str = "") -> None:
    """Writes a text file in one step, so that it is whole at any time, and the folders that it needs.

    Writes straight into a pipe or a device. Raises UserError where it cannot be written.
    """
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        if _is_special(file):
            file.write_text(text, encoding="utf-8")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, error, advice) from None


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file()


def _unwritable(file: Path, error: OSError, advice: str) -> UserError:
    return UserError(f"cannot write {file}: {error.strerror or error}" + (f"; {advice}" if advice else ""))
