"""benchmarks.training.train: TODO."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from benchmarks import plugins
from benchmarks.algorithm.cuda_graphs import make_recorder
from benchmarks.algorithm.device import check_precision, keep_memory, resolve_device
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset
from benchmarks.evaluation.classifiers import combine_sha256, list_caveats
from benchmarks.inference.run import Run
from benchmarks.pictures.epochs import choose_epochs
from benchmarks.run_folder.folder import HERE, RunFolder
from benchmarks.tracking.background import Uploader
from benchmarks.training.cache import get_evaluator, load_dataset
from benchmarks.training.configure import check, judged
from benchmarks.training.listener import ProgressListener
from benchmarks.training.loop import Training
from benchmarks.training.provenance import describe, fingerprint
from variants import UserError

BEGUN_BY_OTHER_CODE = "a part of it was trained by other code, before it was interrupted; --retrain trains it anew"


def train(
    config: RunConfig,
    *,
    runs_dir: Path | str = "runs",
    data_dir: Path | str | None = None,
    device: str = "auto",
    pictures: str = "all",
    tracking_uri: str | None = None,
    experiment: str | None = None,
    track: bool = True,
    retrain: bool = False,
    cuda_graphs: bool = False,
    notes: Sequence[str] = (),
    listener: ProgressListener | None = None,
) -> Run:
    """Trains one run, or finds it if it is already trained, and gives it back.

    pictures: all, milestones or none. tracking_uri, experiment: of MLflow, by default as everywhere; track=False does
    without. cuda_graphs: whether updates are recorded and replayed, on a GPU. notes: what a reader of the run has to
    know, such as that other data took the place of what was asked for. A run that was interrupted goes on from its last
    checkpoint; retrain=True starts any run anew. Raises UserError where the config cannot be trained, Diverged where a
    loss stops being finite, and KeyboardInterrupt after having marked the run as killed.
    """
    with open_run(
        config,
        runs_dir=runs_dir,
        data_dir=data_dir,
        device=device,
        pictures=pictures,
        tracking_uri=tracking_uri,
        experiment=experiment,
        track=track,
        retrain=retrain,
        cuda_graphs=cuda_graphs,
        notes=notes,
        listener=listener or ProgressListener(),
    ) as training:
        if isinstance(training, Run):
            return training
        training.run()
    return Run(training.folder)


@contextmanager
def open_run(
    config: RunConfig,
    *,
    runs_dir: Path | str,
    data_dir: Path | str | None,
    device: str,
    pictures: str,
    tracking_uri: str | None,
    track: bool,
    retrain: bool,
    cuda_graphs: bool,
    notes: Sequence[str],
    listener: ProgressListener,
    experiment: str | None = None,
    dataset: Dataset | None = None,
) -> "Iterator[Training | Run]":
    """A run that can be trained now: its folder is locked, and MLflow hears of it. The Run where it is trained already.

    dataset: that of the config, where it is in memory. The rest is as in `train`.
    """
    keep_memory()
    plugins.require(config, "this run")
    dataset = dataset or load_dataset(config.dataset, data_dir, config.seed)
    if dataset.checksum != config.checksum:
        raise UserError(f"the data of {dataset.name} is not what this config was made for; make the config anew")
    variant = check(config, dataset)
    place, pictured = resolve_device(device), choose_epochs(pictures, config.recipe.epochs)
    check_precision(config.precision, place)
    recording = make_recorder(place, variant, config.recipe, listener.say) if cuda_graphs else None
    # Last, because it may take minutes.
    config = judged(config, dataset)
    folder = RunFolder.create(runs_dir, config)
    known = tuple(dict.fromkeys((*notes, *dataset.notes)))
    for note in known:
        listener.say(note)
    if folder.status()["state"] == "FINISHED" and not retrain:
        # What a server did not take then, it may take now.
        with Uploader(runs_dir, tracking_uri, experiment, track=track, say=listener.say) as uploader:
            uploader.notify(config.name)
        yield Run(folder, found=True)
        return
    judges = get_evaluator(dataset, config.samples, place, torch.get_num_threads()).classifiers
    if combine_sha256(judges) != config.extractor:
        raise UserError(
            f"the classifier that judges {dataset.name} is not the one this config was made for; make the config anew"
        )
    with folder.lock():
        if retrain:
            folder.clear()
        for note in (others := (*list_caveats(dataset, judges), *begun_by_other_code(folder))):
            listener.say(note)
        training = Training(config, variant, dataset, folder, place, pictured, listener, recording)
        environment = describe(training.device, dataset, config, judges, (*known, *others))
        folder.write_environment(environment | ({"cuda_graphs": True} if recording else {}))
        if data_dir is not None:
            folder.write_json(HERE, {"data_dir": str(Path(data_dir).absolute())})
        with Uploader(runs_dir, tracking_uri, experiment, track=track, say=listener.say) as uploader:
            training.notify = partial(uploader.notify, config.name)
            try:
                training.restore()
                yield training
            finally:
                # Its status, too, however it ended.
                uploader.notify(config.name)


def begun_by_other_code(folder: RunFolder) -> tuple[str, ...]:
    """A note for a run that goes on, where a part of it was trained by other code; it is kept from then on."""
    begun = folder.environment().get("code") not in (None, fingerprint()) and folder.checkpoint_epoch() is not None
    return (BEGUN_BY_OTHER_CODE,) if begun or BEGUN_BY_OTHER_CODE in folder.notes() else ()
