"""Seeds that are trained as one give what each gives alone, whatever the recipe; one that fails leaves the others."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks import Run, configure, train
from benchmarks.algorithm import batches
from benchmarks.algorithm.batches import epoch_batches, stacked_batches
from benchmarks.algorithm.epoch import Updates, anneal, prepare_training, train_updates
from benchmarks.algorithm.gan import make_gan
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.stacked import StackedGAN, part_of_seed
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Split
from benchmarks.executors import RunGroup, RunOptions, open_executor
from benchmarks.executors.base import split_job
from benchmarks.run_folder.folder import RunFolder
from benchmarks.training.checkpoint import TrainState
from benchmarks.training.listener import ProgressListener
from benchmarks.training.lockstep import Lockstep, train_group
from benchmarks.training.loop import Diverged
from tests.stacked_recipes import RECIPES, SEEDS, examples, farthest, loaded, names, recipe_of, started
from variants import Recipe, UserError
from variants.batch import Batch
from variants.losses import LOSSES
from variants.objective import objective
from variants.stacked import StackedNetwork

pytestmark = pytest.mark.usefixtures("checkpoints_stay")


def apart(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, updates: int, rates: tuple = (1.0, 1.0, 1.0)
) -> float:
    """How far seeds trained as one are from the same seeds trained alone, after so many updates over two epochs.

    rates: what the learning rates of each seed are multiplied by.
    """
    recipes = [of_rate(recipe_of(variant, dataset, changes), rate) for rate in rates]
    recipe = recipes[0]
    own = [started(variant, each, dataset, seed) for each, seed in zip(recipes, SEEDS, strict=True)]
    aim = objective(recipe)
    together = StackedGAN(copy.deepcopy(own), aim, recipe)
    # Of a few examples, gone through again and again, rounding grows faster than BOUND allows in 200 updates.
    data = [examples(dataset, seed, dtype, few=updates <= 20) for seed in SEEDS]
    worst = 0.0
    for epoch in (1, 2):
        ours = list(together.updates(data, SEEDS, epoch, updates // 2))
        together.hand_out()
        for place, (each, mine, seed) in enumerate(zip(own, data, SEEDS, strict=True)):
            theirs = list(train_updates(Updates(each, aim, recipes[place]), mine, seed, epoch, updates // 2))
            worst = max(worst, farthest(TrainState(together.alone[place]).tensors(), TrainState(each).tensors()))
            for measured, wanted in zip(ours, theirs, strict=True):
                worst = max(worst, farthest({name: value[place] for name, value in measured.items()}, wanted))
        # The next epoch begins as a resumed run would: from what was handed out.
        together = StackedGAN(together.alone, aim, recipe)
    return worst


def of_rate(recipe: Recipe, factor: float) -> Recipe:
    return recipe.with_({name: factor * getattr(recipe, name) for name in ("generator_lr", "discriminator_lr")})


MOSTLY_LONG = [
    pytest.param(*recipe, marks=() if place % 3 == 0 else pytest.mark.long) for place, recipe in enumerate(RECIPES)
]
PADDED = [recipe for recipe in RECIPES if recipe[0] != "dcgan" and recipe[1] == "digits"]
# Of a float64 trajectory: rounding of 1e-16, of which 2e-12 was seen after 20 updates and 9e-9 after 200.
BOUND = 1e-7


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
@pytest.mark.parametrize(("variant", "dataset", "changes"), PADDED, ids=names(PADDED))
def test_inputs_that_a_gpu_adds_to_linear_layers_change_nothing(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("variants.stacked.padding", lambda weight: 3)
    assert StackedNetwork([nn.Linear(5, 2)]).network.weight.shape == (1, 2, 8)
    assert apart(variant, dataset, changes, dtype, 10) < BOUND


@pytest.mark.parametrize("updates", [20, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
@pytest.mark.parametrize(("variant", "dataset", "changes"), MOSTLY_LONG, ids=names(RECIPES))
def test_seeds_trained_as_one_agree_with_each_alone(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, updates: int
) -> None:
    worst = apart(variant, dataset, changes, dtype, updates)
    print(f"{dtype}, {updates} updates: {worst:.1e}")
    assert worst < BOUND


RATED = [
    ("vanilla_gan", "ring8", {}),
    ("cgan_mlp", "digits", {"instance_noise": 0.5, "lr_decay": "linear"}),
    ("cgan_mlp", "digits", {"discriminator_normalization": "spectral", "averaging": 0.9}),
    ("dcgan", "digits", {"critic_steps": 2}),
]


@pytest.mark.long
@pytest.mark.parametrize("rates", [(0.5, 0.5, 2.0), (1.0, 3.0, 1.0)], ids=["neighbours", "apart"])
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
@pytest.mark.parametrize(("variant", "dataset", "changes"), RATED, ids=names(RATED))
def test_seeds_with_learning_rates_of_their_own_agree_with_each_alone(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, rates: tuple
) -> None:
    assert apart(variant, dataset, changes, dtype, 20, rates) < BOUND


@pytest.mark.parametrize("changes", [{"optimizer": "sgd"}, {"unrolled_steps": 1}], ids=["sgd", "unrolled"])
def test_a_recipe_that_would_read_one_rate_for_all_seeds_is_refused_several(changes: dict) -> None:
    recipes = [of_rate(recipe_of("vanilla_gan", "ring8", changes), rate) for rate in (1.0, 2.0)]
    own = [started("vanilla_gan", each, "ring8", seed) for each, seed in zip(recipes, (0, 1), strict=True)]
    with pytest.raises(ValueError, match="seeds with different learning rates cannot be trained as one"):
        StackedGAN(own, objective(recipes[0]), recipes[0])


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(("optimizer", "together"), [("adam", 3), ("sgd", 2)])
def test_runs_are_trained_as_one_where_their_optimiser_takes_several_rates(
    optimizer: str, together: int, tmp_path: Path
) -> None:
    wanted = configs("vanilla_gan", "ring8", optimizer=optimizer, beta1=0.0)
    wanted = [replace(each, recipe=of_rate(each.recipe, rate)) for each, rate in zip(wanted, (1, 1, 2), strict=True)]
    ended = trained(wanted, tmp_path)
    counts = [run.folder.environment().get("together", 1) for run in ended]
    assert counts == ([3, 3, 3] if together == 3 else [2, 2, 1])


class DrawnInFloat32(TorchFunctionMode):
    """Draws float32 numbers whatever the type asked for, which would otherwise change what is drawn."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if (name := getattr(function, "__name__", "")) in ("bernoulli_", "normal_"):
            return args[0].copy_(function(torch.empty_like(args[0], dtype=torch.float32), *args[1:], **kwargs))
        if name in ("rand", "randn"):
            return function(*args, **{**kwargs, "dtype": torch.float32}).to(torch.get_default_dtype())
        return function(*args, **kwargs)


class Off(TorchDispatchMode):
    """Multiplies every result by 1 + error or 1 - error, at random (Parker 1997, Monte Carlo arithmetic)."""

    def __init__(self, error: float, seed: int) -> None:
        super().__init__()
        self.error, self.stream = error, torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        # A view, or what is written to its place, has no result of its own.
        return (
            made if any(each.alias_info for each in func._schema.returns) else tree_map_only(Tensor, self.moved, made)
        )

    def moved(self, value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        return value * (1 + self.error * (2 * torch.randint(2, value.shape, generator=self.stream) - 1))


@contextmanager
def calculating(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with DrawnInFloat32():
            yield
    finally:
        torch.set_default_dtype(before)


# Enough to notice what is taken from another seed.
TWO = SEEDS[:2]


def one_update(
    variant: str, dataset: str, changes: dict, dtype: torch.dtype, way: str = "alone", off: Off | None = None
) -> dict[tuple, Tensor]:
    """All that the first update of each network measures, and its gradients, by seed and name, in float64.

    Weights, examples and noise are the same float32 numbers whatever the type. way: as one, or alone. off: errs.
    """
    recipe, found = recipe_of(variant, dataset, changes), {}
    aim, data = objective(recipe), [examples(dataset, seed, dtype) for seed in TWO]
    own = [started(variant, recipe, dataset, seed) for seed in TWO]
    own = [make_gan(each.generator.to(dtype), each.discriminator.to(dtype), recipe) for each in own]
    with calculating(dtype):
        for role in ("discriminator", "generator"):
            alone = copy.deepcopy(own)
            layers = [stream(seed, "layers", 1) for seed in TWO]
            if way == "as one":
                stack = StackedGAN(alone, aim, recipe)
                trained = [(TWO, stack.gan, stack.steps, layers, stacked_batches(recipe, data, TWO, 1))]
            else:
                trained = [
                    ((seed,), both, Updates(both, aim, recipe), layer, epoch_batches(recipe, split, seed, 1))
                    for seed, both, layer, split in zip(TWO, alone, layers, data, strict=True)
                ]
            for seeds, both, updates, drawn_from, batches in trained:
                prepare_training(both, drawn_from)
                anneal(both, recipe, 1.0)
                batch = next(batches)
                if off:
                    for weight in [*both.generator.parameters(), *both.discriminator.parameters()]:
                        weight.data = off.moved(weight.data)
                    batch = batch._replace(examples=off.moved(batch.examples), noise=off.moved(batch.noise))
                with off or nullcontext():
                    measured = getattr(updates, role)(batch)
                weights = dict(getattr(own[0], role).named_parameters())
                gradients = {n.removeprefix("network."): w.grad for n, w in getattr(both, role).named_parameters()}
                for place, seed in enumerate(seeds):
                    for name, value in measured.items():
                        found[seed, name] = (value[place] if way == "as one" else value).double()
                    for name, gradient in gradients.items():
                        assert gradient.isfinite().all()
                        part = part_of_seed(gradient, place, weights[name]) if way == "as one" else gradient
                        found[seed, role, name] = part.double()
    return found


# Half the distance from 1 to the next float32.
ROUNDING = 2.0**-24


def bounds(variant: str, dataset: str, changes: dict, wanted: dict[tuple, Tensor]) -> dict[tuple, float]:
    """How far rounding to float32 may take each result of one update, in whatever order a processor sums.

    A float32 sum of n products is the exact sum of products each of which is off by at most γ = n u / (1 - n u), u the
    rounding of one operation (Higham 2002, section 3.1). No sum of these networks has more terms than a batch has
    numbers. So every operation errs by at most γ, of what it is given or of its result; what becomes of that further
    on is seen in float64, with every operation's result, all weights and the batch off by γ, up or down at random. As
    signs may cancel, the largest of four draws counts, and γ of the result itself is added. The errors of a sum cancel
    too, and grow as √n rather than n, which leaves room for what four draws do not see.
    """
    terms = recipe_of(variant, dataset, changes).batch_size * loaded(DatasetConfig(dataset)).spec.size
    error = terms * ROUNDING / (1 - terms * ROUNDING)
    drawn = [one_update(variant, dataset, changes, torch.float64, off=Off(error, seed)) for seed in range(4)]
    return {
        name: max((each[name] - value).norm().item() for each in drawn) + error * value.norm().item()
        for name, value in wanted.items()
    }


@pytest.mark.long
@pytest.mark.parametrize(("variant", "dataset", "changes"), RECIPES, ids=names(RECIPES))
def test_one_update_in_float32_is_that_in_float64_but_for_rounding(variant: str, dataset: str, changes: dict) -> None:
    wanted = one_update(variant, dataset, changes, torch.float64)
    allowed = bounds(variant, dataset, changes, wanted)
    for way in ("alone", "as one"):
        ours = one_update(variant, dataset, changes, torch.float32, way)
        assert ours.keys() == wanted.keys()
        far = {name: (ours[name] - value).norm().item() for name, value in wanted.items()}
        print(way, f"{max(far[name] / allowed[name] for name in far if far[name]):.1e} of the bound")
        assert not {name: (each, allowed[name]) for name, each in far.items() if each > allowed[name]}


def test_the_bound_on_one_update_notices_fewer_digits() -> None:
    """Every operation off by the rounding of bfloat16, in the place of that of float32.

    Signs are drawn, so that in a single result they may cancel: most results, not all, are outside.
    """
    case = ("cgan_mlp", "digits", {"conditioning": "projection"})
    wanted = one_update(*case, torch.float64)
    allowed = bounds(*case, wanted)
    for seed in range(9, 12):
        ours = one_update(*case, torch.float64, off=Off(2.0**-9, seed))
        outside = [(ours[name] - value).norm() > allowed[name] for name, value in wanted.items()]
        assert sum(outside) > 0.5 * len(outside)


def test_each_kind_of_loss_and_term_is_among_the_recipes() -> None:
    """A loss that is added is tested here as well."""
    assert {changes.get("loss") for _, _, changes in RECIPES} >= set(LOSSES)


QUICK = {"epochs": 3, "epoch_updates": 4, "samples": 100, "thorough": False, "probes": ("generalization_gap",)}
OPTIONS = {"device": "cpu", "data_dir": None, "tracking_uri": None, "track": False}


def configs(variant: str = "cgan_mlp", dataset: str = "digits", **changes) -> list[RunConfig]:
    return [configure(variant, dataset, seed=seed, **{**QUICK, **changes}) for seed in SEEDS]


def trained(
    wanted: list[RunConfig], folder: Path, listener: ProgressListener | None = None, pictures: str = "none"
) -> list[Run | BaseException]:
    listeners = [listener or ProgressListener() for _ in wanted]
    return train_group(wanted, RunOptions(folder, pictures=pictures, **OPTIONS), (), listeners)


def alone(config: RunConfig, folder: Path, pictures: str = "none") -> Run:
    return train(config, runs_dir=folder, pictures=pictures, **OPTIONS)


def close(ours: Run, theirs: Run) -> None:
    """That two runs of one config left the same: trained in float64, and judged by samples in float32."""
    assert ours.config == theirs.config
    assert {file.name for file in ours.path.rglob("*")} == {file.name for file in theirs.path.rglob("*")}
    assert ours.folder.status() == theirs.folder.status()
    for mine, other in zip(ours.folder.lines(), theirs.folder.lines(), strict=True):
        assert mine.keys() == other.keys()
        assert mine["curves"] == pytest.approx(other["curves"], rel=BOUND)
        for part in ("metrics", "probes"):
            assert mine.get(part) == pytest.approx(other.get(part), rel=1e-3, abs=1e-4, nan_ok=True)
    mine, other = (run.folder.load_tensors("checkpoint.safetensors")[0] for run in (ours, theirs))
    assert all(value.dtype == torch.float64 for name, value in mine.items() if name.startswith("generator."))
    assert farthest(mine, other) < BOUND


@pytest.mark.long
@pytest.mark.usefixtures("in_float64")
def test_a_run_among_others_leaves_the_folder_that_it_leaves_alone(tmp_path: Path) -> None:
    """As many data as seeds: points of the plane are drawn from them."""
    wanted = configs("vanilla_gan", "ring8", unrolled_steps=1)
    ended = trained(wanted, tmp_path / "together", pictures="milestones")
    for config, run in zip(wanted, ended, strict=True):
        close(run, alone(config, tmp_path / "alone", "milestones"))
        assert run.folder.environment()["together"] == len(SEEDS)
    found = trained(wanted, tmp_path / "together")
    assert [run.found for run in found] == [True] * len(SEEDS)


class Stop(ProgressListener):
    """Interrupts the training in the middle of its second epoch, as Ctrl-C would."""

    def update(self, epoch: int, updates: int) -> None:
        if (epoch, updates) == (2, 2):
            raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.usefixtures("in_float64")
def test_a_run_goes_on_alone_or_among_others_whichever_way_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 0.0)
    wanted = configs(replay=0.5, replay_size=100, dropout=0.2)
    with pytest.raises(KeyboardInterrupt):
        trained(wanted, tmp_path / "mixed", Stop())
    folders = [RunFolder(tmp_path / "mixed" / config.name) for config in wanted]
    assert [folder.status() for folder in folders] == [{"state": "KILLED", "epoch": 1, "cause": "interrupted"}] * 3
    ended = [alone(wanted[0], tmp_path / "mixed"), *trained(wanted[1:], tmp_path / "mixed")]

    with pytest.raises(KeyboardInterrupt):
        train(wanted[1], runs_dir=tmp_path / "other", listener=Stop(), pictures="none", **OPTIONS)
    # One has come farther than the others: it goes on for itself, and they together.
    others = trained(wanted, tmp_path / "other")
    for config, run, other in zip(wanted, ended, others, strict=True):
        whole = alone(config, tmp_path / "alone")
        close(run, whole)
        close(other, whole)


@pytest.mark.usefixtures("in_float64")
def test_a_seed_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = configs("vanilla_gan", "ring8")
    real = batches.epoch_parts

    def broken(recipe: Recipe, data: Split, seed: int, epoch: int, ahead: batches.Ahead) -> Iterator[list[Batch]]:
        """The second seed's noise is not finite in the second epoch."""
        factor = torch.nan if (seed, epoch) == (SEEDS[1], 2) else 1
        for turns in real(recipe, data, seed, epoch, ahead):
            yield [turn._replace(noise=turn.noise * factor) for turn in turns]

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.algorithm.batches.epoch_parts", broken)
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
    listening = ProgressListener()
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
    stacked = StackedNetwork([started("dcgan_text", recipe, "captions_digits", seed).generator for seed in SEEDS])
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
    with pytest.raises(UserError, match=rf"no forward pass of several seeds for the layer {named}\("):
        StackedNetwork([nn.Sequential(nn.Linear(3, 3), layer)])


def test_layers_that_share_their_weights_are_refused() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    with pytest.raises(UserError, match="share their weights"):
        StackedNetwork([nn.Sequential(first, second)])


@pytest.mark.parametrize(
    ("variant", "stack", "workers", "among", "sizes"),
    [
        ("vanilla_gan", "on", 1, 1, [3]),
        ("vanilla_gan", "on", 2, 1, [2, 1]),
        ("vanilla_gan", "on", 8, 1, [1, 1, 1]),
        ("vanilla_gan", "on", 2, 30, [3]),  # other jobs keep the other worker busy
        ("vanilla_gan", "on", 8, 4, [2, 1]),
        ("vanilla_gan", "off", 1, 1, [1, 1, 1]),
        ("vanilla_gan", "auto", 1, 1, [1, 1, 1]),  # of a CPU
        ("dcgan", "on", 2, 1, [2, 1]),
        ("separate_gans", "auto", 1, 1, [1, 1, 1]),
    ],
)
def test_a_job_is_cut_into_parts_that_are_trained_as_one(
    variant: str, stack: str, workers: int, among: int, sizes: list[int]
) -> None:
    job, told = RunGroup(tuple(configs(variant)), ("a note",), among), []
    cut = split_job(job, RunOptions(device="cpu", stack=stack), workers, told.append)
    assert [len(part.configs) for part in cut] == sizes
    assert tuple(config for part in cut for config in part.configs) == job.configs
    assert {part.notes for part in cut} == {("a note",)}
    assert told == []


def test_who_asks_for_seeds_as_one_is_told_where_they_are_not() -> None:
    told: list[str] = []
    cut = split_job(RunGroup(tuple(configs("separate_gans"))), RunOptions(device="cpu", stack="on"), 1, told.append)
    assert len(cut) == len(SEEDS)
    assert [sentence.partition(": ")[0] for sentence in told] == ["seeds of separate_gans are trained one by one"]
    with pytest.raises(UserError, match="unknown choice of --stack 'onn'; did you mean 'on'"):
        RunOptions(stack="onn")


@pytest.mark.parametrize("executor", ["inline", pytest.param("processes", marks=pytest.mark.long)])
def test_executors_train_the_parts_of_a_job_as_one(executor: str, tmp_path: Path) -> None:
    job = RunGroup(tuple(configs("vanilla_gan", "ring8", epochs=1)))
    settings = RunOptions(tmp_path, device="cpu", pictures="none", track=False, stack="on")
    with open_executor(executor, settings, workers=1) as opened:
        results = [future.result(timeout=300) for future in opened.submit(job)]
    assert [(result.name, result.state) for result in results] == [(each.name, "FINISHED") for each in job.configs]
    together = [RunFolder(tmp_path / each.name).environment()["together"] for each in job.configs]
    assert together == [len(SEEDS)] * 3
