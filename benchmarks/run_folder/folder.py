"""Keeps all that is known of a run in one folder, readable after a kill at any moment.

`runs/<variant>-<dataset>-s<seed>-<key8>/` holds

    config.json              the config, its key, and an id that tells a repetition from the run that it replaced
    metrics.jsonl            one line an epoch: {"epoch": 3, "curves": {…}, "metrics": {…}, "timing": {…}}
    status.json              RUNNING, FINISHED, FAILED (by a loss that is not finite) or KILLED (by anything else), with
                             the epoch and the cause
    environment.json         device, threads, versions, code: recorded, but not part of the key
    reference.json, facts.json            the metrics of real data; parameter counts, metrics that were not measured
    here.json, mlflow.json                of this machine alone: the folder of the data; the uploads to MLflow
    checkpoint.safetensors                the last whole state of training, and checkpoint-previous.safetensors
    generator.safetensors                 the result
    samples/epoch_010.png, …              pictures
    probes/gradient_epoch_010.json, …     files that probes left; their figures stand in the journal

A line of the journal counts once its line end is on the disk. Wall-clock figures stand under `timing` and nowhere else.

A run folder may come from a stranger: everything that is read is checked as in `files.Folder`.
"""

import json
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_origin

import filelock
from torch import Tensor

from benchmarks.config import PROTOCOL_VERSION, RunConfig
from benchmarks.run_folder.files import Folder
from benchmarks.run_folder.journal import check_figures, check_line, decode_lines, encode_line, find_whole_part
from benchmarks.run_folder.tensors import JSON_LIMIT, pack, unpack
from variants.recipe import UserError, shown

STATES = ("NONE", "RUNNING", "FINISHED", "FAILED", "KILLED")
# The states of runs that ended and count. The same command resumes any other run.
ENDED = ("FINISHED", "FAILED")
CONFIG, JOURNAL, STATUS, ENVIRONMENT = "config.json", "metrics.jsonl", "status.json", "environment.json"
REFERENCE, FACTS = "reference.json", "facts.json"
HERE = "here.json"
# In the facts: metrics that could not be measured, and why; and which real examples stand for samples in the reference.
ABSENT, ABSENT_REFERENCE, REAL_DATA = "absent", "absent_reference", "real_data"
CHECKPOINT, PREVIOUS, DAMAGED = (f"checkpoint{end}.safetensors" for end in ("", "-previous", "-damaged"))
GENERATOR = "generator.safetensors"
SAMPLES_FOLDER, PROBES_FOLDER = "samples", "probes"
LOCK = ".lock"
# Recorded cause when a process died without writing one.
CAUSE_UNKNOWN = "the process ended without recording a cause"
# The cause of every run that training itself ended, as `training.loop.Diverged` words it.
_DIVERGED = re.compile(r"\S+ is (?:nan|-?inf) in epoch \d+")

# Chosen, not tuned: far above what any run writes, far below what would fill a memory.
_JOURNAL_LIMIT = 256 * 2**20
_TENSORS_LIMIT = 4 * 2**30

# A reader that only asks whether the folder is in use holds the lock for an instant; a writer waits that long.
_LOCK_SECONDS = 1.0


class RunFolder(Folder):
    """Represents one run on disk. Any number of processes may read it; only the one that holds `lock()` writes it."""

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @staticmethod
    def create(runs_dir: Path | str, config: RunConfig, prefix: str = "") -> "RunFolder":
        """Opens the folder of a config, or makes it. Raises UserError where another run has its name.

        prefix: hexadecimal digits with which the id of a new folder begins.
        """
        if Path(config.name).name != config.name:
            raise UserError(f"{config.name!r} cannot be the name of a run folder")
        folder = RunFolder(Path(runs_dir) / config.name)
        folder.make()
        if folder.read_json(CONFIG) is None:
            # Two processes may run the same command: only one of them gives the folder its id.
            with folder.alone(f".config{LOCK}"):
                if folder.read_json(CONFIG) is None:
                    folder._write_config(config, prefix)
        if folder.config().key != config.key:
            raise UserError(f"{folder.path} already holds another run; move it away, or choose another --runs-dir")
        return folder

    def _write_config(self, config: RunConfig, prefix: str = "") -> None:
        id_ = prefix + secrets.token_hex(8)[len(prefix) :]
        self.write_json(CONFIG, {"config": config.as_dict(), "key": config.key, "id": id_})

    # -- config, environment, facts

    def config(self) -> RunConfig:
        """Returns the config. Raises UserError where there is none, or where its key does not fit it."""
        written = self.read_json(CONFIG)
        if written is None:
            raise UserError(f"{self.path} is not a run folder: it has no {CONFIG}")
        values = written.get("config") if isinstance(written, dict) else None
        parts = (values, values.get("recipe"), values.get("dataset")) if isinstance(values, dict) else (None,)
        if not all(isinstance(part, dict) for part in parts):
            raise self._damage(CONFIG, "it does not hold the config of a run")
        try:
            config = RunConfig.from_dict(values)
        except (UserError, OverflowError) as error:
            raise self._damage(CONFIG, str(error)) from None
        for settings in (config, config.dataset):
            for f in fields(settings):
                value = getattr(settings, f.name)
                # A bool is an int to Python.
                if not isinstance(value, get_origin(f.type) or f.type) or isinstance(value, bool) != (f.type is bool):
                    raise self._damage(CONFIG, f"{f.name} is {shown(value)}")
        if config.key != written.get("key"):
            raise self._damage(CONFIG, "its key does not fit its config, so it was changed by hand")
        return config

    @property
    def id(self) -> str:
        """Returns the random id, equal for all copies of the folder; a repetition of the run has another one."""
        written = self.read_json(CONFIG)
        id_ = written.get("id") if isinstance(written, dict) else None
        if not isinstance(id_, str) or not re.fullmatch(r"[0-9a-f]{16}", id_):
            raise self._damage(CONFIG, "it has no id")
        return id_

    def environment(self) -> dict[str, Any]:
        return self.read_object(ENVIRONMENT)

    def notes(self) -> list[str]:
        """Returns notes for readers of the run, such as that other data took the place of those asked for."""
        notes = self.environment().get("notes")
        return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        self.write_json(ENVIRONMENT, environment)

    @property
    def protocol_version(self) -> int:
        """Returns the version of the protocol by which the run was measured."""
        version = self.environment().get("protocol_version", 1)
        return version if isinstance(version, int) else 1

    def reference(self) -> dict[str, float]:
        """Returns the metrics of real data under the same protocol, by name.

        Returns {} for a run that was measured by an earlier version of the protocol, which took other examples.
        """
        if self.protocol_version < PROTOCOL_VERSION:
            return {}
        return check_figures(self.read_object(REFERENCE), partial(self._damage, REFERENCE))

    def facts(self) -> dict[str, Any]:
        return self.read_object(FACTS)

    def real_data(self) -> str:
        """Returns which real examples stand for samples in the metrics of real data; "" where that is not recorded."""
        examples = self.facts().get(REAL_DATA)
        return examples if isinstance(examples, str) else ""

    def absent(self, which: str = ABSENT) -> dict[str, str]:
        """Returns the metrics that the last evaluation (ABSENT) or the reference could not measure, and why."""
        absent = self.facts().get(which)
        pairs = absent.items() if isinstance(absent, dict) else ()
        return {name: reason for name, reason in pairs if isinstance(reason, str)}

    # -- status

    def status(self) -> dict[str, Any]:
        """Returns {"state": one of STATES, "epoch": …, "cause": …, …}.

        A run that is RUNNING in the file while no process holds its lock was killed without a chance to record it: it
        is KILLED. So is a run that is FAILED in the file by anything but a loss that is not finite, as older ones are
        that the machine or a bug ended; its cause stays.
        """
        status = self.read_object(STATUS) or {"state": "NONE"}
        if status.get("state") not in STATES:
            raise self._damage(STATUS, f"its state is {shown(status.get('state'))}")
        if status["state"] == "RUNNING" and not self.in_use():
            return {"cause": CAUSE_UNKNOWN, **status, "state": "KILLED"}
        return {**status, "state": resolve_state(status["state"], status.get("cause"))}

    def set_status(self, state: str, **detail: Any) -> None:
        if state not in STATES:
            raise ValueError(f"unknown state {state!r}")
        self.write_json(STATUS, {"state": state, **detail})

    # -- the journal

    def append(self, line: Mapping[str, Any]) -> None:
        """Appends one line, and returns once it is on the disk. Raises ValueError for an epoch that does not rise."""
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
        """Returns every whole line, its figures as floats, without a torn last one.

        Raises UserError where anything but the last line is damaged.
        """
        return decode_lines(self.read_bytes(JOURNAL, _JOURNAL_LIMIT) or b"", partial(self._damage, JOURNAL))

    def truncate(self, epoch: int) -> None:
        """Removes the lines after an epoch, and a torn one; a run that resumes writes them again."""
        kept = [line for line in self.lines() if line["epoch"] <= epoch]
        self.write_bytes(JOURNAL, b"".join(map(encode_line, kept)))

    # -- weights and checkpoints

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Writes tensors and a JSON state as one safetensors file with a checksum over both."""
        self.write_bytes(name, *pack(tensors, state))

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Returns the tensors, on the CPU, and the state; None where there is no file. Raises UserError for damage."""
        data = self.read_bytes(name, _TENSORS_LIMIT)
        return None if data is None else unpack(data, partial(self._damage, name))

    def save_checkpoint(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any], epoch: int) -> None:
        """Writes the state of training after an epoch, and keeps the checkpoint before it."""
        packed = pack(tensors, {**state, "epoch": epoch})
        with self._writing(CHECKPOINT):
            beside = self._write_beside(CHECKPOINT, *packed)
            if self.file(CHECKPOINT).exists():
                os.replace(self.file(CHECKPOINT), self.file(PREVIOUS))
            os.replace(beside, self.file(CHECKPOINT))
            self._flush(self.path)

    def load_checkpoint(
        self, say: Callable[[str], None] = warnings.warn
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Returns the newest whole checkpoint, with its `epoch` in the state, or None.

        Renames a damaged one to checkpoint-damaged.safetensors, tells `say`, and returns the one before it.
        """
        for name in (CHECKPOINT, PREVIOUS):
            try:
                if (checkpoint := self.load_tensors(name)) is not None:
                    return checkpoint
            except UserError as refused:
                with self._writing(DAMAGED):
                    os.replace(self.path / name, self.path / DAMAGED)
                say(f"{refused}; it is set aside as {DAMAGED}, and training resumes from the checkpoint before it")
        return None

    def remove_checkpoints(self, *, keep_last: bool = False) -> None:
        """Removes the checkpoints of a finished run, or all but the last, as far as the system lets it."""
        for name in (PREVIOUS,) if keep_last else (CHECKPOINT, PREVIOUS):
            with suppress(OSError):
                (self.path / name).unlink(missing_ok=True)

    def checkpoint_epoch(self) -> int | None:
        """Returns the epoch of the newest checkpoint, from its header alone; None where none can be read."""
        for name in (CHECKPOINT, PREVIOUS):
            damage = (OSError, UserError, ValueError, KeyError, TypeError, RecursionError)
            with suppress(*damage), open(self.file(name), "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length <= JSON_LIMIT:
                    epoch = json.loads(json.loads(file.read(length))["__metadata__"]["state"])["epoch"]
                    if isinstance(epoch, int):
                        return epoch
        return None

    # -- pictures

    @staticmethod
    def picture_name(epoch: int) -> str:
        return f"{SAMPLES_FOLDER}/epoch_{epoch:03d}.png"

    def pictures(self) -> dict[int, Path]:
        """Returns the sample pictures by epoch, in order."""
        found = {}
        with suppress(UserError, OSError):
            for path in self.file(SAMPLES_FOLDER).iterdir():
                if (match := re.fullmatch(r"epoch_(\d{3,9})\.png", path.name)) and not path.is_symlink():
                    found[int(match[1])] = path
        return dict(sorted(found.items()))

    # -- one writer

    def lock(self) -> AbstractContextManager[None]:
        """Holds the folder for a block that trains into it. Raises UserError where another process does."""
        busy = f"another process is training into {self.path}; wait for it, or stop it, and try again"
        return self.alone(LOCK, _LOCK_SECONDS, busy)

    def in_use(self) -> bool:
        """Tells whether a process holds the lock; False where nobody can tell, as on another machine."""
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
        """Removes everything that training wrote, and gives the folder a new id, so that the run can be repeated."""
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


def resolve_state(state: str, cause: Any) -> str:
    """Returns FAILED only for a run that training itself ended; one that anything else ended is KILLED."""
    by_training = isinstance(cause, str) and _DIVERGED.fullmatch(cause)
    return "KILLED" if state == "FAILED" and not by_training else state


def list_run_folders(runs_dir: Path | str) -> list[RunFolder]:
    """Returns the run folders directly under a folder, by name; follows no links. Raises UserError if unreadable."""
    try:
        paths = sorted(p for p in Path(runs_dir).iterdir() if p.is_dir() and not p.is_symlink())
    except OSError as error:
        raise UserError(f"cannot read the runs in {runs_dir}: {error.strerror or error}") from None
    return [RunFolder(path) for path in paths if (path / CONFIG).exists()]
