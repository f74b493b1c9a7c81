"""Trains on the machines of a Ray cluster, which share no disk: results come back through MLflow.

Every machine has this project installed, in the same version (`pip install 'gan-benchmark[ray]'`); one with other code
refuses its runs. Plugins are sent as source. A machine trains a run into a temporary folder and uploads it to MLflow;
this process then downloads the run folder. So a run whose machine is lost, or that is stopped, begins anew; its first
try is marked in MLflow as killed, by this process where the worker could not, and as superseded. Set names and
passwords for a tracking server, as MLflow's own variables, on every machine.

A run reserves as many CPU cores as it has threads, and a GPU where the device is cuda, or auto in a cluster with GPUs.
"""

import ipaddress
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks import plugins
from benchmarks.config import RunConfig
from benchmarks.executors.base import (
    STOP_SECONDS,
    STOPPED,
    Executor,
    Result,
    RunGroup,
    Task,
    TaskQueue,
    make_failure,
    make_uploader,
    train_job,
)
from benchmarks.training.options import RunOptions
from variants.recipe import UserError

if TYPE_CHECKING:
    from ray import ObjectRef

# How often Ray trains a run again whose worker or machine was lost; chosen, not tuned.
RETRIES = 2
# Seconds that a cluster has to answer, and between two looks at it; chosen, not tuned.
REACH_SECONDS, LOOK_SECONDS = 10.0, 0.2
# Bytes of shared memory of a cluster started here: the least that Ray takes, since results are small.
_SHARED_MEMORY = 80 * 2**20


@dataclass(frozen=True)
class RayTask(Task):
    """Holds a task of one run."""

    # The beginning of the ids of its folders, one for each try.
    prefix: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def config(self) -> RunConfig:
        return self.job.configs[0]


class OnRay(Executor):
    """Trains each run as a Ray task. One thread of this process hands them out, another downloads trained runs."""

    def __init__(
        self,
        options: RunOptions,
        workers: int = 0,
        address: str = "",
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        if not options.track:
            raise UserError("--executor ray brings results back through MLflow, so it does not go without tracking")
        if options.stack == "on":
            raise UserError("--executor ray trains each seed as a task of its own; leave out --stack on")
        # Ray reads these when it is imported.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Messages of the cluster, which log_to_driver does not turn off: what became of a run is in its Result.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        if not address:
            # On Linux too, Ray then listens on 127.0.0.1 alone; _node_ip_address is not enough there.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        import ray

        from benchmarks.datasets import data_folder
        from benchmarks.tracking.client import prepare_experiment, resolve_experiment, resolve_uri
        from benchmarks.training.provenance import fingerprint

        self._say = say
        self._options = replace(
            options,
            tracking_uri=resolve_uri(options.tracking_uri),
            experiment=resolve_experiment(options.experiment),
            data_dir=data_folder(options.data_dir).absolute(),
        )
        self._connected = not ray.is_initialized()
        if self._connected:
            join_cluster(address, workers * options.threads)
        try:
            nodes = ray.nodes()
            if self._connected and not address and nodes[0]["NodeManagerAddress"] != "127.0.0.1":
                say("Ray was imported before, so that what it starts here listens to other machines as well")
            check_cluster(nodes, self._options)
            # The tables of a local database are made once, before several workers would.
            prepare_experiment(self._options.tracking_uri, self._options.experiment)
            self.workers = workers or count_slots(options)
            needs: dict[str, float] = {"num_cpus": options.threads}
            if options.device == "cuda" or (options.device == "auto" and ray.cluster_resources().get("GPU")):
                needs["num_gpus"] = 1
            self._train = ray.remote(max_retries=RETRIES, retry_exceptions=False, **needs)(train_on_cluster)
            # Once for all runs.
            self._shared = ray.put((self._options, tuple(plugins.FILES), fingerprint()))
        except BaseException:
            self._disconnect()
            raise
        self._uploader = make_uploader(self._options, say)
        self._limit = workers
        self._queue = TaskQueue()
        # Guarded by the queue's `change`.
        self._training: dict[ObjectRef, RayTask] = {}
        self._fetching = ThreadPoolExecutor(1, "fetch")
        self._thread = threading.Thread(target=self._keep_going, name="executor", daemon=True)
        self._thread.start()

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        return self._queue.add([RayTask.of(RunGroup((config,), job.notes)) for config in job.configs])

    def close(self, cancel: bool = False) -> None:
        try:
            self._queue.close(cancel, [self._thread])
        finally:
            self._fetching.shutdown()
            self._disconnect()
            self._uploader.close(patient=not self._queue.cancelled)

    def _disconnect(self) -> None:
        import ray

        if self._connected:
            ray.shutdown()

    def _keep_going(self) -> None:
        """Runs the thread that keeps the cluster busy and passes results on."""
        try:
            while self._hand_out():
                self._collect(LOOK_SECONDS)
                if self._queue.cancelled:
                    self._stop()
        except Exception as error:
            # The cluster is gone.
            with self._queue.change:
                left = [*self._training.values(), *self._queue.waiting]
                self._training.clear()
                self._queue.waiting.clear()
                self._queue.closed = True
            for task in left:
                if task.start():
                    lost = make_failure(task.config.name, error, 0.0, self._options)
                    self._fetching.submit(self._finish, task, replace(lost, machine=True))

    def _hand_out(self) -> bool:
        """Starts as many runs as there is room for. Waits while there is nothing to do; returns False at the end."""
        queue = self._queue
        with queue.change:
            while not (queue.waiting or self._training or queue.closed):
                queue.change.wait()
            room = (self._limit or count_slots(self._options)) - len(self._training)
            while queue.waiting and room > 0:
                if (task := queue.waiting.popleft().start()) is None:
                    continue
                if self._is_found(task.config):
                    # What a server did not take when it was trained, it may take now.
                    self._uploader.notify(task.config.name)
                    task.finish([Result(task.config.name, "FINISHED", found=True)])
                    continue
                sent = self._train.remote(self._shared, task.config.as_dict(), task.job.notes, task.prefix)
                self._training[sent] = task
                room -= 1
            return bool(queue.waiting or self._training or not queue.closed)

    def _collect(self, seconds: float) -> None:
        import ray

        if not self._training:
            return
        done, _ = ray.wait(list(self._training), num_returns=1, timeout=seconds)
        for reference in done:
            with self._queue.change:
                task = self._training.pop(reference)
            try:
                payload = ray.get(reference)
            except Exception as error:
                self._fetching.submit(self._finish, task, self._make_lost(task, error))
            else:
                self._fetching.submit(self._fetch, task, payload)

    def _stop(self) -> None:
        """Stops the runs in training: first as Ctrl-C would, so that they are marked as killed, and then for good."""
        import ray

        from benchmarks.tracking.client import CLOSE_SECONDS

        # Whatever MLflow does not get of a run before its worker ends is lost.
        for force, seconds in ((False, STOP_SECONDS + CLOSE_SECONDS), (True, STOP_SECONDS)):
            for reference in self._training:
                ray.cancel(reference, force=force)
            give_up = time.monotonic() + seconds
            while self._training and time.monotonic() < give_up:
                self._collect(LOOK_SECONDS)
        with self._queue.change:
            left = list(self._training.values())
            self._training.clear()
        for task in left:
            self._fetching.submit(self._finish, task, *task.kill(STOPPED))

    def _make_lost(self, task: RayTask, error: Exception) -> Result:
        """Returns the Result of a run in whose place Ray raised an error."""
        from ray.exceptions import RayTaskError

        cause = (
            f"the machine or the worker that trained it was lost ({type(error).__name__}), {RETRIES + 1} times in a row"
        )
        if isinstance(error, RayTaskError) and not self._queue.cancelled:
            # Whatever training raises is a Result, so the task did not get as far.
            return make_failure(task.config.name, error.cause or error, 0.0, self._options)
        return task.kill(STOPPED if self._queue.cancelled else cause)[0]

    def _is_found(self, config: RunConfig) -> bool:
        """Tells whether the run folder is here and finished, which the workers, who share no disk, cannot know."""
        from benchmarks.run_folder.folder import CONFIG, RunFolder

        folder = RunFolder(self._options.runs_dir / config.name)
        with suppress(UserError):
            if (folder.path / CONFIG).is_file() and not self._options.retrain:
                return folder.config().key == config.key and folder.status()["state"] == "FINISHED"
        return False

    def _fetch(self, task: RayTask, payload: Mapping[str, Any]) -> None:
        """Downloads the run folder of a trained run, and then sets its Result."""
        result = Result(**payload["result"])
        try:
            for sentence in payload["said"]:
                self._say(f"{result.name}: {sentence}")
            if payload["run_id"]:
                fetch_into_runs_dir(payload["run_id"], self._options)
        except Exception as error:
            problem = make_failure(result.name, error, result.seconds, self._options)
            cause = f"it was trained, and its folder could not be fetched from MLflow: {problem.cause}"
            result = replace(problem, cause=cause, machine=True)
        self._finish(task, result)

    def _finish(self, task: RayTask, result: Result) -> None:
        """Marks in MLflow the tries whose worker or machine was lost, and then sets the Result."""
        from benchmarks.tracking.upload import mark_lost

        try:
            mark_lost(task.config.key, task.prefix, self._options.tracking_uri, self._options.experiment)
        except Exception as error:
            with suppress(Exception):
                self._say(f"{result.name}: {error}; a try of it that was lost may be shown there as in training")
        task.finish([result])


def join_cluster(address: str, cores: int) -> None:
    """Joins a cluster, or starts one on this machine, with so many CPU cores, that nobody else can reach."""
    import ray

    if address not in ("", "auto"):
        # Ray itself would try for minutes.
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or "/" in host:
            raise UserError(f"--address is auto or host:port of a Ray cluster, not {address!r}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise UserError(f"the Ray cluster at {address} cannot be reached: {error.strerror or error}") from error
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=cores or None,
                include_dashboard=False,
                object_store_memory=_SHARED_MEMORY,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot be started on this machine"
        raise UserError(f"{where}: {' '.join(str(error).split())[:300]}") from error


def count_slots(options: RunOptions) -> int:
    """Returns how many runs the cluster, as it is now, trains at once."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 0) // options.threads))


def check_cluster(nodes: Sequence[Mapping[str, Any]], options: RunOptions) -> None:
    """Raises UserError where the cluster has no machine for a run, or where not all its machines can reach MLflow.

    nodes: as `ray.nodes()` has them.
    """
    from benchmarks.tracking.client import redact_uri

    alive = [node for node in nodes if node["Alive"]]
    most = max((node["Resources"].get("CPU", 0) for node in alive), default=0)
    if most < options.threads:
        raise UserError(
            f"a run with {options.threads} threads needs as many CPU cores, and no machine of the cluster has more "
            f"than {most:.0f}; say fewer --threads"
        )
    uri = str(options.tracking_uri)
    others = sorted({node["NodeManagerAddress"] for node in alive if not is_this_machine(node["NodeManagerAddress"])})
    if others and is_only_local(uri):
        raise UserError(
            f"MLflow at {redact_uri(uri)} can be reached by this machine only, and the cluster has others ({others[0]})"
            "; start `mlflow server --host 0.0.0.0` and give its address with --tracking-uri"
        )


def is_this_machine(address: str) -> bool:
    """Tells whether this machine has that IP address: only then can one listen on it."""
    try:
        family, *_, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.bind(place)
    except OSError:
        return False
    return True


def is_only_local(tracking_uri: str) -> bool:
    """Tells whether an address of MLflow means another place, or none, on another machine."""
    from benchmarks.tracking.client import is_local

    if is_local(tracking_uri):
        return True
    host = urlsplit(tracking_uri).hostname or ""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def fetch_into_runs_dir(run_id: str, options: RunOptions) -> Path:
    """Downloads a run folder into runs_dir, in the place of what was there under its name, and returns its path."""
    from benchmarks.run_folder.folder import RunFolder
    from benchmarks.tracking.download import fetch_run

    options.runs_dir.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it appears there whole.
    beside = Path(tempfile.mkdtemp(prefix=".fetched-", dir=options.runs_dir))
    try:
        fetched = fetch_run(run_id, options.tracking_uri, beside)
        place = options.runs_dir / fetched.name
        if place.exists():
            # Not while another process trains into it.
            with RunFolder(place).lock():
                os.replace(place, beside / "before")
        os.replace(fetched, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


# On the machines of the cluster

# Metrics of real data that this worker has measured, by the name of their file in runs/reference/: used again, as on
# one machine, although each run has a folder of its own here.
_MEASURED: dict[str, bytes] = {}


def train_on_cluster(
    shared: tuple[RunOptions, tuple[plugins.PluginFile, ...], str],
    values: Mapping[str, Any],
    notes: Sequence[str],
    prefix: str,
) -> dict[str, Any]:
    """Trains one run, as a Ray task, uploads it to MLflow, and returns {"result": …, "run_id": …, "said": …}.

    shared: the options, the plugins and the fingerprint of the code of the process that asks. values: of the config.
    prefix: of the id of its folder.
    """
    options, files, code = shared
    config = RunConfig.from_dict(values)
    said: list[str] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gan-benchmark-", ignore_cleanup_errors=True) as place:
        kept = Path(place) / "reference"
        kept.mkdir()
        for name, measured in _MEASURED.items():
            (kept / name).write_bytes(measured)
        # There is nothing in this folder that retraining would clear.
        options = replace(options, runs_dir=Path(place), data_dir=_data_dir(options), retrain=False)
        try:
            run_id, result = _train(config, options, files, code, notes, prefix, said)
        except Exception as error:
            run_id, result = "", make_failure(config.name, error, time.perf_counter() - began, options)
        _MEASURED.update({path.name: path.read_bytes() for path in kept.glob("*.json")})
    return {"result": asdict(result), "run_id": run_id, "said": said}


def _train(
    config: RunConfig,
    options: RunOptions,
    files: Sequence[plugins.PluginFile],
    code: str,
    notes: Sequence[str],
    prefix: str,
    said: list[str],
) -> tuple[str, Result]:
    import torch

    from benchmarks.run_folder.folder import RunFolder
    from benchmarks.tracking.upload import sync_when_free
    from benchmarks.training.provenance import fingerprint

    if fingerprint() != code:
        raise UserError("a machine of the cluster has another version of this project; install the same one everywhere")
    torch.set_num_threads(options.threads)
    plugins.adopt(files)
    folder = RunFolder.create(options.runs_dir, config, prefix)
    (result,) = train_job(RunGroup((config,), notes), options, lambda _, text: said.append(text), track=True)
    if not folder.environment():
        # UserError before its training began.
        return "", result
    # It was uploaded while it trained, unless the server was down; this returns its id.
    try:
        return sync_when_free(folder, options.tracking_uri, options.experiment), result
    except UserError as refused:
        cause = f"it was trained ({result.state}), and is lost because MLflow did not take it: {refused}"
        return "", replace(result, state="KILLED", cause=cause, machine=True)


def _data_dir(options: RunOptions) -> Path | None:
    """Returns the folder of datasets, where this machine has it, or else None: its own choice."""
    return options.data_dir if options.data_dir is not None and options.data_dir.is_dir() else None
