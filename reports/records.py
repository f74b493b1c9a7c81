"""The records of a report's runs as one archive, so that a published report carries its evidence.

Unpacked, it is a folder of runs: `reports.build` makes the same report from it, `benchmarks.sync` sends it to MLflow to
be looked at there, and `benchmarks.suite` counts its runs as done. Weights, checkpoints and the pictures that no page
shows are left out, which are nearly all of a run's size; the others are kept as they are shown. Where a person's own
images lie on a machine is left out as well.
"""

import io
import json
import lzma
import shlex
import tarfile
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from benchmarks.config import FOLDER
from benchmarks.run_folder.folder import CONFIG, ENVIRONMENT, FACTS, JOURNAL, REFERENCE, STATUS, RunFolder
from benchmarks.suites.plan_history import PLANS
from reports.figures import compact_picture
from reports.figures.illustrations import SAMPLE_COLORS
from reports.reading.runs import RunRecord
from variants.recipe import UserError

RECORDS = "runs.tar.xz"
_KEPT = (CONFIG, STATUS, ENVIRONMENT, REFERENCE, FACTS, JOURNAL)


def pack_records(runs_dir: Path | str, runs: Iterable[RunRecord], shown: Container[str], top: str) -> bytes:
    """The archive, the same bytes for the same records.

    runs: they lie in runs_dir. shown: the ids of runs whose last picture is kept. top: the folder that all is
    in. Raises UserError where one does not, and where a record cannot be read.
    """
    kept = io.BytesIO()
    # What is not asked for here depends on the machine: owners, dates and rights are the same for every file.
    with tarfile.open(fileobj=kept, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in _files(Path(runs_dir), runs, shown):
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return lzma.compress(kept.getvalue(), preset=9)


def _files(runs_dir: Path, runs: Iterable[RunRecord], shown: Container[str]) -> Iterator[tuple[str, bytes]]:
    folder = RunFolder(runs_dir / PLANS)
    for path in sorted((runs_dir / PLANS).glob("*.json")):
        yield f"{PLANS}/{path.name}", folder.read_bytes(path.name) or b""
    for run in sorted(runs, key=lambda run: run.id):
        folder = RunFolder(runs_dir / run.id)
        picture = (folder.picture_name(run.pictured),) if run.id in shown and run.pictured else ()
        for name in (*_KEPT, *picture):
            if (data := folder.read_bytes(name, limit=2**28)) is not None:
                yield f"{run.id}/{name}", as_displayed(data) if name in picture else remove_path(name, data)
            elif name == CONFIG:
                raise UserError(f"{run.id} is not in {runs_dir}, so its records cannot be kept")


def remove_path(name: str, data: bytes) -> bytes:
    """A file of a run's record without the path of a folder of images, of which the last part is left."""
    values = json.loads(data) if name in (CONFIG, ENVIRONMENT) and FOLDER.encode() in data else {}
    if name == CONFIG and values:
        values["config"]["dataset"].pop("path", None)
    elif isinstance(command := values.get("command"), str):
        try:
            words = shlex.split(command)
        except ValueError:  # it was changed by hand
            words = []
        values["command"] = shlex.join(FOLDER + Path(w).name if w.startswith(FOLDER) else w for w in words)
    return json.dumps(values, indent=2).encode() + b"\n" if values else data


def as_displayed(picture: bytes) -> bytes:
    """A sample picture as a page shows it, which is half as large; as it is where that would not make the same page."""
    shown = compact_picture(picture, SAMPLE_COLORS)
    return shown if shown and compact_picture(shown, SAMPLE_COLORS) == shown else picture
