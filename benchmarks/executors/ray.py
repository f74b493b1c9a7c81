"""Training on the machines of a Ray cluster, which share no disk: results come back through MLflow.

Every machine has this project installed, in the same version (`pip install 'gan-benchmark[ray]'`); one with other code
refuses its runs. Plugins given as files go along as source; installed ones are installed there too. A run is trained
into a temporary folder of its machine, which sends it to MLflow; this process then fetches the run folder from there,
without checkpoints. So a run whose machine is lost, or that is stopped, begins anew; what MLflow has of the first try
is marked as killed, by this process where the worker could not, and as superseded. Names and passwords for a tracking
server, as MLflow's own variables, are to be set on every machine.

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
from collections import deque
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
    STOPPED,
    Executor,
    Result,
    RunGroup,
    RunOptions,
    make_failure,
    train_here,
)
from variants.recipe import UserError

if TYPE_CHECKING:
    from ray import ObjectRef

# How often Ray trains a run again whose worker or machine was lost; chosen, not tuned.
RETRIES = 2
# Seconds that a run has to stop beside what MLflow may take, that a cluster has to answer, and between two looks at it;
# chosen, not tuned.
STOP_SECONDS, REACH_SECONDS, LOOK_SECONDS = 10.0, 10.0, 0.2
# Bytes of shared memory of a cluster started here: the least that Ray takes, since results are small.
_SHARED_MEMORY = 80 * 2**20


@dataclass(frozen=True)
class Task:
    """One run that is to be trained. prefix: what the ids of its folders begin with, one for each try."""

    config: RunConfig
    notes: tuple[str, ...]
    prefix: str = field(default_factory=lambda: secrets.token_hex(4))
    future: Future[Result] = field(default_factory=Future)


class OnRay(Executor):
    """One Ray task a run. A thread of this process hands them out, and another one fetches what is trained."""

    def __init__(
        self,
        settings: RunOptions,
        workers: int = 0,
        address: str = "",
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        if not settings.track:
            raise UserError("--executor ray brings results back through MLflow, so it does not go without tracking")
        if settings.stack == "on":
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
        self._settings = replace(
            settings,
            tracking_uri=resolve_uri(settings.tracking_uri),
            experiment=resolve_experiment(settings.experiment),
            data_dir=data_folder(settings.data_dir).absolute(),
        )
        self._connected = not ray.is_initialized()
        if self._connected:
            join_cluster(address, workers * settings.threads)
        try:
            nodes = ray.nodes()
            if self._connected and not address and nodes[0]["NodeManagerAddress"] != "127.0.0.1":
                say("Ray was imported before, so that what it starts here listens to other machines as well")
            check_cluster(nodes, self._settings)
            # The tables of a local database are made once, before several workers would.
            prepare_experiment(self._settings.tracking_uri, self._settings.experiment)
            self.workers = workers or count_slots(settings)
            needs: dict[str, float] = {"num_cpus": settings.threads}
            if settings.device == "cuda" or (settings.device == "auto" and ray.cluster_resources().get("GPU")):
                needs["num_gpus"] = 1
            self._train = ray.remote(max_retries=RETRIES, retry_exceptions=False, **needs)(train_on_cluster)
            # Once for all runs.
            self._shared = ray.put((self._settings, tuple(plugins.FILES), fingerprint()))
        except BaseException:
            self._disconnect()
            raise
        self._limit = workers
        # Guards all below. It is notified of new tasks and of the end.
        self._change = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._training: dict[ObjectRef, Task] = {}
        self._closed = self._cancelled = False
        self._fetching = ThreadPoolExecutor(1, "fetch")
        self._thread = threading.Thread(target=self._keep_going, name="executor", daemon=True)
        self._thread.start()

    def submit(self, job: RunGroup) -> list[Future[Result]]:
        tasks = [Task(config, job.notes) for config in job.configs]
        with self._change:
            if self._closed:
                raise RuntimeError("this executor is closed")
            self._waiting += tasks
            self._change.notify_all()
        return [task.future for task in tasks]

    def close(self, cancel: bool = False) -> None:
        try:
            self._end(cancel)
            self._thread.join()
        except BaseException:
            # Ctrl-C while waiting.
            self._end(cancel=True)
            self._thread.join()
            raise
        finally:
            self._fetching.shutdown()
            self._disconnect()

    def _end(self, cancel: bool) -> None:
        with self._change:
            self._closed = True
            if cancel:
                self._cancelled = True
                for task in self._waiting:
                    task.future.cancel()
                    # Or who waits for several futures would not hear of it.
                    task.future.set_running_or_notify_cancel()
                self._waiting.clear()
            self._change.notify_all()

    def _disconnect(self) -> None:
        import ray

        if self._connected:
            ray.shutdown()

    def _keep_going(self) -> None:
        """What the thread does: keeps the cluster busy, and hands on what is trained."""
        try:
            while self._hand_out():
                self._collect(LOOK_SECONDS)
                if self._cancelled:
                    self._stop()
        except Exception as error:
            # The cluster is gone.
            with self._change:
                left = [*self._training.values(), *self._waiting]
                self._training.clear()
                self._waiting.clear()
                self._closed = True
            for task in left:
                if task.future.running() or task.future.set_running_or_notify_cancel():
                    lost = make_failure(task.config.name, error, 0.0, self._settings)
                    self._fetching.submit(self._ended, task, replace(lost, machine=True))

    def _hand_out(self) -> bool:
        """Starts what there is room for. Waits where there is nothing to do; False once that is for good."""
        with self._change:
            while not (self._waiting or self._training or self._closed):
                self._change.wait()
            room = (self._limit or count_slots(self._settings)) - len(self._training)
            while self._waiting and room > 0:
                task = self._waiting.popleft()
                if not task.future.set_running_or_notify_cancel():
                    continue
                if self._is_found(task.config):
                    self._fetching.submit(self._found, task)
                    continue
                values = task.config.as_dict()
                self._training[self._train.remote(self._shared, values, task.notes, task.prefix)] = task
                room -= 1
            return bool(self._waiting or self._training or not self._closed)

    def _collect(self, seconds: float) -> None:
        import ray

        if not self._training:
            return
        done, _ = ray.wait(list(self._training), num_returns=1, timeout=seconds)
        for reference in done:
            with self._change:
                task = self._training.pop(reference)
            try:
                payload = ray.get(reference)
            except Exception as error:
                self._fetching.submit(self._ended, task, self._lost(task, error))
            else:
                self._fetching.submit(self._fetched, task, payload)

    def _stop(self) -> None:
        """Stops what is in training: first as Ctrl-C would, so that it is marked as killed, and then for good."""
        import ray

        from benchmarks.tracking.client import CLOSE_SECONDS

        # What MLflow does not get of a run before its worker ends is lost.
        for force, seconds in ((False, STOP_SECONDS + CLOSE_SECONDS), (True, STOP_SECONDS)):
            for reference in self._training:
                ray.cancel(reference, force=force)
            give_up = time.monotonic() + seconds
            while self._training and time.monotonic() < give_up:
                self._collect(LOOK_SECONDS)
        with self._change:
            left = list(self._training.values())
            self._training.clear()
        for task in left:
            self._fetching.submit(self._ended, task, Result(task.config.name, "KILLED", STOPPED, machine=True))

    def _lost(self, task: Task, error: Exception) -> Result:
        """What Ray raised in place of a result."""
        from ray.exceptions import RayTaskError

        name = task.config.name
        if self._cancelled:
            return Result(name, "KILLED", STOPPED, machine=True)
        if isinstance(error, RayTaskError):
            # Whatever training raises is a Result, so the task did not get as far.
            return make_failure(name, error.cause or error, 0.0, self._settings)
        kind = type(error).__name__
        cause = f"the machine or the worker that trained it was lost ({kind}), {RETRIES + 1} times in a row"
        return Result(name, "KILLED", cause, machine=True)

    def _is_found(self, config: RunConfig) -> bool:
        """Whether the run folder is here and finished: the workers, who share no disk, cannot know."""
        from benchmarks.run_folder.folder import CONFIG, RunFolder

        folder = RunFolder(self._settings.runs_dir / config.name)
        with suppress(UserError):
            if (folder.path / CONFIG).is_file() and not self._settings.retrain:
                return folder.config().key == config.key and folder.status()["state"] == "FINISHED"
        return False

    def _found(self, task: Task) -> None:
        """As everywhere: what a server did not take when it was trained, it may take now."""
        from benchmarks.run_folder.folder import RunFolder
        from benchmarks.tracking.upload import sync_when_free

        try:
            folder = RunFolder(self._settings.runs_dir / task.config.name)
            sync_when_free(folder, self._settings.tracking_uri, self._settings.experiment)
        except Exception as error:
            with suppress(Exception):
                self._say(f"{task.config.name}: {error}; nothing is lost: the same command sends it")
        task.future.set_result(Result(task.config.name, "FINISHED", found=True))

    def _fetched(self, task: Task, payload: Mapping[str, Any]) -> None:
        """Gets the run folder of what was trained, and then gives its Result."""
        result = Result(**payload["result"])
        try:
            for sentence in payload["said"]:
                self._say(f"{result.name}: {sentence}")
            if payload["run_id"]:
                fetch_into_runs_dir(payload["run_id"], self._settings)
        except Exception as error:
            problem = make_failure(result.name, error, result.seconds, self._settings)
            cause = f"it was trained, and its folder could not be fetched from MLflow: {problem.cause}"
            result = replace(problem, cause=cause, machine=True)
        self._ended(task, result)

    def _ended(self, task: Task, result: Result) -> None:
        """Has MLflow know of tries whose worker or machine was lost, and then gives the Result."""
        from benchmarks.tracking.upload import mark_lost

        try:
            mark_lost(task.config.key, task.prefix, self._settings.tracking_uri, self._settings.experiment)
        except Exception as error:
            with suppress(Exception):
                self._say(f"{result.name}: {error}; a try of it that was lost may be shown there as in training")
        task.future.set_result(result)


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


def count_slots(settings: RunOptions) -> int:
    """How many runs the cluster trains at once, as it is now."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 0) // settings.threads))


def check_cluster(nodes: Sequence[Mapping[str, Any]], settings: RunOptions) -> None:
    """Raises UserError where the cluster has no machine for a run, or where not all its machines can reach MLflow.

    nodes: as `ray.nodes()` has them.
    """
    from benchmarks.tracking.client import redact_uri

    alive = [node for node in nodes if node["Alive"]]
    most = max((node["Resources"].get("CPU", 0) for node in alive), default=0)
    if most < settings.threads:
        raise UserError(
            f"a run with {settings.threads} threads needs as many CPU cores, and no machine of the cluster has more "
            f"than {most:.0f}; say fewer --threads"
        )
    uri = str(settings.tracking_uri)
    others = sorted({node["NodeManagerAddress"] for node in alive if not is_this_machine(node["NodeManagerAddress"])})
    if others and is_only_local(uri):
        raise UserError(
            f"MLflow at {redact_uri(uri)} can be reached by this machine only, and the cluster has others ({others[0]})"
            "; start `mlflow server --host 0.0.0.0` and give its address with --tracking-uri"
        )


def is_this_machine(address: str) -> bool:
    """Whether this machine has that IP address: only then can one listen on it."""
    try:
        family, *_, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.bind(place)
    except OSError:
        return False
    return True


def is_only_local(tracking_uri: str) -> bool:
    """Whether an address of MLflow means another place, or none, on another machine."""
    from benchmarks.tracking.client import is_local

    if is_local(tracking_uri):
        return True
    host = urlsplit(tracking_uri).hostname or ""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def fetch_into_runs_dir(run_id: str, settings: RunOptions) -> Path:
    """Puts the run folder that MLflow has into runs_dir, in the place of what was there under its name."""
    from benchmarks.run_folder.folder import RunFolder
    from benchmarks.tracking.download import fetch_run

    settings.runs_dir.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it appears there whole.
    beside = Path(tempfile.mkdtemp(prefix=".fetched-", dir=settings.runs_dir))
    try:
        fetched = fetch_run(run_id, settings.tracking_uri, beside)
        place = settings.runs_dir / fetched.name
        if place.exists():
            # Not while another process trains into it.
            with RunFolder(place).lock():
                os.replace(place, beside / "before")
        os.replace(fetched, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


# On the machines of the cluster

# What this worker has measured of real data, by the name of its file in runs/reference/: it is used again, as on one
# machine, although each run has a folder of its own here.
_MEASURED: dict[str, bytes] = {}


def train_on_cluster(
    shared: tuple[RunOptions, tuple[plugins.PluginFile, ...], str],
    values: Mapping[str, Any],
    notes: Sequence[str],
    prefix: str,
) -> dict[str, Any]:
    """A Ray task: trains one run, sends it to MLflow, and gives {"result": …, "run_id": …, "said": …}.

    shared: the settings, the plugins and the fingerprint of the code of who asks. values: of the config. prefix: of
    the id of its folder.
    """
    settings, files, code = shared
    config = RunConfig.from_dict(values)
    said: list[str] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gan-benchmark-", ignore_cleanup_errors=True) as place:
        kept = Path(place) / "reference"
        kept.mkdir()
        for name, measured in _MEASURED.items():
            (kept / name).write_bytes(measured)
        # There is nothing in this folder that retraining would clear.
        settings = replace(settings, runs_dir=Path(place), data_dir=_here(settings), retrain=False)
        try:
            run_id, result = _trained(config, settings, files, code, notes, prefix, said)
        except Exception as error:
            run_id, result = "", make_failure(config.name, error, time.perf_counter() - began, settings)
        _MEASURED.update({path.name: path.read_bytes() for path in kept.glob("*.json")})
    return {"result": asdict(result), "run_id": run_id, "said": said}


def _trained(
    config: RunConfig,
    settings: RunOptions,
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
    torch.set_num_threads(settings.threads)
    plugins.adopt(files)
    folder = RunFolder.create(settings.runs_dir, config, prefix)
    job = RunGroup((config,), tuple(notes))
    (result,) = train_here(job, settings, lambda _, sentence: said.append(sentence), track=True)
    if not folder.environment():
        # UserError before its training began.
        return "", result
    # The tracker has sent it already, unless the server was down; this tells which run it is there.
    try:
        return sync_when_free(folder, settings.tracking_uri, settings.experiment), result
    except UserError as refused:
        cause = f"it was trained ({result.state}), and is lost because MLflow did not take it: {refused}"
        return "", replace(result, state="KILLED", cause=cause, machine=True)


def _here(settings: RunOptions) -> Path | None:
    """The folder of datasets, where this machine has it, or else its own choice."""
    return settings.data_dir if settings.data_dir is not None and settings.data_dir.is_dir() else None
