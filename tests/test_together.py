"""Seeds that are trained as one give what each gives alone, whatever the recipe; one that fails leaves the others."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import Run, batches, configure, train
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Split, load
from benchmarks.executors import Job, Settings, open_executor
from benchmarks.executors.base import parts
from benchmarks.journal import RunFolder
from benchmarks.randomness import initialisation
from benchmarks.steps import Players, players
from benchmarks.together import Lockstep, Stack, train_together
from benchmarks.training import Diverged, TrainState, Watcher
from benchmarks.updates import Updates, train_updates
from variants import Recipe, Refused, load_variant
from variants.exchange import Batch
from variants.losses import LOSSES
from variants.objective import objective
from variants.seeds import Seeds

loaded = cache(load)
SEEDS = (0, 7, 3)
SMALL = {"batch_size": 16, "noise_size": 6, "generator_widths": (12, 10), "discriminator_widths": (10, 12)}

# Every variant that can be trained so, and every field of the recipe that changes what a step computes.
RECIPES: list[tuple[str, str, dict]] = [
    ("vanilla_gan", "ring8", {}),
    ("vanilla_gan", "digits", {"generator_normalization": "none"}),
    ("vanilla_gan", "stacked_digits", {"instance_noise": 0.3, "dropout": 0.2}),
    *(("cgan_mlp", "digits", {"conditioning": c}) for c in ("embedding", "channel", "projection", "generator")),
    ("cgan_mlp", "digits", {"conditioning": "auxiliary", "pack": 2}),
    ("cgan_mlp", "digits", {"embedding_size": 3, "discriminator_normalization": "batch", "averaging": 0.9}),
    ("cgan_mlp", "digits", {"discriminator_normalization": "spectral", "dropout": 0.3}),
    ("cgan_mlp", "digits", {"minibatch_discrimination": 3, "critic_steps": 2}),
    ("cgan_mlp", "digits", {"pack": 4, "critic_steps": 3, "critic_batch": "same"}),
    ("cgan_mlp", "digits", {"replay": 0.5, "replay_size": 60}),
    ("cgan_mlp", "digits", {"instance_noise": 0.5, "lr_decay": "linear"}),
    ("cgan_mlp", "digits", {"optimizer": "sgd", "beta1": 0.0, "generator_lr": 0.05, "discriminator_lr": 0.05}),
    ("cgan_mlp", "digits", {"optimizer": "sgd", "beta1": 0.5, "generator_lr": 0.05, "discriminator_lr": 0.05}),
    ("cgan_mlp", "digits", {"loss": "wasserstein", "gradient_penalty": 10.0, "pack": 2}),
    ("cgan_mlp", "digits", {"loss": "wasserstein", "weight_clip": 0.1}),
    ("cgan_mlp", "digits", {"loss": "relativistic", "r1": 1.0, "r2": 1.0}),
    ("cgan_mlp", "digits", {"r1": 1.0, "discriminator_normalization": "spectral"}),
    ("cgan_mlp", "digits", {"label_smoothing": 0.1, "shuffled_conditions": True}),
    ("vanilla_gan", "ring8", {"unrolled_steps": 3}),
    ("vanilla_gan", "ring8", {"unrolled_steps": 2, "optimizer": "sgd"}),
    ("dcgan", "digits", {}),
    ("dcgan", "stacked_digits", {"dropout": 0.3, "instance_noise": 0.3}),
    ("dcgan", "digits", {"upsampling": "resize", "downsampling": "pool", "upsampling_kernel": 3}),
    ("dcgan", "digits", {"discriminator_normalization": "spectral", "r1": 1.0, "upsampling": "pixel_shuffle"}),
    ("cgan_conv", "digits", {"minibatch_discrimination": 2}),
    ("cgan_conv", "digits", {"conditioning": "embedding", "averaging": 0.0, "discriminator_normalization": "none"}),
    ("dcgan_text", "captions_digits", {"matching_aware": True, "embedding_size": 5}),
    *(("vanilla_gan", "ring8", {"loss": loss}) for loss in LOSSES if loss not in ("wasserstein", "relativistic")),
]


def examples(dataset: str, seed: int, dtype: torch.dtype) -> Split:
    data = loaded(DatasetConfig(dataset), seed=seed).train
    if hasattr(data, "source"):
        return replace(data, source=data.source.to(dtype) / 127.5 - 1)
    return replace(data, data=data.images(slice(None)).to(dtype))


def recipe_of(variant: str, dataset: str, changes: dict) -> Recipe:
    small = "points" if dataset == "ring8" else "small"
    return load_variant(variant).recipe(small).with_({**SMALL, "epochs": 2, **changes})


def names(recipes: list[tuple[str, str, dict]]) -> list[str]:
    return [f"{variant}-{dataset}-{'-'.join(map(str, changes.values()))}" for variant, dataset, changes in recipes]


def started(variant: str, recipe: Recipe, dataset: str, seed: int) -> Players:
    with initialisation(seed):
        networks = load_variant(variant).build(loaded(DatasetConfig(dataset)).spec, recipe)
    return players(*(network.to(memory_format=torch.channels_last) for network in networks), recipe)


def farthest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference between two states, relative to the largest value of its tensor."""
    assert set(ours) == set(theirs)
    worst = 0.0
    for name, value in theirs.items():
        assert ours[name].shape == value.shape
        assert value.isfinite().all()
        difference = (ours[name].double() - value.double()).abs().max()
        worst = max(worst, (difference / value.double().abs().max().clamp(min=1e-6)).item())
    return worst


def apart(variant: str, dataset: str, changes: dict, dtype: torch.dtype, updates: int) -> float:
    """How far seeds trained as one are from the same seeds trained alone, after so many updates over two epochs."""
    recipe = recipe_of(variant, dataset, changes)
    own = [started(variant, recipe, dataset, seed) for seed in SEEDS]
    aim = objective(recipe)
    together = Stack(copy.deepcopy(own), aim, recipe)
    data = [examples(dataset, seed, dtype) for seed in SEEDS]
    worst = 0.0
    for epoch in (1, 2):
        ours = list(together.updates(data, SEEDS, epoch, updates // 2))
        together.hand_out()
        for place, (each, mine, seed) in enumerate(zip(own, data, SEEDS, strict=True)):
            theirs = list(train_updates(Updates(each, aim, recipe), mine, seed, epoch, updates // 2))
            worst = max(worst, farthest(TrainState(together.alone[place]).tensors(), TrainState(each).tensors()))
            for measured, wanted in zip(ours, theirs, strict=True):
                worst = max(worst, farthest({name: value[place] for name, value in measured.items()}, wanted))
        # The next epoch begins as a resumed run would: from what was handed out.
        together = Stack(together.alone, aim, recipe)
    return worst


PADDED = [recipe for recipe in RECIPES if recipe[0] != "dcgan" and recipe[1] == "digits"]


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
@pytest.mark.parametrize(("variant", "dataset", "changes"), PADDED, ids=names(PADDED))
def test_inputs_that_a_gpu_adds_to_linear_layers_change_nothing(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("variants.seeds.padding", lambda weight: 3)
    assert Seeds([nn.Linear(5, 2)]).network.weight.shape == (1, 2, 8)
    assert apart(variant, dataset, changes, dtype, 10) < 1e-9


# Batch normalisation of a few units lets rounding grow the most: 9e-9 was seen in float64.
@pytest.mark.parametrize(
    ("dtype", "updates", "bound"),
    [pytest.param(torch.float64, 200, 1e-7, marks=pytest.mark.long), (torch.float32, 20, 1e-3)],
    indirect=["dtype"],
    ids=["float64", "float32"],
)
@pytest.mark.parametrize(("variant", "dataset", "changes"), RECIPES, ids=names(RECIPES))
def test_seeds_trained_as_one_agree_with_each_alone(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, updates: int, bound: float
) -> None:
    worst = apart(variant, dataset, changes, dtype, updates)
    print(f"{dtype}, {updates} updates: {worst:.1e}")
    assert worst < bound


def test_each_kind_of_loss_and_term_is_among_the_recipes() -> None:
    """A loss that is added is tested here as well."""
    assert {changes.get("loss") for _, _, changes in RECIPES} >= set(LOSSES)


QUICK = {"epochs": 3, "epoch_updates": 4, "samples": 100, "thorough": False, "probes": ("generalization_gap",)}
OPTIONS = {"device": "cpu", "data_dir": None, "pictures": "milestones", "tracking_uri": None, "track": False}


def configs(variant: str = "cgan_mlp", dataset: str = "digits", **changes) -> list[RunConfig]:
    return [configure(variant, dataset, seed=seed, **{**QUICK, **changes}) for seed in SEEDS]


def trained(wanted: list[RunConfig], folder: Path, watcher: Watcher | None = None) -> list[Run | BaseException]:
    watchers = [watcher or Watcher() for _ in wanted]
    return train_together(wanted, watchers, runs_dir=folder, retrain=False, cuda_graphs=False, notes=(), **OPTIONS)


def alone(config: RunConfig, folder: Path) -> Run:
    return train(config, runs_dir=folder, **OPTIONS)


def figures(run: Run) -> list[dict[str, float]]:
    parts = ("curves", "metrics", "probes")
    return [{k: v for part in parts for k, v in line.get(part, {}).items()} for line in run.folder.lines()]


def close(ours: Run, theirs: Run) -> None:
    """That two runs of one config left the same, to rounding."""
    assert ours.config == theirs.config
    assert {file.name for file in ours.path.rglob("*")} == {file.name for file in theirs.path.rglob("*")}
    assert ours.folder.status() == theirs.folder.status()
    for mine, other in zip(figures(ours), figures(theirs), strict=True):
        assert mine == pytest.approx(other, rel=1e-3, abs=1e-4, nan_ok=True)
    mine, other = (run.folder.load_tensors("checkpoint.safetensors")[0] for run in (ours, theirs))
    assert farthest(mine, other) < 1e-3


def test_a_run_among_others_leaves_the_folder_that_it_leaves_alone(tmp_path: Path) -> None:
    """As many data as seeds: points of the plane are drawn from them."""
    wanted = configs("vanilla_gan", "ring8", unrolled_steps=1)
    ended = trained(wanted, tmp_path / "together")
    for config, run in zip(wanted, ended, strict=True):
        close(run, alone(config, tmp_path / "alone"))
        assert run.folder.environment()["together"] == len(SEEDS)
    found = trained(wanted, tmp_path / "together")
    assert [run.found for run in found] == [True] * len(SEEDS)


class Stop(Watcher):
    """Interrupts the training in the middle of its second epoch, as Ctrl-C would."""

    def update(self, epoch: int, updates: int) -> None:
        if (epoch, updates) == (2, 2):
            raise KeyboardInterrupt


def test_a_run_goes_on_alone_or_among_others_whichever_way_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.CHECKPOINT_SECONDS", 0.0)
    wanted = configs(replay=0.5, replay_size=100, dropout=0.2)
    with pytest.raises(KeyboardInterrupt):
        trained(wanted, tmp_path / "mixed", Stop())
    folders = [RunFolder(tmp_path / "mixed" / config.name) for config in wanted]
    assert [folder.status() for folder in folders] == [{"state": "KILLED", "epoch": 1, "cause": "interrupted"}] * 3
    ended = [alone(wanted[0], tmp_path / "mixed"), *trained(wanted[1:], tmp_path / "mixed")]

    with pytest.raises(KeyboardInterrupt):
        train(wanted[1], runs_dir=tmp_path / "other", watcher=Stop(), **OPTIONS)
    # One has come farther than the others: it goes on for itself, and they together.
    others = trained(wanted, tmp_path / "other")
    for config, run, other in zip(wanted, ended, others, strict=True):
        whole = alone(config, tmp_path / "alone")
        close(run, whole)
        close(other, whole)


def test_a_seed_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = configs("vanilla_gan", "ring8")
    real = batches.epoch_parts

    def broken(recipe: Recipe, data: Split, seed: int, epoch: int, ahead: batches.Ahead) -> Iterator[list[Batch]]:
        """The second seed's noise is not finite in the second epoch."""
        factor = torch.nan if (seed, epoch) == (SEEDS[1], 2) else 1
        for turns in real(recipe, data, seed, epoch, ahead):
            yield [turn._replace(noise=turn.noise * factor) for turn in turns]

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.batches.epoch_parts", broken)
        first, failed, last = trained(wanted, tmp_path / "together")
    assert isinstance(failed, Diverged)
    status = RunFolder(tmp_path / "together" / wanted[1].name).status()
    assert (status["state"], status["epoch"]) == ("FAILED", 2)
    assert "is nan in epoch 2" in status["cause"]
    for config, run in ((wanted[0], first), (wanted[2], last)):
        close(run, alone(config, tmp_path / "alone"))


def test_what_ends_all_seeds_at_once_has_failed_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Lockstep, united: object, epoch: int) -> dict:
        raise RuntimeError("CUDA out of memory")

    wanted = configs("vanilla_gan", "ring8")
    with monkeypatch.context() as patched:
        patched.setattr(Lockstep, "train_epoch", full)
        assert [type(each) for each in trained(wanted, tmp_path)] == [RuntimeError] * len(wanted)
    folders = [RunFolder(tmp_path / config.name) for config in wanted]
    told = {"state": "KILLED", "epoch": 0, "cause": "RuntimeError: CUDA out of memory"}
    assert [folder.status() for folder in folders] == [told] * len(wanted)
    assert [run.folder.status()["state"] for run in trained(wanted, tmp_path)] == ["FINISHED"] * len(wanted)


@pytest.mark.parametrize(
    ("variant", "changes", "sentence"),
    [
        ("separate_gans", {}, "each seed deals its batch out to the classes in other parts"),
        ("cgan_mlp", {"loss": "mixing"}, "its loss does not keep a leading axis of seeds"),
    ],
)
def test_what_cannot_be_stacked_says_so_and_is_trained_one_by_one(
    tmp_path: Path, variant: str, changes: dict, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = LOSSES["non_saturating"]
    monkeypatch.setitem(LOSSES, "mixing", replace(known, generator=lambda real, fake: -fake.mean()))
    told: list[str] = []
    listening = Watcher()
    listening.say = told.append  # type: ignore[method-assign]
    wanted = configs(variant, epochs=1, **changes)[:2]
    ended = trained(wanted, tmp_path / "together", listening)
    assert told == [f"seeds are trained one by one: {sentence}"] * 2
    for config, run in zip(wanted, ended, strict=True):
        assert run.generate(labels=[1]).equal(alone(config, tmp_path / "alone").generate(labels=[1]))
        assert "together" not in run.folder.environment()


def test_the_weights_of_recurrent_layers_stay_as_they_lie_when_they_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU torch lays them out for cuDNN, which takes those of one network."""
    recipe = recipe_of("dcgan_text", "captions_digits", {})
    stacked = Seeds([started("dcgan_text", recipe, "captions_digits", seed).generator for seed in SEEDS])
    monkeypatch.setattr(nn.GRU, "flatten_parameters", lambda self: pytest.fail("they are laid out anew"))
    copied = copy.deepcopy(stacked)
    assert all(map(torch.equal, copied.parameters(), stacked.parameters()))


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.BatchNorm1d(3), "BatchNorm1d"),
        (nn.GRU(3, 3, num_layers=2, batch_first=True), "GRU"),
        (nn.Conv2d(1, 1, 3, padding_mode="circular"), "Conv2d"),
        (nn.Embedding(3, 3, padding_idx=0), "Embedding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_layer_that_is_not_known_is_refused(layer: nn.Module, named: str) -> None:
    with pytest.raises(Refused, match=rf"no forward pass of several seeds for the layer {named}\("):
        Seeds([nn.Sequential(nn.Linear(3, 3), layer)])


def test_layers_that_share_their_weights_are_refused() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    with pytest.raises(Refused, match="share their weights"):
        Seeds([nn.Sequential(first, second)])


@pytest.mark.parametrize(
    ("variant", "changes", "stack", "workers", "sizes"),
    [
        ("vanilla_gan", {}, "on", 1, [3]),
        ("vanilla_gan", {}, "on", 2, [2, 1]),
        ("vanilla_gan", {}, "on", 8, [1, 1, 1]),
        ("vanilla_gan", {}, "off", 1, [1, 1, 1]),
        ("vanilla_gan", {}, "auto", 1, [1, 1, 1]),  # of a CPU
        ("dcgan", {}, "on", 2, [2, 1]),
        ("separate_gans", {}, "auto", 1, [1, 1, 1]),
    ],
)
def test_a_job_is_cut_into_parts_that_are_trained_as_one(
    variant: str, changes: dict, stack: str, workers: int, sizes: list[int]
) -> None:
    job, told = Job(tuple(configs(variant, **changes)), ("a note",)), []
    cut = parts(job, Settings(device="cpu", stack=stack), workers, told.append)
    assert [len(part.configs) for part in cut] == sizes
    assert tuple(config for part in cut for config in part.configs) == job.configs
    assert {part.notes for part in cut} == {("a note",)}
    assert told == []


def test_who_asks_for_seeds_as_one_is_told_where_they_are_not() -> None:
    told: list[str] = []
    cut = parts(Job(tuple(configs("separate_gans"))), Settings(device="cpu", stack="on"), 1, told.append)
    assert len(cut) == len(SEEDS)
    assert [sentence.partition(": ")[0] for sentence in told] == ["seeds of separate_gans are trained one by one"]
    with pytest.raises(Refused, match="unknown choice of --stack 'onn'; did you mean 'on'"):
        Settings(stack="onn")


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_executors_train_the_parts_of_a_job_as_one(executor: str, tmp_path: Path) -> None:
    job = Job(tuple(configs("vanilla_gan", "ring8", epochs=1)))
    settings = Settings(tmp_path, device="cpu", pictures="none", track=False, stack="on")
    with open_executor(executor, settings, workers=1) as opened:
        results = [future.result(timeout=300) for future in opened.submit(job)]
    assert [(result.name, result.state) for result in results] == [(each.name, "FINISHED") for each in job.configs]
    together = [RunFolder(tmp_path / each.name).environment()["together"] for each in job.configs]
    assert together == [len(SEEDS)] * 3
