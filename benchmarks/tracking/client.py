"""Speaks to MLflow: its address, the client, the experiment, and its errors in one sentence without secrets.

MLflow takes seconds to import, so it is imported where it is first used, off the training thread.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import filelock

from variants.recipe import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient


EXPERIMENT = "gan-benchmark"
SYNC_COMMAND = "python -m benchmarks.sync"
# The longest that anybody waits for a server; chosen, not tuned.
CLOSE_SECONDS = 30.0

NOTE = "mlflow.note.content"
"""Tag that the user interface shows as the description of a run or of an experiment, in Markdown."""
_HOW_TO_COMPARE = """Each row is one training of a GAN, with one seed.

- Compare figures: pick rows in the table, or filter them, such as by `tags.variant = 'dcgan'`; then search the charts
  for `fid`, `coverage` or `accuracy`. Names without a slash are figures of the samples; `training/` are losses.
- Compare samples: the chart `samples` has a slider for the epoch.
- Columns such as `reference.fid` hold the same figure of real data.
- One seed shows little. `python -m reports.build` makes tables with intervals over the seeds.
"""

_DEFAULT_URI = "sqlite:///mlflow.db"


class Busy(UserError):
    """Reports that another process holds the local store, which takes uploads again once it is free."""


class ServerUnreachable(UserError):
    """Reports that no server answers at the tracking address."""


def resolve_uri(tracking_uri: str | None = None) -> str:
    """Returns the tracking address: the argument, else MLFLOW_TRACKING_URI, else mlflow.db here.

    Makes a path of SQLite absolute.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_URI
    path = database_file(uri)
    return uri if path is None else f"sqlite:///{path.absolute().as_posix()}"


def resolve_experiment(experiment: str | None = None) -> str:
    """Returns the name of the experiment: the argument, else MLFLOW_EXPERIMENT_NAME, else gan-benchmark."""
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT


def is_local(tracking_uri: str) -> bool:
    """Tells whether the store is a file or a folder of this machine, which may be slow, but is not down."""
    scheme = urlsplit(tracking_uri).scheme.partition("+")[0]
    return scheme in ("", "file", "sqlite") and not tracking_uri.startswith("databricks")


def redact_uri(tracking_uri: str) -> str:
    """Removes user, password and query from an address, so that it can be shown and stored."""
    scheme, separator, rest = tracking_uri.partition("://")
    if not separator or scheme == "sqlite":
        return tracking_uri
    address, query = re.match(r"([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    # An @ after a ? may belong to a password that was not escaped; then no part of it is known to be harmless.
    return f"{scheme}://" + ("…" if "@" in query else address.rpartition("@")[2])


def database_file(uri: str) -> Path | None:
    """Returns the path of an SQLite database; None for any other address."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def make_client(uri: str) -> "MlflowClient":
    """Makes a client that prints nothing, and that does not wait minutes for a server that is down."""
    # MLflow reads these at each use.
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(uri)


def prepare_experiment(tracking_uri: str | None = None, experiment: str | None = None) -> str:
    """Returns the id of the experiment; makes it, and the tables of a local database, where they are missing.

    Any number of processes may do this at once. Raises UserError where MLflow cannot be used.
    """
    uri = resolve_uri(tracking_uri)
    with translate_errors(uri):
        return connect(uri, experiment)[1]


def connect(uri: str, experiment: str | None = None, make: bool = True) -> "tuple[MlflowClient, str]":
    """Returns a client and the id of the experiment, made where it is missing and `make`; use in `translate_errors`."""
    experiment = resolve_experiment(experiment)
    database = database_file(uri)
    if database is None:
        client = make_client(uri)
        return client, _experiment_id(client, experiment, None, make)
    # Artifacts lie beside their database, not in whatever folder the first process was started.
    artifacts = database.parent / "mlruns"
    artifacts.mkdir(parents=True, exist_ok=True)
    # Two processes that make MLflow's tables at the same time fail.
    with filelock.FileLock(artifacts / f".{database.name}.lock"):
        if not database.exists() or not database.stat().st_size:
            _make_database(database, artifacts)
        client = make_client(uri)
        place = artifacts / re.sub(r"^\.+|[^\w.-]", "-", experiment)
        return client, _experiment_id(client, experiment, place, make)


def _make_database(database: Path, artifacts: Path) -> None:
    """Makes a database with MLflow's tables under another name, and renames it.

    MLflow makes the tables in steps that cannot be repeated: a database that a kill left halfway could never be used.
    """
    being_made = database.absolute().with_name(f".{database.name}.making")
    for leftover in being_made.parent.glob(f"{being_made.name}*"):
        leftover.unlink()
    uri = f"sqlite:///{being_made.as_posix()}"
    make_client(uri)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, artifacts.as_uri())
    # Some systems do not rename a file that is open.
    store.engine.dispose()
    os.replace(being_made, database)


def _experiment_id(client: "MlflowClient", experiment: str, artifacts: Path | None, make: bool) -> str:
    """Returns the id of the experiment; "" where there is none and none is to be made."""
    from mlflow.exceptions import MlflowException

    # So that the user interface opens the list of runs, not the pages for language models.
    tags = {"mlflow.experimentKind": "custom_model_development", NOTE: _HOW_TO_COMPARE}
    found = client.get_experiment_by_name(experiment)
    if found is None:
        if not make:
            return ""
        try:
            return client.create_experiment(experiment, artifacts.as_uri() if artifacts else None, tags)
        except MlflowException:
            # Another process made it in between; if not, the error was another one.
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise UserError(
            f"the experiment {experiment!r} was deleted in MLflow; restore it, or name another one (--experiment)"
        )
    return found.experiment_id


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Raises whatever MLflow raises as a UserError: one sentence without secrets."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        import requests

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, requests.ConnectionError | requests.Timeout):
                raise ServerUnreachable(f"MLflow at {redact_uri(uri)} cannot be reached") from error
            if isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause):
                raise Busy(f"MLflow at {redact_uri(uri)} is busy: another process writes to it") from error
            cause = cause.__context__
        text = str(error).replace(uri, redact_uri(uri)).strip().partition("\n")[0]
        raise UserError(f"MLflow at {redact_uri(uri)} does not answer as it should: {text[:300]}") from error
