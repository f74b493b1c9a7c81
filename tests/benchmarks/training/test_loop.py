"""One run, trained for real on the bundled digits: the same bits twice, and nothing lost when it is stopped."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import Run, configure, load_run, train
from benchmarks.algorithm.random_streams import stream
from benchmarks.config import DatasetConfig
from benchmarks.datasets import DATASETS, Dataset, depends_on_seed, load
from benchmarks.datasets.download import Unreachable
from benchmarks.run_folder.folder import ABSENT_REFERENCE, STATUS, list_run_folders
from benchmarks.training.cache import get_evaluator, load_dataset
from benchmarks.training.listener import ProgressListener
from benchmarks.training.loop import Diverged, Training
from tests.image_sets import NOISE, Images
from variants import UserError

QUICK = {"epochs": 3, "epoch_updates": 4, "samples": 200, "thorough": False}


def trained(
    folder: Path,
    variant: str = "cgan_mlp",
    dataset: str | DatasetConfig = "digits",
    listener: ProgressListener | None = None,
    pictures: str = "none",
    **changes,
) -> Run:
    config = configure(variant, dataset, **{**QUICK, **changes})
    return train(config, runs_dir=folder, track=False, pictures=pictures, listener=listener)


def result(run: Run) -> tuple[list[dict], bytes]:
    """What must be the same bits: the journal but for its clock, and the generator."""
    lines = [{k: v for k, v in line.items() if k != "timing"} for line in run.folder.lines()]
    return lines, (run.path / "generator.safetensors").read_bytes()


def pictures(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.folder.pictures().values()}


def own_images(folder: Path, size: int, colour: bool = False) -> DatasetConfig:
    """Noise in three classes, of so many pixels a side."""
    Images((30,) * 3, (NOISE,) * 3, size, size, colour=colour, twice=False, seed=0).write(folder / "own")
    return DatasetConfig(f"folder:{folder / 'own'}", image_size=size)


def ended(run: Run) -> dict:
    """How a run ended; twelve updates may well have a symptom, which is tested on its own."""
    return {name: value for name, value in run.folder.status().items() if name != "symptoms"}


class Stop(ProgressListener):
    """Interrupts the training in the middle of an epoch, as Ctrl-C would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def update(self, epoch: int, updates: int) -> None:
        if epoch == self.epoch and updates == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("whole"), pictures="milestones")


def test_a_run_leaves_its_results_in_its_folder(whole: Run) -> None:
    there = {path.name for path in whole.path.iterdir()}
    wanted = "config.json metrics.jsonl status.json environment.json facts.json reference.json generator.safetensors"
    assert there >= {*wanted.split(), "losses.png", "networks.png", "samples.gif", "samples"}
    assert not {name for name in there if name.startswith("checkpoint")}
    assert ended(whole) == {"state": "FINISHED", "epoch": 3}
    assert [line["epoch"] for line in whole.folder.lines()] == [0, 1, 2, 3]
    assert {"fid", "accuracy", "accuracy_class_0", "mode_coverage"} <= set(whole.metrics)
    assert set(whole.metrics) - set(whole.folder.reference()) == set()
    assert json.loads((whole.path / "environment.json").read_text())["recipe"] == "small"


def test_what_the_last_evaluation_could_not_measure_stands_in_the_facts(tmp_path: Path) -> None:
    """Five samples have no 5th neighbour; more of them do."""
    few = trained(tmp_path, epochs=1, samples=5)
    assert "precision" not in few.metrics
    assert "only 5 real examples are compared" in few.folder.absent()["precision"]
    assert not set(few.folder.absent()) & set(few.metrics)
    assert "precision" in few.folder.absent(ABSENT_REFERENCE)
    more = trained(tmp_path, epochs=1, samples=50)
    assert "precision" in more.metrics
    assert "precision" not in more.folder.absent() | more.folder.absent(ABSENT_REFERENCE)


def test_samples_that_are_not_finite_are_counted_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Callable:
        return lambda condition, count: torch.full((count, 1, 8, 8), math.nan)

    monkeypatch.setattr("benchmarks.training.loop.sampler", broken)
    config = configure("cgan_mlp", "digits", epochs=1, epoch_updates=2, samples=20, thorough=False)
    run = train(config, runs_dir=tmp_path, track=False, pictures="none")
    assert [line["metrics"] for line in run.folder.lines()] == [{"not_finite_samples": 20.0}] * 2
    assert run.folder.absent()["fid"] == "20 of 20 samples are not finite"


def test_the_same_seed_gives_the_same_bits_and_another_does_not(whole: Run, tmp_path: Path) -> None:
    torch.rand(3)  # the global random state does not matter
    again = trained(tmp_path / "again", pictures="milestones")
    assert (result(again), pictures(again)) == (result(whole), pictures(whole))
    other = trained(tmp_path / "other", seed=1)
    assert result(other)[1] != result(whole)[1]


@pytest.mark.long
def test_the_order_of_runs_changes_nothing(tmp_path: Path) -> None:
    """Data, judges and metrics of real data are kept from one run to the next; what was run before must not show."""
    runs = {"cgan_mlp": {}, "vanilla_gan": {}, "dcgan": {"epochs": 1}}
    there = {name: result(trained(tmp_path / "there", name, **changes)) for name, changes in runs.items()}
    back = {name: result(trained(tmp_path / "back", name, **runs[name])) for name in reversed(runs)}
    assert there == back


def by_one_thread_more(folder: Path, **changes) -> Run:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        return trained(folder, **changes)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.long
@pytest.mark.usefixtures("in_float64")
def test_another_number_of_threads_changes_no_more_than_the_last_digits_of_a_sum(tmp_path: Path) -> None:
    """What is documented: the same bits need the same number of threads."""
    one, other = trained(tmp_path / "one"), by_one_thread_more(tmp_path / "more")
    for ours, theirs in zip(one.folder.lines(), other.folder.lines(), strict=True):
        assert theirs["curves"] == pytest.approx(ours["curves"], rel=1e-7)


def test_the_real_side_that_a_process_keeps_is_of_one_number_of_threads(whole: Run, tmp_path: Path) -> None:
    get_evaluator.cache_clear()
    by_one_thread_more(tmp_path / "other", epochs=1, epoch_updates=1)
    assert result(trained(tmp_path / "again")) == result(whole)


def test_training_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    trained(tmp_path, "dcgan", epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(
    whole: Run, tmp_path: Path, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, listener=Stop(epoch), pictures="milestones")
    stopped = load_run(tmp_path / whole.path.name)
    assert ended(stopped) == {"state": "KILLED", "epoch": epoch - 1, "cause": "interrupted"}
    # Epoch 0 is judged after the first epoch.
    assert [line["epoch"] for line in stopped.folder.lines()] == list(range(epoch if epoch > 1 else 0))
    resumed = trained(tmp_path, pictures="milestones")
    assert (result(resumed), pictures(resumed)) == (result(whole), pictures(whole))


def test_a_run_that_is_stopped_while_it_ends_says_so_and_ends_when_asked_again(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.training.loop.animate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, pictures="milestones")
    stopped = load_run(tmp_path / whole.path.name)
    assert ended(stopped) == {"state": "KILLED", "epoch": 3, "cause": "interrupted"}
    assert result(trained(tmp_path)) == result(whole)


@pytest.mark.long
@pytest.mark.parametrize(
    "remedy",
    [
        {"replay": 0.5, "replay_size": 200},
        {"averaging": 0.9},
        {"instance_noise": 0.5, "lr_decay": "linear"},
        {"optimizer": "sgd"},
        {"discriminator_normalization": "spectral", "dropout": 0.2},
    ],
    ids=lambda remedy: next(iter(remedy)),
)
def test_what_a_remedy_keeps_is_in_the_checkpoint(
    tmp_path: Path, remedy: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    quick = {"evaluate_every": 3, "samples": 100, **remedy}
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", listener=Stop(3), **quick)
    assert result(trained(tmp_path / "stopped", **quick)) == result(trained(tmp_path / "whole", **quick))


def test_a_convolutional_run_goes_on_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights lie in memory channels last, and a checkpoint's tensors do not; of one channel, both are the same."""
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    images = own_images(tmp_path, 8, colour=True)
    quick = {"variant": "dcgan", "dataset": images, "evaluate_every": 3, "samples": 20, "batch_size": 8}
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", listener=Stop(3), **quick)
    assert result(trained(tmp_path / "stopped", **quick)) == result(trained(tmp_path / "whole", **quick))


def test_a_smaller_precision_is_another_run_with_the_same_bits_each_time(whole: Run, tmp_path: Path) -> None:
    first = trained(tmp_path / "first", precision="bfloat16")
    assert result(first) == result(trained(tmp_path / "second", precision="bfloat16"))
    assert first.config.key != whole.config.key
    assert result(first)[1] != result(whole)[1]
    assert {weight.dtype for weight in first.generator.state_dict().values()} == {torch.float32}
    assert first.generate(labels=[3]).dtype == torch.float32
    assert "--precision bfloat16" in json.loads((first.path / "environment.json").read_text())["command"]


def test_reference_values_are_measured_once_for_all_runs_of_a_protocol(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(tmp_path, epochs=1)
    measured = first.folder.reference()
    assert measured == whole.folder.reference()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("benchmarks.evaluation.evaluator.Evaluator.measure_real_data", fail)
    assert trained(tmp_path, epochs=1, seed=1).folder.reference() == measured
    monkeypatch.setattr("benchmarks.training.cache.fingerprint", lambda: "other code")
    with pytest.raises(AssertionError, match="measured again"):
        trained(tmp_path, epochs=1, seed=2)


def test_seeds_share_the_real_side_where_their_data_is_the_same() -> None:
    digits, ring = DatasetConfig("digits"), DatasetConfig("ring8")
    assert load_dataset(digits, None, 3) is load_dataset(digits, None, 4)
    assert load_dataset(digits, None, 3) is not load_dataset(DatasetConfig("digits", examples=300), None, 3)
    assert load_dataset(ring, None, 3).checksum != load_dataset(ring, None, 4).checksum


def test_data_that_no_seed_changes_is_read_once_for_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []

    def counted(config: DatasetConfig, data_dir: Path | None, seed: int) -> Dataset:
        read.append((config.name, seed))
        return load(config, data_dir, seed)

    monkeypatch.setattr("benchmarks.training.cache.load", counted)
    # Of a size that no other test loads.
    digits = DatasetConfig("digits", examples=371)
    assert len({load_dataset(digits, None, seed).checksum for seed in (3, 4, 5)}) == 1
    assert len({load_dataset(DatasetConfig("ring8", sigma=0.0371), None, seed).checksum for seed in (3, 4)}) == 2
    assert read == [("digits", 0), ("ring8", 3), ("ring8", 4)]
    # A function that says nothing of it, such as a plugin's, may depend on the seed.
    monkeypatch.setitem(
        DATASETS, "theirs", lambda config, data_dir, seed: load(DatasetConfig("digits"), data_dir, seed)
    )
    assert depends_on_seed(DatasetConfig("theirs"))
    assert not depends_on_seed(DatasetConfig("folder:somewhere"))


def test_the_data_that_auto_chooses_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for by their own name afterwards, and then without the notes on the choice."""
    read: list[str] = []

    def counted(config: DatasetConfig, data_dir: Path | None, seed: int) -> Dataset:
        read.append(config.name)
        return load(config, data_dir, seed)

    monkeypatch.setattr("benchmarks.training.cache.load", counted)
    chosen = load_dataset(DatasetConfig("auto", examples=372), tmp_path, 3)
    named = load_dataset(DatasetConfig("digits", examples=372), tmp_path, 4)
    assert read == ["auto"]
    assert (chosen.name, len(chosen.notes), len(named.notes)) == ("digits", 1, 0)
    assert named.checksum == chosen.checksum == load(DatasetConfig("digits", examples=372)).checksum


def test_a_finished_run_is_found_not_trained_again(whole: Run) -> None:
    before = result(whole)
    found = trained(whole.path.parent)
    assert found.found
    assert result(found) == before


def test_a_loss_that_is_not_finite_fails_the_run_and_keeps_its_curves(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"discriminator_loss is .* in epoch 1"):
        trained(tmp_path, loss="wasserstein", generator_lr=1e30, discriminator_lr=1e30)
    (folder,) = list_run_folders(tmp_path)
    run = load_run(folder.path)
    status = run.folder.status()
    assert status["state"] == "FAILED"
    assert status["epoch"] == 1
    assert "discriminator_loss is" in status["cause"]
    curves = run.folder.lines()[-1]["curves"]
    assert not math.isfinite(curves["discriminator_loss"])


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("CUDA out of memory.\nTried 2 GiB"), "RuntimeError: CUDA out of memory. Tried 2 GiB"),
        (KeyError("a bug in a plugin"), "KeyError: 'a bug in a plugin'"),
        (SystemExit(3), "SystemExit: 3"),
        (UserError("cannot write it: full"), "cannot write it: full"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_ends_a_run_from_outside_is_kept_and_the_run_goes_on(
    error: BaseException, cause: str, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    real = Training.train_epoch

    def ending(self: Training, epoch: int) -> dict:
        if epoch == 2:
            raise error
        return real(self, epoch)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "train_epoch", ending)
        with pytest.raises(type(error)):
            trained(tmp_path)
    (folder,) = list_run_folders(tmp_path)
    # As it stands in the file: reading would call it killed whatever was written.
    assert folder.read_json(STATUS) == folder.status() == {"state": "KILLED", "epoch": 1, "cause": cause}
    again = trained(tmp_path)
    assert again.folder.status()["state"] == "FINISHED"
    assert result(again) == result(whole)


def test_a_conditional_run_generates_what_is_asked(whole: Run) -> None:
    images = whole.generate(labels=[7, 7, 1])
    assert images.shape == (3, 1, 8, 8)
    assert images.abs().max() <= 1
    assert torch.equal(images, load_run(whole.path).generate(labels=[7, 7, 1]))
    assert not torch.equal(images, whole.generate(labels=[7, 7, 1], seed=1))
    assert whole.generate().shape[0] == 64
    with pytest.raises(UserError, match="labels are whole numbers from 0 to 9, not"):
        whole.generate(labels=[10])
    with pytest.raises(UserError, match="3 labels for 2 samples"):
        whole.generate(labels=[1, 2, 3], count=2)


def test_an_unconditional_run_takes_no_labels(tmp_path: Path) -> None:
    run = trained(tmp_path, "vanilla_gan", epochs=1)
    assert run.generate(count=5).shape == (5, 1, 8, 8)
    assert not any(name.startswith("accuracy") for name in run.metrics)
    with pytest.raises(UserError, match="unconditional"):
        run.generate(labels=[1])


def test_points_are_trained_judged_and_drawn(tmp_path: Path) -> None:
    config = configure("vanilla_gan", "ring8", epochs=2, epoch_updates=5, samples=500, thorough=False)
    run = train(config, runs_dir=tmp_path, track=False)
    assert {"overlap", "modes_captured", "high_quality", "mode_kl"} <= set(run.metrics)
    assert "fid_pixels" not in run.metrics
    assert run.generate(count=7).shape == (7, 2)
    assert list(run.folder.pictures()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"variant": "cgan_mpl"}, "unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'?"),
        ({"dataset": "digit"}, "unknown dataset 'digit'; did you mean 'digits'?"),
        ({"recipe": "reprot"}, "unknown recipe of cgan_mlp 'reprot'; did you mean 'report'?"),
        ({"loss": "saturated"}, "unknown loss 'saturated'; did you mean 'saturating'?"),
        ({"noise": "gausian"}, "unknown noise 'gausian'; did you mean 'gaussian'?"),
        ({"batch_size": 5000}, "--batch-size 5000 is more than the 899 examples of digits"),
        ({"epochs": 0}, "--epochs is at least 1, not 0"),
        ({"samples": 1}, "--samples is at least 2, not 1"),
        ({"pack": 5}, "--batch-size 64 cannot be cut into packs of 5"),
        ({"gradient_penalty": 1.0, "discriminator_normalization": "batch"}, "--gradient-penalty needs the gradient"),
        ({"label_smoothing": 0.1, "loss": "hinge"}, "--label-smoothing is for cross-entropy"),
        ({"matching_aware": True}, "--matching-aware compares captions"),
        ({"precision": "float16"}, "unknown precision 'float16'; did you mean 'bfloat16'? (it is one of float32"),
        ({"precision": "bfloat16", "r1": 1.0}, "--r1 takes the gradient of a gradient, of which bfloat16 leaves too"),
        ({"precision": "bfloat16", "unrolled_steps": 2}, "--unrolled-steps takes the gradient of a gradient"),
        ({"upsampling": "resize"}, "--upsampling would change nothing here; it needs --generator-layers convolutional"),
        ({"variant": "cgan_conv", "embedding_size": 5}, "--embedding-size would change nothing here"),
        ({"variant": "dcgan", "dataset": "ring8"}, "dcgan cannot be trained on data of shape (2,)"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    tmp_path: Path, asked: dict, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        train(configure(**{"variant": "cgan_mlp", "dataset": "digits", **asked}), runs_dir=tmp_path / "runs")
    assert str(refused.value).startswith(sentence)
    assert not (tmp_path / "runs").exists()


def test_streams_differ_by_seed_name_and_epoch() -> None:
    first = [stream(*key).initial_seed() for key in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]]
    assert len(set(first)) == 4
    assert stream(0, "a", 0).initial_seed() == first[0]


def test_shuffled_conditions_are_those_of_others_and_packs_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.algorithm import epoch
    from benchmarks.algorithm.gan import make_gan
    from benchmarks.datasets import load
    from variants import load_variant
    from variants.objective import objective

    data = load(DatasetConfig("digits"))
    known = load_variant("cgan_mlp")

    def shown(**changes: object) -> tuple[torch.Tensor, torch.Tensor]:
        """The conditions that real examples come with, and the labels that they have."""
        recipe = known.recipe("small").with_({"pack": 2, **changes})
        seen, labels = [], []
        with monkeypatch.context() as patched:
            patched.setattr(epoch, "discriminator_update", lambda p, o, r, batch: seen.append(batch.condition) or {})
            patched.setattr(epoch, "generator_update", lambda *_: {})
            images = type(data.train).condition
            patched.setattr(type(data.train), "condition", lambda self, i: labels.append(images(self, i)) or labels[-1])
            both = make_gan(*known.build(data.spec, recipe), recipe)
            list(epoch.train_updates(epoch.Updates(both, objective(recipe), recipe), data.train, 0, 1, 1))
        return seen[0], next(each for each in labels if len(each) == recipe.batch_size)

    own, labels = shown()
    others, same = shown(shuffled_conditions=True)
    assert torch.equal(labels, same)
    assert torch.equal(own, labels)
    assert torch.equal(others, labels.roll(2))
    assert torch.equal(others[::2], others[1::2])
    assert (others != labels).float().mean() > 0.8


def test_conditions_that_are_not_there_cannot_be_shuffled() -> None:
    with pytest.raises(UserError, match="--shuffled-conditions"):
        configure("vanilla_gan", "digits", shuffled_conditions=True)


def test_notes_on_data_name_no_folder_that_was_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are published with the report; a default folder is told as it is, and not where on this machine it lies."""

    def unreachable(*_: object) -> None:
        raise Unreachable("no network")

    monkeypatch.setattr("benchmarks.datasets.download.guard", unreachable)
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (note,) = load_dataset(DatasetConfig("auto"), None, 0).notes
    assert "MNIST is not complete in data/MNIST/raw" in note
    assert str(tmp_path) not in note
