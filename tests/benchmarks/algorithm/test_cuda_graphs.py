"""Updates that are recorded and replayed give what they give as they stand, and nothing in them waits for the device.

There is no GPU here: a rehearsal takes the place of a CUDA graph. Like one, it does nothing while it records, reads its
batches where they were then, and writes what it measures to the same tensors again and again. One test needs a GPU.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import benchmarks.algorithm.epoch
from benchmarks import configure, train
from benchmarks.algorithm.cuda_graphs import (
    WARM_UPDATES,
    Recorded,
    Recorder,
    make_recorder,
    make_updates,
    why_unrecordable,
)
from benchmarks.algorithm.device import resolve_device
from benchmarks.algorithm.epoch import Measured, Updates, mean_values, train_updates
from benchmarks.algorithm.gan import GAN, build_gan
from benchmarks.algorithm.stacked import Abreast, StackedGAN
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Split
from benchmarks.executors.base import forward_messages
from benchmarks.training.checkpoint import TrainState
from benchmarks.training.listener import ProgressListener
from benchmarks.training.lockstep import train_group
from benchmarks.training.options import RunOptions
from tests.gpu import on_a_gpu
from tests.stacked_recipes import RECIPES, SEEDS, examples, farthest, loaded, names, recipe_of, started
from variants import Recipe, UserError, load_variant
from variants.blocks import draw_from
from variants.objective import objective
from variants.remedies import Noisy

pytestmark = pytest.mark.usefixtures("checkpoints_stay")

# More than come before a recording, in each epoch.
COUNT = WARM_UPDATES + 2
SEPARATE = ("separate_gans", "digits", {})


class Rehearsal:
    """What a CUDA graph does, on a CPU."""

    stream = None

    def __init__(self) -> None:
        self.warmed = self.recorded = self.replayed = 0
        self.streams: list[Generator] = []

    def warm(self, work: Callable[[], Tensor]) -> Tensor:
        self.warmed += 1
        return work()

    def record(self, work: Callable[[], Tensor], streams: Sequence[Generator]) -> tuple[Tensor, Callable[[], None]]:
        self.recorded += 1
        self.streams += streams
        result = torch.empty(0)

        def replay() -> None:
            self.replayed += 1
            done = work()
            result.resize_as_(done).copy_(done)

        return result, replay


class WaitsForTheDevice(Exception):
    """An operation that does."""


class NothingWaits(TorchDispatchMode):
    """Within it, what would make the host wait for a GPU is an error."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "_unique2", "equal", "bincount")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in self.WAITING:
            raise WaitsForTheDevice(func)
        return func(*args, **(kwargs or {}))


def data_of(dataset: str, seed: int) -> Split:
    return examples(dataset, seed, torch.float32)


def recordable(recipes: list[tuple[str, str, dict]]) -> list[tuple[str, str, dict]]:
    return [each for each in recipes if not why_unrecordable(load_variant(each[0]), recipe_of(*each))]


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize(("variant", "dataset", "changes"), recordable(RECIPES), ids=names(recordable(RECIPES)))
def test_recorded_updates_give_the_same_bits(variant: str, dataset: str, changes: dict) -> None:
    recipe, data = recipe_of(variant, dataset, changes), data_of(dataset, 0)
    theirs = started(variant, recipe, dataset, 0)
    ours, rehearsal, aim = copy.deepcopy(theirs), Rehearsal(), objective(recipe)
    recorded, plain = Recorded(ours, aim, recipe, rehearsal), Updates(theirs, aim, recipe)
    for epoch in (1, 2):
        mine = list(train_updates(recorded, data, 0, epoch, COUNT))
        for measured, wanted in zip(mine, train_updates(plain, data, 0, epoch, COUNT), strict=True):
            same(measured, wanted)
        # What happens between epochs, to the networks of a probe for instance, is not in the way.
        draw_from(ours.discriminator, torch.Generator())
    same(TrainState(ours).tensors(), TrainState(theirs).tensors())
    assert rehearsal.warmed == 2 * WARM_UPDATES
    assert rehearsal.recorded == 2
    assert rehearsal.replayed == 2 * COUNT * (1 + recipe.critic_steps) - 2 * WARM_UPDATES


def test_several_seeds_are_recorded_as_one() -> None:
    recipe = recipe_of("cgan_mlp", "digits", {"dropout": 0.3, "averaging": 0.9})
    aim, rehearsal, data = objective(recipe), Rehearsal(), [data_of("digits", seed) for seed in SEEDS]
    own = [started("cgan_mlp", recipe, "digits", seed) for seed in SEEDS]
    ours, theirs = StackedGAN(copy.deepcopy(own), aim, recipe, rehearsal), StackedGAN(own, aim, recipe)
    for epoch in (1, 2):
        for measured, wanted in zip(
            list(ours.updates(data, SEEDS, epoch, COUNT)), theirs.updates(data, SEEDS, epoch, COUNT), strict=True
        ):
            same(measured, wanted)
    same(TrainState(ours.gan).tensors(), TrainState(theirs.gan).tensors())
    assert rehearsal.replayed == 4 * COUNT - 2 * WARM_UPDATES
    # Of each seed one for the layers and one for the updates, known to either recording.
    assert len(set(rehearsal.streams)) == 2 * len(SEEDS)


def changing(both: GAN) -> list[Any]:
    """What an update reads that is no tensor, and so would be as it was at the recording."""
    rates = [each.param_groups[0]["lr"] for each in (both.generator_optimizer, both.discriminator_optimizer)]
    noise = [module.deviation for module in both.discriminator.modules() if isinstance(module, Noisy)]
    return [*rates, *noise, both.replay and both.replay.filled]


@pytest.mark.parametrize(("variant", "dataset", "changes"), [*RECIPES, SEPARATE], ids=names([*RECIPES, SEPARATE]))
def test_what_waits_or_changes_besides_tensors_is_not_recorded(
    variant: str, dataset: str, changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all else is, or the list of what is not would be too long."""
    # torch's own looks at the labels on a CPU, and not on a GPU.
    monkeypatch.setattr("variants.conditioning.one_hot", lambda labels, n: (labels[:, None] == torch.arange(n)).long())
    recipe, data = recipe_of(variant, dataset, changes), data_of(dataset, 0)
    both, why = started(variant, recipe, dataset, 0), ""
    updates, before, rehearsal = Updates(both, objective(recipe), recipe), None, Waiting()
    updates.discriminator, updates.generator = map(rehearsal.watched, (updates.discriminator, updates.generator))
    for _ in train_updates(updates, data, 0, 1, COUNT):
        now = changing(both)
        why = why or ("changes" if before not in (None, now) else "")
        before = now
    assert bool(why_unrecordable(load_variant(variant), recipe)) == bool(why or rehearsal.waited)


class Waiting:
    """Sees whether an update waits for the device, once there is what the first ones make."""

    def __init__(self) -> None:
        self.waited = False

    def watched(self, update: Callable) -> Callable:
        done = []

        def watched(batch: Any) -> Measured:
            done.append(batch)
            if len(done) > 1 and not self.waited:
                try:
                    with NothingWaits():
                        return update(batch)
                except WaitsForTheDevice:
                    self.waited = True
            return update(batch)

        return watched


def rehearsed(monkeypatch: pytest.MonkeyPatch) -> list[Rehearsal]:
    """Has training rehearse where it was to record."""
    made: list[Rehearsal] = []

    def instead(device: torch.device, variant: Any, recipe: Recipe, say: Callable[[str], None]) -> Recorder | None:
        if why := why_unrecordable(variant, recipe):
            say(why)
            return None
        made.append(Rehearsal())
        return made[-1]

    monkeypatch.setattr("benchmarks.training.train.make_recorder", instead)
    return made


def test_a_run_with_recorded_updates_is_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rehearsed(monkeypatch)
    config = configure("cgan_mlp", "digits", epochs=3, epoch_updates=4, samples=100, dropout=0.2, thorough=False)
    options = {"device": "cpu", "pictures": "none", "track": False}
    ours = train(config, runs_dir=tmp_path / "ours", cuda_graphs=True, **options)
    theirs = train(config, runs_dir=tmp_path / "theirs", **options)
    (rehearsal,) = made
    assert rehearsal.replayed == 24 - 2 * WARM_UPDATES
    same(*(run.folder.load_tensors("checkpoint.safetensors")[0] for run in (ours, theirs)))
    assert [line["metrics"] for line in ours.folder.lines() if "metrics" in line] == [
        line["metrics"] for line in theirs.folder.lines() if "metrics" in line
    ]
    assert ours.folder.environment()["cuda_graphs"] is True
    assert "cuda_graphs" not in theirs.folder.environment()


def test_seeds_with_convolutions_are_recorded_each_and_trained_abreast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rehearsed(monkeypatch)
    changes = {"epochs": 3, "epoch_updates": 4, "samples": 100, "thorough": False}
    wanted = [configure("dcgan", "digits", seed=seed, dropout=0.2, **changes) for seed in SEEDS]
    options = {"device": "cpu", "data_dir": None, "pictures": "none", "tracking_uri": None, "track": False}
    told: list[tuple[int, int]] = []

    class Told(ProgressListener):
        def update(self, epoch: int, updates: int) -> None:
            told.append((epoch, updates))

    listeners = [Told(), ProgressListener(), ProgressListener()]
    ended = train_group(wanted, RunOptions(tmp_path / "abreast", cuda_graphs=True, **options), (), listeners)
    assert [rehearsal.replayed for rehearsal in made] == [24 - 2 * WARM_UPDATES] * len(SEEDS)
    assert told == [(epoch, update) for epoch in (1, 2, 3) for update in (1, 2, 3, 4)]
    for config, ours in zip(wanted, ended, strict=True):
        theirs = train(config, runs_dir=tmp_path / "alone", **options)
        same(*(run.folder.load_tensors("checkpoint.safetensors")[0] for run in (ours, theirs)))
        assert [line["curves"] for line in ours.folder.lines()] == [line["curves"] for line in theirs.folder.lines()]


def test_what_is_not_recorded_is_told_and_trained_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = rehearsed(monkeypatch), []
    config = configure("cgan_mlp", "digits", epochs=1, epoch_updates=2, samples=100, lr_decay="linear", thorough=False)
    options = {"device": "cpu", "pictures": "none", "track": False}
    run = train(config, runs_dir=tmp_path, cuda_graphs=True, listener=forward_messages(told.append), **options)
    assert told == ["--lr-decay changes from update to update, and a CUDA graph does not"]
    assert not made
    assert "cuda_graphs" not in run.folder.environment()


def test_on_a_gpu_the_person_is_told_what_is_not_recorded() -> None:
    told: list[str] = []
    variant = load_variant("separate_gans")
    assert make_recorder(torch.device("cuda"), variant, variant.recipe("small"), told.append) is None
    assert told == ["trained without CUDA graphs: each seed deals its batch out to the classes in other parts"]


def test_what_cannot_be_recorded_after_all_is_refused_with_its_cause() -> None:
    class Failing(Rehearsal):
        def record(self, work: Callable[[], Measured], streams: Sequence[Generator]) -> Any:
            raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be …")

    recipe = recipe_of("vanilla_gan", "ring8", {})
    both = started("vanilla_gan", recipe, "ring8", 0)
    with pytest.raises(UserError) as refused:
        list(train_updates(Recorded(both, objective(recipe), recipe, Failing()), data_of("ring8", 0), 0, 1, COUNT))
    cause = "operation not permitted when stream is capturing"
    assert str(refused.value) == f"this cannot be recorded as a CUDA graph ({cause}); leave out --cuda-graphs"


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
def test_cuda_graphs_give_what_updates_give_as_they_stand(dtype: torch.dtype) -> None:
    device = torch.device("cuda")
    for variant, dataset, changes in recordable(RECIPES):
        known, recipe, data = (
            load_variant(variant),
            recipe_of(variant, dataset, changes),
            examples(dataset, 0, dtype).to(device),
        )
        states = []
        for recording in (None, make_recorder(device, known, recipe, pytest.fail)):
            both = build_gan(known, loaded(DatasetConfig(dataset)).spec, recipe, 0, device)
            updates = make_updates(both, objective(recipe), recipe, recording)
            measured = [last for epoch in (1, 2) for last in train_updates(updates, data, 0, epoch, COUNT)]
            states.append(TrainState(both).tensors() | measured[-1])
        for name, value in states[0].items():
            assert torch.allclose(states[1][name], value, rtol=1e-6, atol=1e-9), (variant, changes, name)


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
def test_seeds_on_a_gpu_agree_with_each_alone(dtype: torch.dtype) -> None:
    """As one, and abreast; recorded, and as they stand."""
    device = resolve_device("cuda")
    for variant, dataset, changes in recordable(RECIPES):
        recipe, data = recipe_of(variant, dataset, changes), [examples(dataset, s, dtype).to(device) for s in SEEDS]
        known, aim = load_variant(variant), objective(recipe)
        spec = loaded(DatasetConfig(dataset)).spec
        own = [build_gan(known, spec, recipe, seed, device) for seed in SEEDS]
        ways = {}
        for recorded in (False, True):
            stacked, beside = copy.deepcopy(own), copy.deepcopy(own)
            recorders = [make_recorder(device, known, recipe, pytest.fail) for _ in SEEDS]
            lanes = [each.stream for each in recorders]
            if not recorded:
                recorders = [None] * len(SEEDS)
            steps = [make_updates(both, aim, recipe, each) for both, each in zip(beside, recorders, strict=True)]
            ways |= {("as one", recorded): StackedGAN(stacked, aim, recipe, recorders[0])}
            ways |= {("abreast", recorded): Abreast(beside, steps, lanes)}
        for epoch in (1, 2):
            curves = [way.curves(list(way.updates(data, SEEDS, epoch, COUNT))) for way in ways.values()]
            wanted = [
                mean_values(list(train_updates(Updates(each, aim, recipe), split, seed, epoch, COUNT)))
                for each, split, seed in zip(own, data, SEEDS, strict=True)
            ]
            for mine in curves:
                for name, values in mine.items():
                    assert values == pytest.approx([each[name] for each in wanted], rel=1e-6), (variant, changes, name)
        for way, trained in ways.items():
            worst = max(
                farthest(TrainState(mine).tensors(), TrainState(each).tensors())
                for mine, each in zip(trained.alone, own, strict=True)
            )
            print(way, variant, dataset, changes, f"{worst:.1e}")
            assert worst < 1e-6, (way, variant, changes)


@pytest.mark.long
@pytest.mark.parametrize("way", ["one seed", "recorded", "seeds as one", "seeds recorded as one"])
def test_the_discriminators_curves_are_means_over_all_its_updates(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three updates measures 30, the others what they are; so the last one alone would not do."""
    done: list[Measured] = []
    update = benchmarks.algorithm.epoch.discriminator_update

    def noted(*arguments: Any) -> Measured:
        measured = update(*arguments)
        if len(done) % 3 == 1:
            measured["d_real"] = torch.full_like(measured["d_real"], 30.0)
        done.append({name: value.clone() for name, value in measured.items()})
        return measured

    monkeypatch.setattr(benchmarks.algorithm.epoch, "discriminator_update", noted)
    rehearsed(monkeypatch)
    changes = {"epochs": 2, "epoch_updates": 3, "critic_steps": 3, "samples": 100, "thorough": False}
    seeds = SEEDS if "seeds" in way else SEEDS[:1]
    wanted = [configure("cgan_mlp", "digits", seed=seed, probes=(), **changes) for seed in seeds]
    options = {"device": "cpu", "data_dir": None, "pictures": "none", "tracking_uri": None, "track": False}
    run_options = RunOptions(tmp_path, cuda_graphs="recorded" in way, **options)
    ended = train_group(wanted, run_options, (), [ProgressListener() for _ in seeds])
    assert len(done) == 2 * 3 * 3
    for place, run in enumerate(ended):
        first, *lines = run.folder.lines()
        assert first["epoch"] == 0
        for line, of_epoch in zip(lines, (done[:9], done[9:]), strict=True):
            for name in done[0]:
                mean = torch.stack([each[name].reshape(-1)[place] for each in of_epoch]).mean().item()
                assert line["curves"][name] == pytest.approx(mean, rel=1e-5), name
            assert line["curves"]["d_real"] > 10
