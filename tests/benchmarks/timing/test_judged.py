"""Runners train as the project and as the tutorials do, and one evaluator judges them all."""

import math
from typing import Any

import pytest
import torch

from benchmarks import configure, train
from benchmarks.timing.cases import Case
from benchmarks.timing.judged import Ours, Runner, Tutorial
from benchmarks.timing.quality import parse_target, run_to
from variants import UserError

SAMPLES = 200
TINY = {"epochs": 1, "epoch_updates": 3, "generator_widths": (16,), "discriminator_widths": (16,), "averaging": 0.0}
ANY = parse_target("fid<=1e9 accuracy>=0")
CASES = {
    "ours": (Ours, Case("cgan_mlp", "digits", changes=TINY)),
    "cgan": (Tutorial, Case("cgan", "digits")),
    "dcgan": (Tutorial, Case("dcgan", "digits")),
    "wgan_gp": (Tutorial, Case("wgan_gp", "digits")),
}


class Here:
    """Asks a runner that has no process of its own."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def ask(self, method: str, *arguments: Any) -> Any:
        return getattr(self.runner, method)(*arguments)


def make(name: str, *metrics: str) -> Runner:
    kind, case = CASES[name]
    runner = kind(case)
    runner.prepare(metrics or ("fid",), SAMPLES)
    return runner


@pytest.fixture(autouse=True)
def own_random_state():
    """Tutorials draw from the global state."""
    with torch.random.fork_rng(devices=()):
        yield


def weights(runner: Runner) -> list[torch.Tensor]:
    network = runner.gan.generator if isinstance(runner, Ours) else runner.generator
    return [parameter.detach().clone() for parameter in network.parameters()]


@pytest.mark.parametrize("name", ["ours", "cgan"])
def test_a_weak_target_is_met_at_once_and_again_by_the_same_seed(name: str) -> None:
    runs = [run_to(Here(make(name, *ANY.metrics)), ANY, 3, 2, 1e6) for _ in range(2)]
    for run in runs:
        assert (run["reached"], run["updates"]) == (True, 4)
        assert 0 < run["training_seconds"] < run["total_seconds"]
        assert 0 < run["training_cpu_seconds"] < run["total_cpu_seconds"]
    values = [[(each["updates"], each["values"]) for each in run["evaluations"]] for run in runs]
    assert values[0] == values[1]
    assert set(values[0][0][1]) == {"fid", "accuracy"}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_a_seed_reaches_a_target_at_the_same_update_whatever_was_trained_before(name: str) -> None:
    runner = make(name)
    found = {}
    for seed in (1, 2, 1):
        runner.start(seed)
        runner.advance(2, math.inf)
        values = runner.judge()["values"]
        assert found.setdefault(seed, values) == values
    assert found[1] != found[2]


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_judging_does_not_shift_training_and_is_timed_apart(name: str) -> None:
    runner = make(name)
    trained = []
    for judged in (False, True):
        runner.start(0)
        before = runner.advance(1, math.inf)
        if judged:
            after = runner.judge()
            assert (after["training_seconds"], after["updates"]) == (before["training_seconds"], 1)
            assert after["total_seconds"] > before["total_seconds"]
        runner.advance(3, math.inf)
        trained.append(weights(runner))
    assert all(torch.equal(*pair) for pair in zip(*trained, strict=True))


@pytest.mark.long
def test_one_evaluator_judges_all() -> None:
    runners = [make(name) for name in CASES]
    assert len({id(runner._evaluator()) for runner in runners}) == 1
    facts = [runner.prepare(("fid",), SAMPLES) for runner in runners]
    assert facts[0]["judge"].keys() == {"classifiers", "data"}
    assert all(each["judge"] == facts[0]["judge"] for each in facts)
    assert all(each["measured"] == {"fid": "fid_normalized"} for each in facts)
    for runner in runners:
        runner.start(5)
        runner.advance(2, math.inf)
    noises = [torch.randn(4, generator=runner._noise()) for runner in runners]
    assert all(torch.equal(noise, noises[0]) for noise in noises)


def test_ours_trains_and_judges_as_a_run_of_the_project() -> None:
    """A run judges at epochs with noise of the epoch: the first epoch of one update has the number of the update."""
    fields = TINY | {"epoch_updates": 1}
    config = configure("cgan_mlp", "digits", seed=7, samples=SAMPLES, thorough=False, probes=(), **fields)
    run = train(config, pictures="none", track=False)
    runner = Ours(Case("cgan_mlp", "digits", changes=fields))
    runner.prepare(("fid", "accuracy"), SAMPLES)
    runner.start(7)
    runner.advance(1, math.inf)
    values = runner.judge()["values"]
    told = run.folder.lines()[-1]["metrics"]
    assert values == {"fid": told["fid_normalized"], "accuracy": told["accuracy"]}


def test_ours_trains_the_weights_of_a_run() -> None:
    fields = TINY | {"epochs": 2}
    config = configure("cgan_mlp", "digits", seed=7, samples=SAMPLES, thorough=False, probes=(), **fields)
    run = train(config, pictures="none", track=False)
    runner = Ours(Case("cgan_mlp", "digits", changes=fields))
    runner.prepare(("fid",), SAMPLES)
    runner.start(7)
    runner.advance(6, math.inf)
    trained = run.generator.state_dict()
    assert trained.keys() == runner.gan.generator.state_dict().keys()
    for name, tensor in runner.gan.generator.state_dict().items():
        assert torch.equal(tensor, trained[name]), name


def test_a_run_goes_on_beyond_its_recipe_unless_something_falls_to_0_until_then() -> None:
    on = make("ours")
    on.start(0)
    assert on.advance(8, math.inf)["updates"] == 8
    falling = Ours(Case("cgan_mlp", "digits", changes=TINY | {"lr_decay": "linear"}))
    falling.prepare(("fid",), SAMPLES)
    falling.start(0)
    assert falling.advance(8, math.inf)["updates"] == 3


def test_training_stops_when_the_seconds_are_spent() -> None:
    runner = make("ours")
    runner.start(0)
    assert runner.advance(10**9, 1e-9)["updates"] <= 1


@pytest.mark.parametrize(
    ("kind", "case", "metric", "sentence"),
    [
        (Ours, Case("vanilla_gan", "digits"), "accuracy", "accuracy cannot be measured of vanilla_gan on digits"),
        (Ours, Case("vanilla_gan", "digits"), "fid_inception", "fid_inception cannot be measured of vanilla_gan on"),
        (Ours, Case("cgan_mlp", "digits", recipe="larg"), "fid", "unknown recipe of cgan_mlp 'larg'"),
        (Ours, Case("cgan_mlp", "digits", changes={"batch_size": 5000}), "fid", "--batch-size 5000 is more than"),
        (Tutorial, Case("wgan_gp", "digits"), "accuracy", "accuracy cannot be measured of wgan_gp on digits"),
        (Tutorial, Case("dcgan", "ring8"), "fid", "the tutorials draw images, which ring8 has not"),
        (Tutorial, Case("cgan", "captions_digits"), "fid", "the tutorial cgan needs labels, which captions_digits has"),
    ],
)
def test_what_cannot_be_trained_or_measured_is_refused(
    kind: type[Runner], case: Case, metric: str, sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        kind(case).prepare((metric,), SAMPLES)
    assert str(refused.value).startswith(sentence)


def test_fid_of_points_is_that_of_the_catalogue() -> None:
    ring = Ours(Case("vanilla_gan", "ring8", changes={"epoch_updates": 2}))
    assert ring.prepare(("fid", "overlap"), SAMPLES)["measured"] == {"fid": "fid", "overlap": "overlap"}
