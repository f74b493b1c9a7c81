"""Packs the records of a report's runs into one archive, so that a published report carries its evidence.

The unpacked archive is a folder of runs: `reports.build` makes the same report from it, `benchmarks.sync` sends it to
MLflow, and `benchmarks.suite` counts its runs as done. Weights, checkpoints and pictures that no page shows, nearly all
of a run's size, are left out; other pictures are kept as the page shows them. The path of a person's own images is left
out as well.
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
    """Returns the archive, the same bytes for the same records.

    runs: the runs to keep, all of them in runs_dir. shown: ids of the runs whose last picture is kept. top: the folder
    inside the archive. Raises UserError for a run that is not in runs_dir, and for a record that cannot be read.
    """
    kept = io.BytesIO()
    # Owners, dates and rights depend on the machine, and are left at their defaults.
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
    """Returns a file of a run's record with the last part only of the path of a folder of images."""
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
    """Returns a sample picture as a page shows it, half as large; unchanged where that would change the page."""
    shown = compact_picture(picture, SAMPLE_COLORS)
    return shown if shown and compact_picture(shown, SAMPLE_COLORS) == shown else picture
