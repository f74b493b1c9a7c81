"""Trains one run: checks its config, locks its folder, sends it to MLflow, and lets the loop run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from benchmarks import plugins
from benchmarks.algorithm.cuda_graphs import make_recorder
from benchmarks.algorithm.device import check_precision, keep_memory, resolve_device
from benchmarks.config import RunConfig
from benchmarks.evaluation.classifiers import combine_sha256, list_caveats
from benchmarks.inference.run import Run
from benchmarks.pictures.epochs import choose_epochs
from benchmarks.run_folder.folder import HERE, RunFolder
from benchmarks.tracking.background import Uploader
from benchmarks.training.cache import get_evaluator, load_dataset
from benchmarks.training.configure import add_classifier, check
from benchmarks.training.inheritance import NOTE, check_parent, describe_breaks, load_parent
from benchmarks.training.listener import ProgressListener
from benchmarks.training.loop import KEPT, Training
from benchmarks.training.options import RunOptions
from benchmarks.training.provenance import describe_environment, fingerprint
from variants import UserError

BEGUN_BY_OTHER_CODE = "a part of it was trained by other code, before it was interrupted; --retrain trains it anew"


def train(
    config: RunConfig, *, notes: Sequence[str] = (), listener: ProgressListener | None = None, **options: Any
) -> Run:
    """Trains one run and returns it; returns the run that is there if it is trained already.

    notes: sentences for whoever reads the run, such as that other data replaced the data asked for. listener: hears
    how the training goes. options: fields of RunOptions, such as runs_dir, data_dir, device, pictures, tracking_uri,
    track, retrain or keep_checkpoint; not `threads` and `stack`, which belong to the executors.

    Resumes an interrupted run from its last checkpoint; a run with a parent begins from that of its parent. Raises
    UserError for a config that cannot be trained, Diverged for a loss that stops being finite, and KeyboardInterrupt
    after marking the run as killed.
    """
    if unread := options.keys() & {"threads", "stack"}:
        raise TypeError(f"train() does not read {', '.join(sorted(unread))}; executors do")
    with open_run(config, RunOptions(**options), notes, listener or ProgressListener()) as training:
        if isinstance(training, Run):
            return training
        training.run()
    return Run(training.folder)


@contextmanager
def open_run(
    config: RunConfig, options: RunOptions, notes: Sequence[str], listener: ProgressListener
) -> Iterator[Training | Run]:
    """Yields the Training of a run, its folder locked and MLflow listening; yields its Run if it is trained already.

    Checks the config, wherever it comes from: from `configure`, from a run folder, or from another process.
    """
    keep_memory()
    plugins.require(config, "this run")
    dataset = load_dataset(config.dataset, options.data_dir, config.seed)
    if dataset.checksum != config.checksum:
        raise UserError(f"the data of {dataset.name} is not what this config was made for; make the config anew")
    variant = check(config, dataset)
    device, pictured = resolve_device(options.device), choose_epochs(options.pictures, config.recipe.epochs)
    check_precision(config.precision, device)
    recording = make_recorder(device, variant, config.recipe, listener.say) if options.cuda_graphs else None
    # Last of the checks, because it may take minutes.
    config = add_classifier(config, options.data_dir)
    parent = check_parent(config, options, variant, dataset.spec)
    folder = RunFolder.create(options.runs_dir, config)
    notes = tuple(dict.fromkeys((*notes, *dataset.notes)))
    for note in notes:
        listener.say(note)
    uploader = partial(
        Uploader, options.runs_dir, options.tracking_uri, options.experiment, track=options.track, say=listener.say
    )
    status = folder.status()
    if status["state"] == "FINISHED" and not options.retrain:
        # Those that a kill left at the very end.
        folder.remove_checkpoints(keep_last=KEPT.items() <= status.items())
        # The server may accept now what it missed then.
        with uploader() as uploading:
            uploading.notify(config.name)
        yield Run(folder, found=True)
        return
    classifiers = get_evaluator(dataset, config.samples, device, torch.get_num_threads(), config.inception).classifiers
    if combine_sha256(classifiers) != config.extractor:
        raise UserError(
            f"the classifier that judges {dataset.name} is not the one this config was made for; make the config anew"
        )
    with folder.lock():
        if options.retrain:
            folder.clear()
        inherited = describe_breaks(parent, config) if parent else [n for n in folder.notes() if n.startswith(NOTE)]
        caveats = (*list_caveats(dataset, classifiers), *note_other_code(folder), *inherited)
        for note in caveats:
            listener.say(note)
        training = Training(
            config,
            variant,
            dataset,
            folder,
            device,
            pictured,
            listener,
            recording,
            options.keep_checkpoint,
            partial(load_parent, config, options),
        )
        environment = describe_environment(device, dataset, config, classifiers, (*notes, *caveats))
        folder.write_environment(environment | ({"cuda_graphs": True} if recording else {}))
        if options.data_dir is not None:
            folder.write_json(HERE, {"data_dir": str(options.data_dir.absolute())})
        with uploader() as uploading:
            training.notify = partial(uploading.notify, config.name)
            try:
                training.restore()
                yield training
            finally:
                # Its status, too, however it ended.
                uploading.notify(config.name)


def note_other_code(folder: RunFolder) -> tuple[str, ...]:
    """Returns a note for a run part of which was trained by other code; the note stays from then on."""
    begun = folder.environment().get("code") not in (None, fingerprint()) and folder.checkpoint_epoch() is not None
    return (BEGUN_BY_OTHER_CODE,) if begun or BEGUN_BY_OTHER_CODE in folder.notes() else ()
