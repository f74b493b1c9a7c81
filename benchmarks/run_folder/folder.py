"""The run folder: all that is known of a run, on disk, readable after a kill at any moment.

`runs/<variant>-<dataset>-s<seed>-<key8>/` holds

    config.json              what was run, its key, and an id that tells a repetition from what it replaced
    metrics.jsonl            one line an epoch: {"epoch": 3, "curves": {…}, "metrics": {…}, "timing": {…}}
    status.json              RUNNING, FINISHED, FAILED (by a loss that is not finite) or KILLED (by anything else), with
                             the epoch and the cause
    environment.json         device, threads, versions, code: what is recorded but is not part of the key
    reference.json, facts.json            the metrics of real data; parameter counts, what could not be measured
    here.json, mlflow.json                the folder of its data; what MLflow has of it: of this machine, sent nowhere
    checkpoint.safetensors                the last whole state of training, and checkpoint-previous.safetensors
    generator.safetensors                 the result
    samples/epoch_010.png, …              pictures
    probes/gradient_epoch_010.json, …     what probes left, besides their figures in the journal

Files are written beside, flushed to the disk and renamed, so that each is either whole or absent; the journal is
appended to, and a line counts once its line end is on the disk. Wall-clock figures stand under `timing` and nowhere
else. Infinities and NaN are kept as Python's json writes them.

A run folder may come from a stranger. Reading one runs no code, follows no link, leaves the folder by no name, and
refuses what is damaged or larger than any run makes it, with one sentence.
"""

import json
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin

import filelock
from torch import Tensor

from benchmarks.config import PROTOCOL_VERSION, RunConfig
from benchmarks.run_folder.journal import check_figures, check_line, encode_line, find_whole_part, parse_json
from benchmarks.run_folder.tensors import HEADER_LIMIT, Bytes, pack, unpack
from variants.recipe import UserError, shown

STATES = ("NONE", "RUNNING", "FINISHED", "FAILED", "KILLED")
# The states of runs that ended and count. Any other run is trained on by the same command.
ENDED = ("FINISHED", "FAILED")
CONFIG, JOURNAL, STATUS, ENVIRONMENT = "config.json", "metrics.jsonl", "status.json", "environment.json"
REFERENCE, FACTS = "reference.json", "facts.json"
HERE = "here.json"
ABSENT, ABSENT_REFERENCE = "absent", "absent_reference"  # in the facts: metrics that could not be measured, and why
REAL_DATA = "real_data"  # in the facts: which real examples stand for samples in the reference
CHECKPOINT, PREVIOUS, DAMAGED = (f"checkpoint{end}.safetensors" for end in ("", "-previous", "-damaged"))
GENERATOR = "generator.safetensors"
SAMPLES, PROBES = "samples", "probes"
LOCK = ".lock"
# The cause of a run that had no chance to tell one.
CAUSE_UNKNOWN = "the process ended without a word"
# What training itself can do to a run: the cause of every failure, as `training.loop.Diverged` words it.
_DIVERGED = re.compile(r"\S+ is (?:nan|-?inf) in epoch \d+")

# Chosen, not tuned: far above what any run writes, far below what would fill a memory.
_JOURNAL_LIMIT = 256 * 2**20
_TENSORS_LIMIT = 4 * 2**30

# A reader that only asks whether the folder is in use holds the lock for an instant; a writer waits that long.
_LOCK_SECONDS = 1.0


class RunFolder:
    """One run on disk. Any number of processes may read it; the one that holds `lock()` writes it."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @staticmethod
    def create(runs_dir: Path | str, config: RunConfig, prefix: str = "") -> "RunFolder":
        """The folder of this config, made where there is none. Raises UserError where another run has its name.

        prefix: hexadecimal digits that the id of a new folder begins with, by which others know it.
        """
        if Path(config.name).name != config.name:
            raise UserError(f"{config.name!r} cannot be the name of a run folder")
        folder = RunFolder(Path(runs_dir) / config.name)
        folder.make()
        if folder.read_json(CONFIG) is None:
            # The same command may have been given twice at once: one of them gives the folder its id.
            with folder.alone(f".config{LOCK}"):
                if folder.read_json(CONFIG) is None:
                    folder._write_config(config, prefix)
        if folder.config().key != config.key:
            raise UserError(f"{folder.path} already holds another run; move it away, or choose another --runs-dir")
        return folder

    def make(self) -> None:
        """Makes the folder where there is none. Raises UserError where it cannot be made."""
        with self._writing(""):
            self.path.mkdir(parents=True, exist_ok=True)

    def _write_config(self, config: RunConfig, prefix: str = "") -> None:
        id_ = prefix + secrets.token_hex(8)[len(prefix) :]
        self.write_json(CONFIG, {"config": config.as_dict(), "key": config.key, "id": id_})

    # -- what the run is

    def config(self) -> RunConfig:
        """What was run. Raises UserError where there is none, or where its key no longer fits it."""
        written = self.read_json(CONFIG)
        if written is None:
            raise UserError(f"{self.path} is not a run folder: it has no {CONFIG}")
        values = written.get("config") if isinstance(written, dict) else None
        parts = (values, values.get("recipe"), values.get("dataset")) if isinstance(values, dict) else (None,)
        if not all(isinstance(part, dict) for part in parts):
            raise self._damaged(CONFIG, "it does not hold the config of a run")
        try:
            config = RunConfig.from_dict(values)
        except (UserError, OverflowError) as error:
            raise self._damaged(CONFIG, str(error)) from None
        for settings in (config, config.dataset):
            for f in fields(settings):
                value = getattr(settings, f.name)
                # To Python, though not to a reader, True is a whole number.
                if not isinstance(value, get_origin(f.type) or f.type) or isinstance(value, bool) != (f.type is bool):
                    raise self._damaged(CONFIG, f"{f.name} is {shown(value)}")
        if config.key != written.get("key"):
            raise self._damaged(CONFIG, "its key does not fit its config, so it was changed by hand")
        return config

    @property
    def id(self) -> str:
        """Random, made with the folder: the same for every copy of it, another once the run is done again."""
        written = self.read_json(CONFIG)
        id_ = written.get("id") if isinstance(written, dict) else None
        if not isinstance(id_, str) or not re.fullmatch(r"[0-9a-f]{16}", id_):
            raise self._damaged(CONFIG, "it has no id")
        return id_

    def environment(self) -> dict[str, Any]:
        return self._read_dict(ENVIRONMENT)

    def notes(self) -> list[str]:
        """What a reader of the run has to know, such as that other data took the place of what was asked for."""
        notes = self.environment().get("notes")
        return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        self.write_json(ENVIRONMENT, environment)

    @property
    def protocol_version(self) -> int:
        """By which version of the protocol the run was measured."""
        version = self.environment().get("protocol_version", 1)
        return version if isinstance(version, int) else 1

    def reference(self) -> dict[str, float]:
        """The metrics' values on real data under the same protocol, by the name of the metric.

        Empty for a run that was measured by an earlier version of the protocol, which took other examples.
        """
        if self.protocol_version < PROTOCOL_VERSION:
            return {}
        return check_figures(self._read_dict(REFERENCE), lambda problem: self._damaged(REFERENCE, problem))

    def facts(self) -> dict[str, Any]:
        return self._read_dict(FACTS)

    def real_data(self) -> str:
        """Which real examples stand for samples where the metrics of real data are measured; "" where none is told."""
        told = self.facts().get(REAL_DATA)
        return told if isinstance(told, str) else ""

    def absent(self, which: str = ABSENT) -> dict[str, str]:
        """Metrics that the last evaluation, or that of real data (ABSENT_REFERENCE), could not measure, and why."""
        absent = self.facts().get(which)
        pairs = absent.items() if isinstance(absent, dict) else ()
        return {name: reason for name, reason in pairs if isinstance(reason, str)}

    # -- how far it is

    def status(self) -> dict[str, Any]:
        """{"state": one of STATES, "epoch": …, "cause": …, …}.

        A run that calls itself RUNNING while no process holds its lock was killed without a chance to say so, and
        reads as KILLED. So does a run that calls itself FAILED by anything but a loss that is not finite, as older
        ones do where the machine or a bug ended them: its cause stays.
        """
        status = self._read_dict(STATUS) or {"state": "NONE"}
        if status.get("state") not in STATES:
            raise self._damaged(STATUS, f"its state is {shown(status.get('state'))}")
        if status["state"] == "RUNNING" and not self.in_use():
            return {"cause": CAUSE_UNKNOWN, **status, "state": "KILLED"}
        return {**status, "state": resolve_state(status["state"], status.get("cause"))}

    def set_status(self, state: str, **detail: Any) -> None:
        if state not in STATES:
            raise ValueError(f"unknown state {state!r}")
        self.write_json(STATUS, {"state": state, **detail})

    # -- the journal

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds one line to the journal and returns once it is on the disk. Epochs only ever rise."""
        with self._writing(JOURNAL):
            path = self.file(JOURNAL)
            with open(path, "r+b" if path.exists() else "x+b") as file:
                whole, last_epoch = find_whole_part(file.read())
                checked = check_line(line, last_epoch + 1, lambda p: ValueError(f"not a line of the journal: {p}"))
                file.seek(whole)
                file.truncate()
                file.write(encode_line(checked))
                file.flush()
                os.fsync(file.fileno())

    def lines(self) -> list[dict[str, Any]]:
        """Every whole line of the journal, its figures as floats; a torn last one is dropped.

        Raises UserError where anything but the last line is damaged.
        """
        data = self._read(JOURNAL, _JOURNAL_LIMIT) or b""
        lines: list[dict[str, Any]] = []
        for number, text in enumerate(data[: find_whole_part(data)[0]].split(b"\n")[:-1], start=1):

            def damaged(problem: str, number: int = number) -> UserError:
                return self._damaged(JOURNAL, f"line {number}: {problem}")

            last = lines[-1]["epoch"] if lines else -1
            lines.append(check_line(parse_json(text, damaged), last + 1, damaged))
        return lines

    def truncate(self, epoch: int) -> None:
        """Cuts the journal's lines after this epoch, and a torn one; what is cut is made again on resuming."""
        kept = [line for line in self.lines() if line["epoch"] <= epoch]
        self.write_bytes(JOURNAL, b"".join(map(encode_line, kept)))

    # -- weights and checkpoints

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Writes tensors and a JSON state as one safetensors file with a checksum over both."""
        self.write_bytes(name, *pack(tensors, state))

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors, on the CPU, and the state; None where there is no such file. Raises UserError for damage."""
        data = self._read(name, _TENSORS_LIMIT)
        return None if data is None else unpack(data, lambda problem: self._damaged(name, problem))

    def save_checkpoint(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any], epoch: int) -> None:
        """Writes the state of training after an epoch. The checkpoint before it is kept."""
        packed = pack(tensors, {**state, "epoch": epoch})
        with self._writing(CHECKPOINT):
            beside = self._write_beside(CHECKPOINT, *packed)
            if self.file(CHECKPOINT).exists():
                os.replace(self.file(CHECKPOINT), self.file(PREVIOUS))
            os.replace(beside, self.file(CHECKPOINT))
            _flush_folder(self.path)

    def load_checkpoint(
        self, say: Callable[[str], None] = warnings.warn
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest whole checkpoint, its `epoch` in the state, or None.

        A damaged one is set aside as checkpoint-damaged.safetensors, which `say` is told, and the one before it used.
        """
        for name in (CHECKPOINT, PREVIOUS):
            try:
                if (checkpoint := self.load_tensors(name)) is not None:
                    return checkpoint
            except UserError as refused:
                with self._writing(DAMAGED):
                    os.replace(self.path / name, self.path / DAMAGED)
                say(f"{refused}; it is set aside as {DAMAGED}, and training goes on from before it")
        return None

    def checkpoint_epoch(self) -> int | None:
        """The epoch that the newest checkpoint covers, read from its header alone; None where none can be read."""
        for name in (CHECKPOINT, PREVIOUS):
            damage = (OSError, UserError, ValueError, KeyError, TypeError, RecursionError)
            with suppress(*damage), open(self.file(name), "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length <= HEADER_LIMIT:
                    epoch = json.loads(json.loads(file.read(length))["__metadata__"]["state"])["epoch"]
                    if isinstance(epoch, int):
                        return epoch
        return None

    # -- pictures

    @staticmethod
    def picture_name(epoch: int) -> str:
        return f"{SAMPLES}/epoch_{epoch:03d}.png"

    def pictures(self) -> dict[int, Path]:
        """The sample pictures by their epoch, in its order."""
        found = {}
        with suppress(UserError, OSError):
            for path in self.file(SAMPLES).iterdir():
                if (match := re.fullmatch(r"epoch_(\d{3,9})\.png", path.name)) and not path.is_symlink():
                    found[int(match[1])] = path
        return dict(sorted(found.items()))

    # -- one writer

    @contextmanager
    def lock(self) -> Iterator[None]:
        """While the block runs, this process alone trains into the folder. Raises UserError where another one does.

        The system lets go of the lock when the process ends, however it ends.
        """
        with self._writing(LOCK):
            lock = filelock.FileLock(self.file(LOCK), timeout=_LOCK_SECONDS, thread_local=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise UserError(
                    f"another process is training into {self.path}; wait for it, or stop it, and try again"
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """While the block runs, no other process is in one of this name. Waits for it."""
        with self._writing(name):
            lock = filelock.FileLock(self.file(name), thread_local=False)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def in_use(self) -> bool:
        """Whether some process holds the lock. False where that cannot be found out, as on another machine."""
        if not (self.path / LOCK).is_file():
            return False
        try:
            with filelock.FileLock(self.file(LOCK), timeout=0, thread_local=False):
                return False
        except filelock.Timeout:
            return True
        except OSError:
            return False

    def clear(self) -> None:
        """Removes what training wrote, and gives the folder a new id, so that the run can be done again."""
        config = self.config()
        with self._writing("its files"):
            # In this order, so that a kill in between never leaves old results that pass for new ones.
            self.file(STATUS).unlink(missing_ok=True)
            self._write_config(config)
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != CONFIG and not path.name.endswith(LOCK):
                    path.unlink()

    # -- files

    def file(self, name: str) -> Path:
        """The path of a file here. Raises UserError for a name that leads elsewhere, by `..`, root or link."""
        path = self.path.resolve() / name
        inside = False
        with suppress(OSError, RuntimeError, ValueError):  # a circle of links; a zero byte in a name
            inside = path.resolve() == path and self.path.resolve() in path.parents
        if not inside:
            raise UserError(f"{name!r} in {self.path} leads out of the run folder or through a link, so it is not read")
        return path

    def read_json(self, name: str) -> Any:
        """The value in a JSON file, or None where there is no such file. Raises UserError for a damaged one."""
        data = self._read(name, HEADER_LIMIT)
        return None if data is None else parse_json(data, lambda problem: self._damaged(name, problem))

    def write_json(self, name: str, value: Any) -> None:
        self.write_bytes(name, json.dumps(value, indent=2).encode() + b"\n")

    def read_bytes(self, name: str, limit: int = HEADER_LIMIT) -> bytes | None:
        """A file's content, or None where there is no such file. Raises UserError above the limit, in bytes."""
        return self._read(name, limit)

    def write_bytes(self, name: str, *parts: Bytes) -> None:
        """Writes a file so that it is either whole or as it was before. Raises UserError where it cannot be written."""
        with self._writing(name):
            os.replace(self._write_beside(name, *parts), self.file(name))
            _flush_folder(self.file(name).parent)

    def _write_beside(self, name: str, *parts: Bytes) -> Path:
        path = self.file(name)
        # Never the run folder itself: if that was deleted, nothing may begin anew in its place.
        if path.parent != self.path.resolve():
            path.parent.mkdir(exist_ok=True)
        beside = self.file(f"{name}.part")
        with open(beside, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        return beside

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            path = self.file(name)
            if not path.exists():
                return None
            # A pipe or a device would be waited for, perhaps for ever.
            if not path.is_file():
                raise self._damaged(name, "it is not a plain file")
            if path.stat().st_size > limit:
                raise self._damaged(name, f"it is larger than {limit // 2**20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {self.path / name}: {error.strerror or error}") from None

    def _read_dict(self, name: str) -> dict[str, Any]:
        value = self.read_json(name)
        if value is not None and not isinstance(value, dict):
            raise self._damaged(name, "it does not hold an object")
        return value or {}

    def _damaged(self, name: str, problem: str) -> UserError:
        return UserError(f"{self.path / name} is damaged: {problem}")

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {self.path / name}: {error.strerror or error}; what was written before is as it was"
            ) from error


def resolve_state(state: str, cause: Any) -> str:
    """Gives the state that a run is in: FAILED only by what training itself did, else KILLED, which is not ended."""
    by_training = isinstance(cause, str) and _DIVERGED.fullmatch(cause)
    return "KILLED" if state == "FAILED" and not by_training else state


def list_run_folders(runs_dir: Path | str) -> list[RunFolder]:
    """The run folders directly under a folder, by name; follows no links. Raises UserError if it cannot be read."""
    try:
        paths = sorted(p for p in Path(runs_dir).iterdir() if p.is_dir() and not p.is_symlink())
    except OSError as error:
        raise UserError(f"cannot read the runs in {runs_dir}: {error.strerror or error}") from None
    return [RunFolder(path) for path in paths if (path / CONFIG).exists()]


def _flush_folder(path: Path) -> None:
    # A rename is on the disk only once its folder is; Windows can neither open a folder nor needs it.
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
