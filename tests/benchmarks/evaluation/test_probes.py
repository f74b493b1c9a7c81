"""Probes: figures by hand on discriminators whose opinion is known, and a training that does not notice them."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import Run, configure, load_run, train
from benchmarks.algorithm.gan import make_gan
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.cli.tables import show_choices
from benchmarks.config import PROBES as ALWAYS
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.datasets import Classes, Dataset, Split
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.evaluation.probes import PROBES, Moment
from benchmarks.evaluation.probes.diminished_gradient import (
    BATCHES,
    generator_gradient,
    log_spaced_updates,
    total_norm,
    train_discriminator,
)
from benchmarks.evaluation.probes.ranking import (
    draw_batches,
    join_batches,
    measure_generalization_gap,
    measure_label_use,
)
from benchmarks.evaluation.probes.swapped_noise import measure_noise_swap
from benchmarks.pictures import draw_gradient_curves
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import make_client
from benchmarks.tracking.download import fetch_run, list_runs
from benchmarks.training.cache import load_dataset
from tests.gpu import on_a_gpu
from variants import VARIANTS, DataSpec, DiscriminatorOutput, Recipe, UserError, load_variant
from variants.losses import LOSSES
from variants.objective import objective
from variants.remedies import Packed

QUICK = {"epochs": 2, "epoch_updates": 3, "evaluate_every": 1, "samples": 100, "thorough": False}
LEARNING = Recipe(batch_size=2, conditioning="embedding")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient probe of a few updates."""
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient._UPDATES", 3)
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient.BATCHES", 2)


@pytest.fixture
def shortest(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without its picture."""
    monkeypatch.setattr("benchmarks.evaluation.probes.diminished_gradient.draw_gradient_curves", lambda *_: None)


def trained(folder: Path, variant: str = "cgan_mlp", dataset: str = "digits", **changes) -> Run:
    config = configure(variant, dataset, **{**QUICK, **changes})
    return train(config, runs_dir=folder, track=False, pictures="none")


def figures(run: Run) -> list[dict[str, float]]:
    return [line.get("probes", {}) for line in run.folder.lines()]


# What a run notices of its probes


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("cgan_mlp", {"dropout": 0.3, "replay": 0.5, "averaging": 0.9, "lr_decay": "linear"}),
        ("cgan_conv", {"instance_noise": 0.2}),
        ("vanilla_gan", {"discriminator_normalization": "spectral", "unrolled_steps": 1, "pack": 2}),
    ],
)
def test_a_run_ends_with_the_same_bits_with_and_without_probes(
    tmp_path: Path, shortest: None, variant: str, changes: dict
) -> None:
    without = trained(tmp_path / "without", variant, probes=(), **changes)
    probes = [name for name in PROBES if name != "label_use" or variant != "vanilla_gan"]
    probed = trained(tmp_path / "with", variant, probes=probes, **changes)
    assert figures(without) == [{}, {}, {}]
    assert all(f"gradient_{loss}_fall" in each for each in figures(probed) for loss in ("saturating", "non_saturating"))
    for name in ("checkpoint.safetensors", "generator.safetensors"):
        assert (without.path / name).read_bytes() == (probed.path / name).read_bytes()
    for ours, theirs in zip(without.folder.lines(), probed.folder.lines(), strict=True):
        assert (ours["curves"], ours.get("metrics")) == (theirs["curves"], theirs.get("metrics"))


def test_a_probe_gives_the_same_figures_twice_and_when_asked_alone(tmp_path: Path, shortest: None) -> None:
    every = figures(trained(tmp_path / "every", probes=tuple(PROBES)))
    alone = figures(trained(tmp_path / "alone", probes=("gradient", "gradient_norms")))
    assert alone == [{name: value for name, value in line.items() if name.startswith("gradient")} for line in every]


def served() -> Iterator[tuple[str, str, dict]]:
    """Every variant on data that it can be trained on, alone and with what makes a discriminator compare examples."""
    for variant, changes in itertools.product(VARIANTS, ({}, {"pack": 2, "minibatch_discrimination": 4})):
        for dataset in ("digits", "captions_digits"):
            data, known = load_dataset(DatasetConfig(dataset), None, 0), load_variant(variant)
            recipe = known.recipe(known.recipe_for(data.spec)).with_(changes)
            with suppress(UserError), initialisation(0):
                known.check(recipe, data.spec)
                known.build(data.spec, recipe)
                yield variant, dataset, changes
                break


@pytest.mark.parametrize(("variant", "dataset", "changes"), list(served()))
def test_every_probe_serves_every_variant(
    tmp_path: Path, shortest: None, variant: str, dataset: str, changes: dict
) -> None:
    run = trained(tmp_path, variant, dataset, probes=tuple(PROBES), epochs=1, **changes)
    conditional = run.config.recipe.conditioning != "none"
    first, last = figures(run)
    assert {name for name in PROBES if any(figure.startswith(name.removesuffix("s")) for figure in last)} == {
        name for name in PROBES if name != "label_use" or conditional
    }
    assert not any(name.startswith("noise_swap") for name in first)
    assert all(map(math.isfinite, last.values()))
    assert all(0 <= last[name] <= 1 for name in ALWAYS if name in last)


def test_the_ratio_of_norms_is_that_of_the_gradients_at_the_same_weights(tmp_path: Path, shortest: None) -> None:
    (_, last) = figures(trained(tmp_path, probes=("gradient_norms",), epochs=1))
    difference = last["gradient_norm_saturating"] - last["gradient_norm_non_saturating"]
    assert last["gradient_norm_ratio"] == pytest.approx(difference)


# Label use and generalisation gap


class Stub(nn.Module):
    """A discriminator with an opinion of its own, that must be asked in evaluation mode."""

    def __init__(self, opinion: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        self.opinion = opinion

    def forward(self, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        assert not self.training
        return DiscriminatorOutput(self.opinion(examples, condition))


def tiny(train_labels: list[int], test_labels: list[int]) -> Dataset:
    """Images of two pixels: the first tells the label, the second is 1 in training images and 0 in test images."""

    def split(labels: list[int], mark: int) -> Split:
        data = torch.tensor([[label, mark] for label in labels], dtype=torch.float32)
        return Split(data.reshape(-1, 1, 1, 2), torch.tensor(labels))

    train, test = split(train_labels, 1), split(test_labels, 0)
    classes = len({*train_labels, *test_labels})
    spec = DataSpec((1, 1, 2), classes=classes)
    return Dataset("tiny", spec, train, test, test, "", Classes(classes), tuple(map(str, range(classes))), "")


def asked(probe: Callable, data: Dataset, opinion: Callable, recipe: Recipe = LEARNING) -> float:
    """The one figure of a probe of a discriminator with that opinion."""
    judge = Stub(opinion)
    networks = make_gan(nn.Linear(1, 1), nn.Linear(1, 1), recipe)
    networks = replace(networks, discriminator=Packed(judge, recipe.pack) if recipe.pack > 1 else judge)
    config = RunConfig("cgan_mlp", recipe, DatasetConfig("digits"), 0, "", "")
    moment = Moment(config, data, networks, objective(recipe), None, None, 1, {})  # type: ignore[arg-type]
    (figure,) = probe(moment, stream(0, "test")).values()
    return figure


BALANCED = tiny([0, 1, 2] * 4, [0, 1, 2] * 2)


@pytest.mark.parametrize(
    ("opinion", "expected"),
    [
        (lambda x, y: -(x[:, 0, 0, 0] - y).abs(), 1.0),  # knows every label
        (lambda x, y: (x[:, 0, 0, 0] - y).abs(), 0.0),  # would rather have a wrong one
        (lambda x, y: x.sum((1, 2, 3)), 0.5),  # blind: every pair is a tie
        (lambda x, y: 1e-6 * -(x[:, 0, 0, 0] - y).abs(), 1.0),  # how sure it is does not matter
    ],
    ids=["knows", "opposite", "blind", "unsure"],
)
def test_label_use_of_a_discriminator_whose_opinion_is_known(opinion: Callable, expected: float) -> None:
    assert asked(measure_label_use, BALANCED, opinion) == expected


def test_label_use_is_of_every_wrong_label_of_test_images() -> None:
    """D(x, y) = y ranks label k above k of the other two: (3·0 + 1·2)/(4·2) of three zeros and a two."""
    data = tiny([0, 1, 2] * 4, [0, 0, 0, 2])
    assert asked(measure_label_use, data, lambda x, y: y.float()) == 0.25


def test_a_pack_shares_its_label() -> None:
    def opinion(x: Tensor, y: Tensor) -> Tensor:
        assert x.shape[1:] == (2, 1, 2)
        assert torch.equal(x[:, 0, 0, 0], x[:, 1, 0, 0])
        return -(x[:, :, 0, 0] - y[:, None]).abs().sum(1)

    packed = LEARNING.with_({"pack": 2, "batch_size": 4})
    assert asked(measure_label_use, BALANCED, opinion, packed) == 1.0
    assert asked(measure_generalization_gap, BALANCED, opinion, packed) == 0.5


def test_the_gap_is_the_chance_that_a_training_image_seems_more_real() -> None:
    def mark(x: Tensor, y: Tensor | None) -> Tensor:
        return x[:, 0, 0, 1]

    def mark_of_zero(x: Tensor, y: Tensor | None) -> Tensor:
        return x[:, 0, 0, 1] * (x[:, 0, 0, 0] == 0)

    assert asked(measure_generalization_gap, BALANCED, mark) == 1.0
    assert asked(measure_generalization_gap, BALANCED, lambda x, y: -mark(x, y)) == 0.0
    assert asked(measure_generalization_gap, BALANCED, lambda x, y: y.float()) == 0.5
    # It has learned a third of the training images by heart: ⅓·1 + ⅔·½.
    assert asked(measure_generalization_gap, BALANCED, mark_of_zero) == pytest.approx(2 / 3)


def test_a_logit_that_is_no_number_gives_none() -> None:
    def broken(x: Tensor, y: Tensor | None) -> Tensor:
        return torch.full((len(x),), math.nan)

    assert math.isnan(asked(measure_label_use, BALANCED, broken))
    assert math.isnan(asked(measure_generalization_gap, BALANCED, broken))


@pytest.mark.parametrize(("variant", "changes"), [("cgan_mlp", {"pack": 2}), ("cgan_conv", {})])
def test_all_batches_at_once_give_the_figures_of_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, changes: dict
) -> None:
    apart = figures(trained(tmp_path / "apart", variant, **changes))
    monkeypatch.setattr(
        "benchmarks.evaluation.probes.ranking.join_batches", lambda batches, recipe, device: [torch.cat(batches)]
    )
    for ours, theirs in zip(figures(trained(tmp_path / "at once", variant, **changes)), apart, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert 0 < ours["label_use"] < 1


def test_batches_stay_apart_on_a_cpu_and_where_their_examples_are_compared() -> None:
    batches, comparing = [torch.zeros(2), torch.ones(2)], Recipe(minibatch_discrimination=3)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert join_batches(batches, Recipe(), cpu) is join_batches(batches, comparing, gpu) is batches
    (whole,) = join_batches(batches, Recipe(), gpu)
    assert whole.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("conditioning", ["generator", "auxiliary"])
@pytest.mark.parametrize("variant", ["cgan_mlp", "cgan_conv"])
def test_a_discriminator_that_is_blind_to_labels_has_label_use_one_half(
    tmp_path: Path, variant: str, conditioning: str
) -> None:
    run = trained(tmp_path, variant, conditioning=conditioning)
    assert [line["label_use"] for line in figures(run)] == [0.5, 0.5, 0.5]


def test_a_discriminator_learns_to_use_labels_of_which_it_is_not_told(tmp_path: Path) -> None:
    """I2, in 20 seconds of training or so on a real machine: here in a fraction of that."""
    run = trained(tmp_path, epochs=1, epoch_updates=150, discriminator_lr=2e-3)
    before, after = (line["label_use"] for line in figures(run))
    assert abs(before - 0.5) < 0.1
    assert after > 0.7


def test_examples_are_drawn_with_the_frequencies_of_the_test_images_in_whole_batches() -> None:
    data = tiny([0] * 50 + [1] * 50, [0] * 30 + [1] * 10)
    batches = draw_batches(data.train, data.test, 1000, LEARNING.with_({"batch_size": 8}), stream(0, "a"))
    assert [len(images) for images, _ in batches] == [8] * 5
    labels = torch.cat([condition for _, condition in batches])
    assert labels.bincount().tolist() == [30, 10]
    assert torch.equal(torch.cat([images for images, _ in batches])[:, 0, 0, 0].long(), labels)


def test_no_example_is_drawn_twice_and_other_streams_draw_others() -> None:
    data = load_dataset(DatasetConfig("digits"), None, 0)
    first, again, other = (
        torch.cat([images for images, _ in draw_batches(data.train, data.test, 300, LEARNING, stream(0, name))])
        for name in "aab"
    )
    assert len(first) == 300
    assert len(first.flatten(1).unique(dim=0)) == 300
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# Noise swap


def test_another_noise_is_fed_into_the_trained_generator() -> None:
    """A generator that passes its noise on, judged by the variance of its samples: ⅓ of uniform noise, 1 of others."""

    class Variance:
        facts, device = frozenset(), torch.device("cpu")

        def evaluate(self, generate: Callable, *, conditional: bool, only: set[str]) -> dict[str, float]:
            assert (conditional, only) == (False, {"fid"})
            return {"fid": generate(None, 20_000).var().item()}

    class Same(nn.Linear):
        def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
            return noise

    recipe = Recipe(noise_size=2)
    networks = make_gan(Same(1, 1), nn.Linear(1, 1), recipe)
    config = RunConfig("vanilla_gan", recipe, DatasetConfig("ring8"), 0, "", "")
    measured = measure_noise_swap(
        Moment(config, BALANCED, networks, objective(recipe), Variance(), None, 1, {"fid": 1.0}),  # type: ignore[arg-type]
        stream(0, "noise"),
    )
    expected = {"uniform": math.log(1 / 3), "uniform_unit": 0, "bernoulli": 0, "truncated_gaussian": 0}
    assert measured == pytest.approx({f"noise_swap_{name}": value for name, value in expected.items()}, abs=0.03)


def test_one_metric_can_be_measured_without_the_others() -> None:
    data = load_dataset(DatasetConfig("digits"), None, 0)
    judge = Evaluator(data, 200)

    def generate(condition: Tensor | None, count: int) -> Tensor:
        return torch.rand(count, 1, 8, 8, generator=stream(count, "pixels")) * 2 - 1

    every = judge.evaluate(generate)
    assert judge.evaluate(generate, only={"fid_normalized"}) == {"fid_normalized": every["fid_normalized"]}
    assert list(judge.seconds) == ["fid_normalized"]


# Diminished gradient


@pytest.mark.parametrize("bias", [0.0, -5.0, -200.0, 150.0])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_a_gpu, id="gpu")])
def test_gradients_of_both_losses_by_hand_even_where_float32_knows_only_zero(device: str, bias: float) -> None:
    """With G(z) = w·z and a logit of a·G(z) + b: d/dw log(1 - D) = -mean(σ(l)·a·z), and -mean(σ(-l)·a·z) of -log D."""
    weight, a = torch.tensor(0.5, device=device, requires_grad=True), 3.0
    noise = torch.tensor([1.0, 2.0, -0.5], device=device)
    logits = weight * noise * a + bias
    exact = logits.detach().double()
    for loss, share in (("saturating", exact), ("non_saturating", -exact)):
        expected = (-(share.sigmoid() * a * noise.double()).mean()).item()
        (found,), scale = generator_gradient(LOSSES[loss], logits, [weight])
        assert (found * scale).item() == pytest.approx(expected, rel=1e-5, abs=0)
        assert (scale * total_norm([found])).item() == pytest.approx(abs(expected), rel=1e-5, abs=0)
        assert expected != 0


def digits_players(recipe: Recipe, variant: str = "cgan_mlp"):
    data = load_dataset(DatasetConfig("digits"), None, 0)
    with initialisation(0):
        return make_gan(*load_variant(variant).build(data.spec, recipe), recipe), data.train


def test_the_saturating_gradient_vanishes_as_the_discriminator_wins_and_the_other_does_not() -> None:
    wide = {"generator_widths": (256, 512), "discriminator_widths": (512, 256)}
    recipe = load_variant("cgan_mlp").recipe("small").with_({"discriminator_lr": 1e-3, **wide})
    networks, data = digits_players(recipe)
    before = {name: value.clone() for name, value in networks.generator.state_dict().items()}
    points = train_discriminator(networks, objective(recipe), recipe, data, stream(0, "probe"), 100)

    assert [point.updates for point in points] == sorted({0, *log_spaced_updates(100)})
    medians = {loss: [torch.tensor(point.norms[loss]).median().item() for point in points] for loss in points[0].norms}
    assert medians["saturating"][-1] < medians["saturating"][0] / 10
    assert medians["non_saturating"][-1] > medians["non_saturating"][0]
    assert points[-1].d_fake < 0.01 < 0.3 < points[0].d_fake
    assert all(len(norms) == BATCHES for norms in points[0].norms.values())
    # Frozen: its weights and its batch-norm statistics.
    assert all(torch.equal(value, before[name]) for name, value in networks.generator.state_dict().items())


def test_the_step_is_what_the_generators_optimiser_makes_of_the_gradient() -> None:
    """Of SGD without momentum, the learning rate times the norm; of Adam's first step, about the rate a weight."""
    recipe = load_variant("cgan_mlp").recipe("small").with_({"generator_lr": 0.01, "beta1": 0.0})
    for optimizer in ("sgd", "adam"):
        own = recipe.with_({"optimizer": optimizer})
        networks, data = digits_players(own)
        (point,) = train_discriminator(networks, objective(own), own, data, stream(0, "probe"), 0)
        weights = sum(p.numel() for p in networks.generator.parameters())
        for loss, step in point.steps.items():
            if optimizer == "sgd":
                assert step == pytest.approx(0.01 * point.norms[loss][0], rel=1e-3)
            else:
                assert 0.8 < step / (0.01 * math.sqrt(weights)) < 1.01


def test_a_decay_of_the_learning_rate_does_not_stop_the_probe() -> None:
    recipe = load_variant("cgan_mlp").recipe("small")
    networks, data = digits_players(recipe)
    networks.discriminator_optimizer.param_groups[0]["lr"] = 0.0
    before = [p.detach().clone() for p in networks.discriminator.parameters()]
    train_discriminator(networks, objective(recipe), recipe, data, stream(0, "probe"), 1)
    assert not all(map(torch.equal, before, networks.discriminator.parameters()))


@pytest.mark.parametrize("updates", [1, 2, 500])
def test_gradients_are_taken_at_log_spaced_points_up_to_the_last(updates: int) -> None:
    due = sorted(log_spaced_updates(updates))
    assert (due[0], due[-1]) == (1, updates)
    assert len(due) <= 29
    assert all(after / before < 1.4 for before, after in itertools.pairwise(due) if before > 5)


def test_the_gradient_probe_leaves_its_points_and_a_picture(tmp_path: Path, short: None) -> None:
    run = trained(tmp_path, probes=("gradient",), epochs=1)
    names = {path.name for path in (run.path / "probes").iterdir()}
    assert names == {f"gradient_epoch_{epoch:03d}.{kind}" for epoch in (0, 1) for kind in ("json", "png")}
    kept = json.loads((run.path / "probes" / "gradient_epoch_001.json").read_text())
    assert [point["updates"] for point in kept["points"]] == [0, 1, 2, 3]
    start = {loss: sorted(norms) for loss, norms in kept["points"][0]["norms"].items()}
    ratio = math.log10(sum(start["saturating"]) / sum(start["non_saturating"]))  # of two batches
    assert figures(run)[1]["gradient_ratio"] == pytest.approx(ratio)


def test_figures_and_files_of_probes_are_in_mlflow_and_come_back(
    tmp_path: Path, short: None, tracking_uri: str
) -> None:
    config = configure("cgan_mlp", "digits", **{**QUICK, "epochs": 1, "probes": (*ALWAYS, "gradient")})
    run = train(config, runs_dir=tmp_path, pictures="none", tracking_uri=tracking_uri)
    (tracked,) = list_runs(tracking_uri)
    client = make_client(tracking_uri)
    for name in figures(run)[0]:
        history = client.get_metric_history(tracked.run_id, f"probes/{name}")
        assert [(point.step, point.value) for point in history] == [(e, figures(run)[e][name]) for e in (0, 1)]
    fetched = fetch_run(tracked.run_id, tracking_uri, tmp_path / "fetched")
    for path in (run.path / "probes").iterdir():
        assert (fetched / "probes" / path.name).read_bytes() == path.read_bytes()
    assert len(list((fetched / "probes").iterdir())) == 4


def test_the_picture_draws_what_a_log_axis_can_and_leaves_gaps(tmp_path: Path) -> None:
    def point(updates: int, value: float) -> dict:
        losses = ("saturating", "non_saturating")
        return {
            "updates": updates,
            "d_fake": value,
            "norms": {loss: [value, value] for loss in losses},
            "steps": dict.fromkeys(losses, value),
        }

    plain, broken = tmp_path / "plain.png", tmp_path / "broken.png"
    draw_gradient_curves([point(0, 1.0), point(1, 0.1), point(10, 1e-9)], plain)
    draw_gradient_curves([point(0, 1.0), point(1, 0.0), point(10, math.inf), point(20, math.nan)], broken)
    sizes = [Image.open(path).size for path in (plain, broken)]
    assert sizes[0] == sizes[1]
    assert len(Image.open(plain).convert("RGB").getcolors(2**20)) > 10


# What a person asks for


def test_the_probes_that_are_always_on_leave_old_keys_as_they_were() -> None:
    config = configure("cgan_mlp", "digits")
    assert config.probes == ALWAYS
    assert "probes" not in config.as_dict(neutral=False)
    others = configure("cgan_mlp", "digits", probes=["gradient"])
    assert others.key != config.key
    assert configure("cgan_mlp", "digits", probes=()).key not in (config.key, others.key)
    assert configure("cgan_mlp", "digits", probes=(*reversed(ALWAYS), ALWAYS[0])) == config
    for each in (config, others):
        assert RunConfig.from_dict(json.loads(json.dumps(each.as_dict()))) == each


def test_a_run_folder_keeps_which_probes_there_were(tmp_path: Path) -> None:
    config = configure("cgan_mlp", "digits", probes=("gradient", "label_use"))
    folder = RunFolder.create(tmp_path, config)
    assert load_run(folder.path).config.probes == ("gradient", "label_use")
    written = folder.read_json("config.json")
    for damaged in ("gradient", [1], None, {"gradient": 1}):
        written["config"]["probes"] = damaged
        folder.write_json("config.json", written)
        with pytest.raises(UserError, match="is damaged: --probes takes names"):
            folder.config()


@pytest.mark.parametrize(
    ("asked_for", "sentence"),
    [
        ({"probes": ["gradients"]}, "unknown probe 'gradients'; did you mean 'gradient'?"),
        ({"probes": "gradient"}, "--probes takes names, not 'gradient'"),
        ({"probes": ["gradient"], "loss": "hinge"}, "--probes gradient does not apply to cgan_mlp on digits: with"),
    ],
)
def test_what_cannot_be_probed_is_refused(asked_for: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        configure("cgan_mlp", "digits", **asked_for)
    assert str(refused.value).startswith(sentence)


def test_every_probe_is_listed_with_one_line(capsys: pytest.CaptureFixture) -> None:
    show_choices()
    listed = capsys.readouterr().out
    for name, probe in PROBES.items():
        assert f"  {name:<20} {probe.summary}" in listed
        assert probe.summary
