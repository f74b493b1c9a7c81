"""What is timed is what it is said to be: operations by hand, the stock loop beside ours, and honest tables."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.algorithm.gan import build_gan
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.pictures import growth_curves
from benchmarks.questions.presets import PRESETS
from benchmarks.speed import main
from benchmarks.suites.plan import make_plan
from benchmarks.suites.tuning import timed
from benchmarks.timing import evaluation, growth, start, stock, suites
from benchmarks.timing.cases import Case
from benchmarks.timing.contestants import Ours, Real
from benchmarks.timing.products import operations
from benchmarks.timing.rounds import Spread, in_turn, ratios
from benchmarks.timing.tables import fill, markdown, number, spread
from tests.conftest import ROOT, Done
from variants import UserError, load_variant
from variants.batch import Batch
from variants.blocks import BatchNorm, draw_from
from variants.objective import objective

Called = Callable[..., Done]
CPU = torch.device("cpu")

# ---- operations and products


def by_hand(batch: int, generator: list[int], discriminator: list[int]) -> int:
    """Operations of one update of each network, from the widths of their linear layers."""

    def layers(widths: list[int]) -> list[int]:
        return [2 * batch * before * after for before, after in pairwise(widths)]

    g, d = layers(generator), layers(discriminator)
    # D1: fakes without gradients; both batches forward; gradients of weights, and of all inputs but the first ones.
    first = sum(g) + 2 * sum(d) + 2 * (sum(d) + sum(d[1:]))
    # D2: forward through both; the discriminator's inputs alone; the generator's weights, and inputs but the first.
    second = sum(g) + sum(d) + sum(d) + sum(g) + sum(g[1:])
    return first + second


RING = Case("vanilla_gan", "ring8", changes={"batch_size": 32, "epoch_updates": 3, "epochs": 2})


@pytest.fixture(scope="module")
def ring() -> Ours:
    return Ours(RING)


def test_the_operations_of_an_update_are_those_of_its_layers(ring: Ours) -> None:
    assert operations(ring.networks) == by_hand(32, [2, 128, 128, 2], [2, 128, 128, 1])


def test_the_products_alone_are_those_of_the_update(ring: Ours) -> None:
    # 3 of the generator and 6 of the discriminator forward, 6 + 4 back; then 6 forward, and 3 + 3 + 2 back.
    assert len(ring._products) == 33
    assert operations(ring.products) == operations(ring.networks)


def test_several_seeds_as_one_are_so_many_updates_of_their_own_batches() -> None:
    ours = Ours(replace(RING, seeds=3))
    assert len(ours._products) == 33
    assert operations(ours.networks) == operations(ours.products) == 3 * operations(Ours(RING).networks)
    (part,) = ours._parts
    for batch in part.kept:
        assert batch.noise.shape == (3, 32, 2)
        assert not batch.noise[0].equal(batch.noise[1])
    before = next(part.gan.generator.parameters()).clone()
    ours.loop()
    ours.networks()
    after = next(part.gan.generator.parameters())
    assert (before != after).flatten(1).any(1).all()


def test_a_precision_that_the_device_has_not_is_not_timed() -> None:
    with pytest.raises(UserError, match=r"^the device 'cpu' does not train in tf32; take --precision float32$"):
        Ours(replace(RING, precision="tf32"))


def test_seeds_that_cannot_be_trained_as_one_are_not_timed_so() -> None:
    with pytest.raises(UserError, match=r"^seeds of separate_gans are trained one by one: each seed deals"):
        Ours(Case("separate_gans", "digits", seeds=2))


def test_a_unit_of_the_loop_is_one_update_and_epochs_follow_each_other(ring: Ours, monkeypatch) -> None:
    epochs: list[int] = []

    def noted(seed: int, name: str, epoch: int, device: torch.device) -> torch.Generator:
        epochs.append(epoch)
        return stream(seed, name, epoch, device)

    monkeypatch.setattr("benchmarks.algorithm.epoch.stream", noted)
    assert ring.seconds_for("loop", 7) > 0
    assert set(epochs) == {1, 2}
    assert ring.count_in("loop", 0.0) == 1


@pytest.mark.long
def test_a_real_run_is_taken_apart() -> None:
    run = Real(RING).run(seconds=0.6, per_update=0.1)
    assert (run["epochs"], run["updates"]) == (2, 6)
    parts = run["training_seconds"], run["evaluation_seconds"], run["probe_seconds"]
    assert all(part >= 0 for part in parts)
    assert 0 < sum(parts) < run["seconds"]
    assert run["memory_mib"] > 0


# ---- the stock loop


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
@pytest.mark.parametrize(
    ("name", "dataset", "changes"),
    [
        ("cgan_mlp", "digits", {}),
        ("dcgan", "digits", {"loss": "saturating"}),
        ("cgan_conv", "digits", {}),
        ("separate_gans", "digits", {}),
        ("vanilla_gan", "ring8", {}),
    ],
)
def test_the_stock_loop_has_the_losses_of_ours(name: str, dataset: str, changes: dict, dtype: torch.dtype) -> None:
    """In float64: the generator's loss is of a discriminator that was updated, and an update amplifies rounding."""
    variant, data = load_variant(name), load(DatasetConfig(dataset))
    recipe = variant.recipe(variant.recipe_for(data.spec)).with_(changes)
    ours = build_gan(variant, data.spec, recipe, 3, CPU)
    with initialisation(3):
        generator, discriminator = (stock.usual(network) for network in variant.build(data.spec, recipe))
    assert not any(isinstance(module, BatchNorm) for module in [*generator.modules(), *discriminator.modules()])
    for network in (ours.generator, ours.discriminator):
        draw_from(network.train(), stream(0, "layers"))
    noise, other = torch.randn(2, recipe.batch_size, recipe.noise_size, generator=stream(0, "noise"))
    chosen = torch.arange(recipe.batch_size)
    real, condition = data.train.images(chosen).to(dtype), data.train.condition(chosen)
    aim, within = objective(recipe), stream(0, "updates")
    wanted = discriminator_update(ours, aim, recipe, Batch(real, condition, noise, condition, within))
    wanted |= generator_update(ours, aim, recipe, Batch(real, condition, other, condition.flip(0), within))

    betas = (recipe.beta1, recipe.beta2)
    rates = zip((discriminator, generator), (recipe.discriminator_lr, recipe.generator_lr), strict=True)
    for_discriminator, for_generator = (torch.optim.Adam(n.parameters(), lr=rate, betas=betas) for n, rate in rates)
    logged = stock.discriminator_step(generator, discriminator, for_discriminator, real, condition, noise)
    logged |= stock.generator_step(generator, discriminator, for_generator, other, condition.flip(0), recipe.loss)
    for name, value in logged.items():
        assert value == pytest.approx(wanted[name].item(), rel=1e-9), name


@pytest.mark.parametrize("dataset", ["digits", "ring8", "captions_digits"])
def test_the_stock_loop_sees_the_same_examples(dataset: str) -> None:
    data = load(DatasetConfig(dataset)).train
    loader = stock.batches(data, 16)
    for index in (0, 7):
        example, condition = loader.dataset[index]
        torch.testing.assert_close(example, data.images(torch.tensor([index]))[0])
        assert torch.equal(torch.as_tensor(condition), data.condition(torch.tensor([index]))[0])
    examples, conditions = next(iter(loader))
    assert examples.shape == (16, *data.images(slice(0, 1)).shape[1:])
    assert conditions.shape == data.condition(torch.arange(16)).shape


@pytest.mark.parametrize("batches", ["fresh", "same"])
def test_the_stock_loop_takes_as_many_discriminator_steps(batches: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variant, data = load_variant("vanilla_gan"), load(DatasetConfig("ring8"))
    recipe = variant.recipe("points").with_({"critic_steps": 3, "critic_batch": batches, "averaging": 0.9})
    seen: list[torch.Tensor] = []
    step = stock.discriminator_step

    def noted(generator, discriminator, optimizer, real, *rest) -> dict[str, float]:
        seen.append(real)
        return step(generator, discriminator, optimizer, real, *rest)

    monkeypatch.setattr(stock, "discriminator_step", noted)
    loop = stock.train(*variant.build(data.spec, recipe), stock.batches(data.train, recipe.batch_size), recipe)
    assert all(math.isfinite(value) for value in next(loop).values())
    next(loop)
    assert len(seen) == 6
    assert torch.equal(seen[0], seen[1]) is (batches == "same")
    assert not torch.equal(seen[2], seen[3])


@pytest.mark.parametrize(
    "changes",
    [
        {"replay": 0.5},
        {"loss": "hinge"},
        {"noise": "uniform"},
        {"optimizer": "sgd"},
        {"lr_decay": "linear"},
        {"conditioning": "auxiliary"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_stock_loop_refuses_what_it_would_do_otherwise(changes: dict) -> None:
    recipe = load_variant("cgan_mlp").recipe("small")
    stock.refuse_what_it_does_not_know(recipe)
    [(name, value)] = changes.items()
    with pytest.raises(UserError, match=f"does not know --{name.replace('_', '-')} {value}"):
        stock.refuse_what_it_does_not_know(recipe.with_(changes))


def test_the_usual_layers_have_the_same_weights() -> None:
    variant, data = load_variant("cgan_mlp"), load(DatasetConfig("digits"))
    generator, discriminator = variant.build(data.spec, variant.recipe("report"))
    before = {id(parameter) for network in (generator, discriminator) for parameter in network.parameters()}
    usual = [stock.usual(network) for network in (generator, discriminator)]
    assert {id(parameter) for network in usual for parameter in network.parameters()} == before
    assert [type(module) for module in usual[1].modules()].count(nn.Dropout) == 3


@pytest.mark.parametrize("normalization", ["none", "batch", "spectral"])
def test_the_usual_convolutions_are_torchs_own(normalization: str) -> None:
    """None of them by blocks of pixels, whatever stands around them; on the same weights they give the same."""
    variant, data = load_variant("dcgan"), load(DatasetConfig("digits"))
    recipe = variant.recipe("small").with_({"discriminator_normalization": normalization})
    made: dict[bool, list[torch.Tensor]] = {}
    noise = torch.randn(6, recipe.noise_size, generator=stream(0, "noise"))
    for usual in (False, True):
        with initialisation(0):
            generator, discriminator = variant.build(data.spec, recipe)
        if usual:
            generator, discriminator = stock.usual(generator), stock.usual(discriminator)
        with torch.profiler.profile() as profiled:
            images = generator(noise)
            made[usual] = [images, discriminator(images).logits]
        by_blocks = {event.key for event in profiled.key_averages()} & {"aten::pixel_shuffle", "aten::pixel_unshuffle"}
        assert bool(by_blocks) is not usual
    torch.testing.assert_close(made[True], made[False], rtol=1e-4, atol=1e-5)


# ---- rounds and tables


def test_things_are_timed_in_turn_and_compared_round_by_round() -> None:
    order: list[str] = []
    clock = iter([1.0, 2.0, 30.0, 10.0, 4.0, 6.0])

    def timed(name: str) -> Callable[[], float]:
        return lambda: order.append(name) or next(clock)

    measured = in_turn({"a": timed("a"), "b": timed("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured == {"a": [1.0, 10.0, 4.0], "b": [2.0, 30.0, 6.0]}
    assert ratios(measured["b"], measured["a"]) == Spread(median=2.0, least=1.5, most=3.0)


def test_figures_are_written_with_their_range() -> None:
    assert [number(each) for each in (12345.6, 99.96, 0.01234)] == ["12,346", "100", "0.0123"]
    assert spread({"median": 0.25, "least": 0.2, "most": 0.31}, "%") == "25 % (20–31)"
    assert spread({"median": 2.0, "least": 2.0, "most": 2.0}, "×") == "2×"


def start_figures(**changes: Any) -> dict[str, Any]:
    machine = {"processor": "P", "cores": 2, "threads": 2, "torch": "2", "device": "cpu", "load_before": 0.0}
    seconds = {"`import torch`": {"median": 1.5, "least": 1.4, "most": 2.0}}
    return {"kind": "start", "machine": machine, "rounds": 3, "notes": [], "seconds": seconds} | changes


def test_a_page_is_filled_from_the_files_that_it_names(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n<!-- table: a/one.json -->\nold\n<!-- end -->\n\n<!-- table: two.json -->\n<!-- end -->\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.json").write_text(json.dumps(start_figures(notes=["it was warm"])))
    said = fill(page)
    assert said.splitlines() == [
        "a/one.json: written",
        "two.json: not there, so its place says that it was not measured",
    ]
    text = page.read_text()
    assert "| `import torch` | 1.5 (1.4–2) |" in text
    assert "- it was warm" in text
    assert "old" not in text
    assert "<!-- table: two.json -->\n*Not measured yet.*\n<!-- end -->" in text
    fill(page)
    assert page.read_text() == text

    (tmp_path / "two.json").write_text(json.dumps({"kind": "training"}))
    with pytest.raises(UserError, match=r"two\.json does not hold figures"):
        fill(page)
    (tmp_path / "two.json").write_text(json.dumps({"kind": "other"}))
    with pytest.raises(UserError, match="their kind is 'other'"):
        fill(page)
    page.write_text("# A")
    with pytest.raises(UserError, match="no place for a table"):
        fill(page)


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
def test_the_tables_of_the_documentation_are_those_of_its_files(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / name
    before = (ROOT / name).read_text(encoding="utf-8")
    page.write_text(before, encoding="utf-8")
    assert "not there" not in fill(page)
    assert page.read_text(encoding="utf-8") == before


def test_a_brief_table_has_the_medians_of_several_files(tmp_path: Path) -> None:
    def row(variant: str) -> dict[str, Any]:
        spreads = {"median": 2.0, "least": 1.0, "most": 4.0}
        ours = {"ms_per_update": spreads, "images_per_second": spreads}
        named = {"variant": variant, "dataset": "digits", "precision": "float32", "seeds": 1}
        compared = {"stock": {}, "faster_than_stock": spreads}
        return {**named, "ours": ours, **compared, "share_of_peak": {"median": 0.5}}

    for file, variant in (("a.json", "one"), ("b.json", "two")):
        (tmp_path / file).write_text(json.dumps(start_figures(kind="training", rows=[row(variant)])))
    page = tmp_path / "page.md"
    page.write_text("<!-- brief: a.json b.json missing.json -->\n<!-- end -->\n")
    assert fill(page).splitlines()[2].startswith("missing.json: not there")
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("| `")] == [
        "| `one` | digits | float32 | 1 | 2 | 2 | 2× | 50% |",
        "| `two` | digits | float32 | 1 | 2 | 2 | 2× | 50% |",
    ]
    assert lines.count("P, 2 cores, 2 threads, torch 2, cpu") == 1


# ---- the command


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--variant", "cgan_mpl"], "unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'?"),
        (["--against", "stok"], "unknown loop 'stok'; did you mean 'stock'?"),
        (["--precision", "bfloat"], "unknown precision 'bfloat'; did you mean 'bfloat16'?"),
        (["--rounds", "0"], "--rounds is at least 1, not 0"),
        (["--seconds", "0"], "--seconds is above 0, not 0.0"),
        (["--seconds", "nan"], "--seconds is above 0, not nan"),
        (["--threads", "-1"], "--threads is at least 0, not -1"),
        (["--seeds", "0"], "--seeds is at least 1, not 0"),
        (["--seeds", "2"], "--seeds times updates alone; add --run-seconds 0"),
        (["--evaluation", "--seeds", "2"], "--seeds is nothing that --evaluation reads; leave it out"),
        (["--start", "--dataset", "digits", "ring8"], "--start times one --dataset, not 2"),
        (["--against", "none", "--loader-workers", "2"], "--loader-workers load the data of the stock loop, which "),
        (["--picture", "a.png"], "--picture draws what --growth measures"),
        (["--json", "/dev/null/a.json"], "cannot write /dev/null/a.json: "),
        (["--fill", "nowhere.md"], "cannot read nowhere.md: No such file or directory"),
        (["--start", "--growth"], "not allowed with argument --start"),
        (["--speed"], "unknown option --speed; did you mean --seeds?"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_one_sentence(called: Called, words: list[str], sentence: str) -> None:
    done = called(main, *words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert sentence.partition("; did you mean --seeds")[0] in done.err


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 3])
def test_training_is_measured_beside_stock(seeds: int, called: Called, tmp_path: Path) -> None:
    quick = f"--rounds 2 --seconds 0.02 --run-seconds 0 --threads 1 --seeds {seeds}".split()
    done = called(main, "--variant", "vanilla_gan", "--dataset", "ring8", *quick, "--json", "all.json")
    assert done.code == 0, done.err
    measured = json.loads(Path("all.json").read_text())
    assert markdown(measured) == done.out.removesuffix("\n")
    assert measured["kind"] == "training"
    assert set(measured["machine"]) >= {"processor", "cores", "system", "python", "torch", "threads", "device"}
    assert measured["machine"]["threads"] == 1
    [row] = measured["rows"]
    assert (row["variant"], row["dataset"], row["recipe"], row["linear"]) == ("vanilla_gan", "ring8", "points", True)
    # Of several seeds that are trained as one, all is told of one of them.
    assert row["seeds"] == seeds
    assert row["parameters"] == {"generator": 17154, "discriminator": 17025}
    assert row["operations"] == by_hand(row["batch_size"], [2, 128, 128, 2], [2, 128, 128, 1])
    for figures in (row["ours"], row["stock"]):
        assert figures["memory_mib"] > 50
        slowest, fastest = figures["ms_per_update"]["most"], figures["ms_per_update"]["least"]
        assert figures["images_per_second"]["least"] == pytest.approx(row["batch_size"] / slowest * 1e3)
        assert figures["images_per_second"]["most"] == pytest.approx(row["batch_size"] / fastest * 1e3)
    assert row["gflops"]["most"] == pytest.approx(row["operations"] / row["ours"]["ms_per_update"]["least"] / 1e6)
    # Which is larger depends on how busy the machine is, but not what a ratio lies between.
    for name, above, below in (
        ("share_of_peak", row["gflops"], row["peak_gflops"]),
        ("step_over_products", row["ours"]["ms_per_update"], row["products_ms"]),
        ("faster_than_stock", row["stock"]["ms_per_update"], row["ours"]["ms_per_update"]),
    ):
        assert row[name]["least"] >= 0.999 * above["least"] / below["most"] > 0
        assert row[name]["most"] <= 1.001 * above["most"] / below["least"]
    for name in ("faster_than_stock", "outside_networks", "peak_gflops", "products_ms", "networks_ms"):
        assert row[name]["least"] <= row[name]["median"] <= row[name]["most"]


def test_a_dataset_that_no_process_knows_is_refused(called: Called) -> None:
    done = called(main, "--variant", "vanilla_gan", "--dataset", "ring9", "--against", "none")
    assert done.code == 2
    assert "error: unknown dataset 'ring9'; did you mean 'ring8'?" in done.err


def test_judging_is_measured_metric_by_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "SAMPLES", 300)
    measured = evaluation.measure("digits", 0, 2, None, lambda sentence: None, features=32)
    assert {"fid", "kid", "precision", "accuracy"} <= set(measured["metrics"])
    assert "gan_train" not in measured["metrics"]
    assert sum(each["least"] for each in measured["metrics"].values()) <= measured["seconds"]["most"]
    assert measured["frechet"]["difference"] < 1e-6
    assert "**all**, 300 samples of digits" in markdown(measured)


@pytest.mark.long
def test_the_start_is_measured() -> None:
    measured = start.measure("vanilla_gan", "ring8", 1, None, lambda sentence: None)
    seconds = {name: each["median"] for name, each in measured["seconds"].items()}
    assert list(seconds) == [
        "`python -m benchmarks.run --help`",
        "`import torch`",
        "the first update of vanilla_gan on ring8",
    ]
    assert min(seconds.values()) > 0
    assert "| the first update of vanilla_gan on ring8 |" in markdown(measured)


@pytest.mark.long
def test_a_start_that_fails_is_told() -> None:
    with pytest.raises(UserError, match="the command that was timed failed: unknown dataset 'ring9'"):
        start.measure("vanilla_gan", "ring9", 1, None, lambda sentence: None)


# ---- growth


def test_exponents_are_those_of_power_laws() -> None:
    assert growth.exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2)
    assert growth.exponent([1, 2, 4], [8, 4, 2]) == pytest.approx(-1)
    assert math.isnan(growth.exponent([1], [1]))


@pytest.mark.long
def test_growth_is_measured_fitted_and_drawn(tmp_path: Path) -> None:
    tiny = {"sides": (8, 12), "batches": (8,), "seeds": (1,), "workers": (1,), "updates": 2}
    measured = growth.measure(["dcgan"], 1, 1, 0.01, lambda sentence: None, **tiny)
    series = {(each["what"], each["against"]): each for each in measured["series"]}
    assert set(series) == {
        ("update of dcgan", "side of an image"),
        ("update of dcgan", "batch"),
        ("job", "seeds"),
        ("job", "workers"),
    }
    assert series["update of dcgan", "side of an image"]["x"] == (8, 12)
    assert min(series["update of dcgan", "side of an image"]["seconds"]) > 0
    assert math.isnan(series["job", "seeds"]["exponent"])
    assert "| update of dcgan | side of an image |" in markdown(measured)


def test_curves_of_growth_are_drawn(tmp_path: Path) -> None:
    one = growth.series("update of a", "side of an image", (8, 16), (1.0, 4.0), (100.0, 200.0))
    two = growth.series("job", "seeds", (1, 2, 4), (1.0, 2.0, 4.0), ())
    assert (one.exponent, one.memory_exponent) == (pytest.approx(2), pytest.approx(1))
    growth_curves([vars(one), vars(two)], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


# ---- what a suite costs


def test_a_suite_takes_its_share_of_the_cores_and_never_less_than_its_longest_run() -> None:
    assert suites.hours(7200.0, 600.0, 2) == 1.0
    assert suites.hours(7200.0, 1800.0, 1000) == 0.5


def test_the_cost_of_a_preset_is_that_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "timed", lambda arms, *_: {arm.name: 0.5 for arm in arms})
    monkeypatch.setattr(suites, "judging", lambda arm, final, _: 2.0)
    measured = suites.measure("smoke", 1, None, lambda sentence: None)
    arms = make_plan(PRESETS["smoke"]).arms
    assert measured["runs"] == sum(len(arm.seeds) for arm in arms)
    digits = measured["arms"]["conditional"]
    # Four epochs of three updates, and an evaluation before, after each, and at the end.
    assert (digits["training_seconds"], digits["evaluation_seconds"]) == (4 * 3 * 0.5, 5 * 2.0)
    spent = measured["core_seconds"]
    assert spent["tuning"] == 0
    assert spent["training"] == sum(len(arm.seeds) * measured["arms"][arm.name]["training_seconds"] for arm in arms)
    one, eight, many = measured["hours"].values()
    assert one == pytest.approx(8 * eight) == pytest.approx(sum(spent.values()) / measured["machine"]["cores"] / 3600)
    assert many >= measured["longest_run"]["seconds"] / 3600
    assert f"| `smoke` | {measured['runs']} |" in markdown(measured)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_cost_also_one_that_was_never_tuned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "timed", lambda arms, *_: {arm.name: 0.5 for arm in arms})
    monkeypatch.setattr(suites, "judging", lambda arm, final, _: 2.0)
    monkeypatch.setattr(suites, "loaded", lambda *_: SimpleNamespace(train=range(60_000)))
    measured = suites.measure(name, 1, None, lambda sentence: None)
    assert (measured["core_seconds"]["tuning"] > 0) == PRESETS[name].tuned
    # Also what is compared at equal seconds, which only a preset with timings can do.
    assert ("unrolled-points" in measured["arms"]) == PRESETS[name].full


def test_updates_and_evaluations_of_an_arm_are_timed() -> None:
    arm = make_plan(PRESETS["smoke"], ["noise_distribution"]).arms[0]
    assert timed([arm], None, 2, 2)[arm.name] > 0
    assert suites.judging(arm, False, None) > 0
