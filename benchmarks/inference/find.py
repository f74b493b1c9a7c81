"""Finds a run by its folder, its name, or its id in MLflow."""

import difflib
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from benchmarks.inference.run import Run
from benchmarks.run_folder.folder import CONFIG, RunFolder
from variants import UserError


def load_run(path: Path | str) -> Run:
    """Returns the run in a folder. Raises UserError if there is none."""
    run = Run(RunFolder(path))
    run.config  # noqa: B018  (a folder that holds no run is refused now, not at the first use)
    return run


def find_run(
    text: str, runs_dir: Path | str = "runs", tracking_uri: str | None = None, experiment: str | None = None
) -> Run:
    """Returns the run of that folder, of that name under runs_dir, or of that name or id in MLflow.

    Downloads a run that only MLflow has into a temporary folder, which lives as long as the Run. Raises UserError if
    there is none, with the nearest name.
    """
    if "/" in text or os.sep in text:
        return load_run(text)
    for path in (Path(runs_dir) / text, Path(text)):
        if (path / CONFIG).is_file():
            return load_run(path)
    from benchmarks.tracking.client import redact_uri, resolve_uri
    from benchmarks.tracking.download import fetch_run, list_runs

    uri = resolve_uri(tracking_uri)
    here = [path.parent.name for path in Path(runs_dir).glob(f"*/{CONFIG}")]
    try:
        listed = list_runs(uri, experiment)
    except UserError as refused:
        raise UserError(f"there is no run {text!r} in {runs_dir}{_nearest(text, here)}, and {refused}") from None
    found = [run for run in listed if text in (run.run_id, run.tags.get("folder"))]
    if not found:
        names = [*here, *(run.tags.get("folder", "") for run in listed)]
        raise UserError(
            f"there is no run {text!r} in {runs_dir} or in MLflow at {redact_uri(uri)}{_nearest(text, names)}"
        )
    # Several runs may bear one name: the last of them, unless an id was asked for.
    chosen = min(found, key=lambda run: (run.run_id != text, "superseded" in run.tags, -listed.index(run)))
    into = tempfile.mkdtemp(prefix="gan-benchmark-")
    try:
        path = fetch_run(chosen.run_id, uri, into, runs_dir=runs_dir)
        run = load_run(path)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    run.fetched = path.parent == Path(into)
    weakref.finalize(run, shutil.rmtree, into, ignore_errors=True)
    return run


def _nearest(text: str, names: list[str]) -> str:
    near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
