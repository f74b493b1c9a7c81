"""python -m benchmarks.sync: uploads run folders to MLflow: everything that a server missed, each value once."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.options import Parser, add_runs_dir, add_tracking, run_command
from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from benchmarks.run_folder.folder import RunFolder


def parser() -> Parser:
    parser = Parser("benchmarks.sync", description=__doc__.partition(": ")[2])
    parser.add_argument("run", nargs="*", metavar="RUN", help="names of run folders, or their paths (all)")
    add_runs_dir(parser)
    add_tracking(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)

    from benchmarks.tracking.client import prepare_experiment, redact_uri, resolve_uri
    from benchmarks.tracking.upload import read_memory, sync_when_free

    folders = choose_folders(asked.run, asked.runs_dir)
    uri, experiment = resolve_uri(asked.tracking_uri), asked.experiment
    # Refuses a server that is down once, before any run.
    prepare_experiment(uri, experiment)
    sent, failed = 0, 0
    for folder in folders:
        try:
            before = read_memory(folder, uri, experiment)
            sync_when_free(folder, uri, experiment, print)
            sent += read_memory(folder, uri, experiment) != before
        except UserError as refused:
            failed += 1
            print(f"{folder.name} was not sent: {refused}", file=sys.stderr)
    whole = len(folders) - sent - failed
    print(f"MLflow at {redact_uri(uri)}: {len(folders)} runs, {sent} sent, {whole} there already, {failed} failed")
    return 1 if failed else 0


def choose_folders(names: list[str], runs_dir: Path) -> "list[RunFolder]":
    """Returns the folders of these runs; all where no name is given. Raises UserError where there is none."""
    from benchmarks.run_folder.folder import CONFIG, RunFolder, list_run_folders

    if not names:
        if folders := list_run_folders(runs_dir):
            return folders
        raise UserError(
            f"there are no runs in {runs_dir}; train one with python -m benchmarks.run, or name another folder"
        )
    found = []
    for name in names:
        path = Path(name) if "/" in name or os.sep in name else runs_dir / name
        if not (path / CONFIG).is_file():
            known = [folder.name for folder in list_run_folders(runs_dir)] if runs_dir.is_dir() else []
            raise unknown("run", name, known, see=f"it is not in {runs_dir}")
        found.append(RunFolder(path))
    return found


if __name__ == "__main__":
    run_command(main)
