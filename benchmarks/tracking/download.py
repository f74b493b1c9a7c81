"""Lists the training runs of an experiment in MLflow, and downloads them as run folders."""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.run_folder.folder import CONFIG, PROBES_FOLDER, RunFolder
from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from mlflow import MlflowClient

from benchmarks.tracking.client import (
    EXPERIMENT,
    connect,
    database_file,
    make_client,
    redact_uri,
    resolve_experiment,
    resolve_uri,
    translate_errors,
)
from benchmarks.tracking.upload import FILE_LIMIT, IMAGE_NAME, RESULT_TYPES, RUN_LIMIT


class TrackedRun(NamedTuple):
    """Holds a run as MLflow lists it."""

    run_id: str
    tags: dict[str, str]
    # SCHEDULED, RUNNING, FINISHED, FAILED or KILLED.
    status: str


def list_runs(tracking_uri: str | None = None, experiment: str | None = None) -> list[TrackedRun]:
    """Returns every training run of an experiment, the oldest first. Raises UserError where MLflow cannot be read.

    Includes runs with the tag `superseded`, whose config was trained again later.
    """
    uri = resolve_uri(tracking_uri)
    database = database_file(uri)
    if database is not None and not database.exists():
        raise UserError(f"there is no MLflow database {database}; train something first, or say --tracking-uri")
    with translate_errors(uri):
        client, experiment_id = connect(uri, experiment, make=False)
        if not experiment_id:
            if (name := resolve_experiment(experiment)) == EXPERIMENT:
                return []
            known = [each.name for each in client.search_experiments()]
            raise unknown("experiment", name, known, see=f"MLflow at {redact_uri(uri)} has {', '.join(known)}")
        found, token = [], None
        while True:
            page = client.search_runs(
                [experiment_id], max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
            )
            found += [TrackedRun(r.info.run_id, dict(r.data.tags), r.info.status) for r in page]
            token = page.token
            if not token:
                return [run for run in found if "run_key" in run.tags]


def fetch_run(
    run_id: str,
    tracking_uri: str | None,
    into: Path | str,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    runs_dir: Path | str | None = None,
) -> Path:
    """Downloads a run of MLflow as a run folder below `into`, and returns its path.

    wanted: selects files of the run folder, by names such as config.json and samples/epoch_010.png. runs_dir: where the
    run may lie as it was trained; that folder is then returned instead. Raises UserError where MLflow cannot be read,
    or the run there is none of this benchmark.
    """
    uri = resolve_uri(tracking_uri)
    with translate_errors(uri):
        client = make_client(uri)
        tags = client.get_run(run_id).data.tags
        name = tags.get("folder", "")
        if not re.fullmatch(r"[\w.-]{1,200}", name, re.ASCII) or name.startswith("."):
            raise UserError(f"{run_id} in MLflow at {redact_uri(uri)} is not a run of this benchmark")
        if runs_dir is not None and _is_run(RunFolder(Path(runs_dir) / name), tags.get("folder_id")):
            return Path(runs_dir) / name
        folder = RunFolder(Path(into) / name)
        folder.make()
        chosen = [found for found in _artifacts(client, run_id) if found[1] == CONFIG or wanted(found[1])]
        sizes = [size for *_, size in chosen]
        if max(sizes, default=0) > FILE_LIMIT or sum(sizes) > RUN_LIMIT:
            raise UserError(f"the artifacts of {run_id} are larger than any run makes them, so they are not fetched")
        with tempfile.TemporaryDirectory() as temporary:
            for artifact, file_name, _ in chosen:
                path = Path(client.download_artifacts(run_id, artifact, temporary))
                if path.stat().st_size > FILE_LIMIT:
                    raise UserError(f"{artifact} of {run_id} is larger than any run makes it, so it is not read")
                folder.write_bytes(file_name, path.read_bytes())
                path.unlink()
    if not _is_run(folder, tags.get("folder_id")):
        raise UserError(f"{run_id} in MLflow at {redact_uri(uri)} has the artifacts of another run, or none")
    return folder.path


def _is_run(folder: RunFolder, id_: str | None) -> bool:
    try:
        return folder.id == id_
    except UserError:
        return False


def _artifacts(client: "MlflowClient", run_id: str) -> Iterator[tuple[str, str, int]]:
    """Yields the artifacts that belong into a run folder: their names in MLflow and in the folder, and bytes."""
    for place in (None, PROBES_FOLDER):
        for file in client.list_artifacts(run_id, place):
            path = Path(file.path)
            if not file.is_dir and path.parent == Path(place or "") and path.suffix in RESULT_TYPES:
                yield file.path, file.path, file.file_size or 0
    for file in client.list_artifacts(run_id, "images"):
        if match := IMAGE_NAME.fullmatch(file.path):
            yield file.path, RunFolder.picture_name(int(match[1])), file.file_size or 0
