"""The command compares arms as a person types them, goes on where it was stopped, and writes a page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.compare import compare, list_arms, parser
from benchmarks.compare import main as command
from benchmarks.run_folder.folder import list_run_folders
from benchmarks.statistics.verdicts import OUTCOMES
from benchmarks.training.configure import configure
from benchmarks.training.options import RunOptions
from tests.conftest import Done
from variants import UserError

Called = Callable[..., Done]
TINY = "--dataset ring8 --epochs 2 --epoch-updates 4 --samples 200 --most 5 --executor inline --pictures none".split()


def arms(*words: str) -> list[tuple[str, str, dict, str]]:
    return [(arm.variant, arm.recipe, arm.fields, arm.label) for arm in list_arms(parser().parse_args(words))]


def test_arms_are_read_as_they_are_typed() -> None:
    assert arms("dcgan", "cgan_conv:conditioning=none,r1=0.5") == [
        ("dcgan", "", {}, ""),
        ("cgan_conv", "", {"conditioning": "none", "r1": 0.5}, ""),
    ]
    assert arms("--variant", "dcgan", "--vary", "loss=hinge,non_saturating", "--epochs", "3") == [
        ("dcgan", "", {"epochs": 3, "loss": "hinge"}, ""),
        ("dcgan", "", {"epochs": 3, "loss": "non_saturating"}, ""),
    ]
    assert len(arms("--vary", "r1=0,1", "--vary", "pack=1,2")) == 4
    assert arms("a.toml", "b.toml") == [("cgan_mlp", "a.toml", {}, "a"), ("cgan_mlp", "b.toml", {}, "b")]
    assert arms("vanilla_gan:generator-widths=8+16")[0][2] == {"generator_widths": (8, 16)}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("dcgann", "dcgan"), "unknown variant 'dcgann'; did you mean 'dcgan'"),
        (("dcgan:losss=hinge",), "unknown recipe field 'losss'; did you mean 'loss'"),
        (("dcgan:loss",), "a field of an arm is given as FIELD=VALUE, not 'loss'"),
        (("--vary", "loss=hinge"), "--vary takes FIELD=VALUE,VALUE with two values or more"),
        (("dcgan:r1=much",), "'much' is not a number"),
        (("dcgan:r1=-1",), "--r1 is at least 0"),
        (("dcgan:pack=two",), "'two' is not a number"),
        (("dcgan:matching_aware=yes",), "'yes' is not true or false"),
    ],
)
def test_an_arm_that_cannot_be_read_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UserError, match=why):
        arms(*words)


def test_a_comparison_is_trained_judged_written_and_found_again(called: Called, tracking_uri: str) -> None:
    words = ("--vary", "pack=1,2", "--variant", "vanilla_gan", *TINY, "--tracking-uri", tracking_uri, "--html")
    done = called(command, *words)
    assert done.code == 0, done.err
    assert "pack 1 against pack 2, by overlap: judged with 5 seeds an arm; plan " in done.out
    assert "look 1 of 1, 5 seeds an arm: " in done.out
    assert "overlap with the true mixture is" in done.out.lower()
    page = Path("reports/out/comparison/index.md").read_text()
    assert any(outcome in page for outcome in OUTCOMES)
    assert "| look | seeds an arm |" in page
    assert "generators of one size" in page
    assert Path("reports/out/comparison/index.html").stat().st_size > 10_000
    for picture in ("comparison-effects.svg", "comparison-training.svg"):
        assert Path("reports/out/comparison/pictures", picture).exists()

    before = {folder.name: folder.read_bytes("metrics.jsonl") for folder in list_run_folders("runs")}
    assert len(before) == 10
    again = called(command, *words)
    assert again.code == 0
    assert {folder.name: folder.read_bytes("metrics.jsonl") for folder in list_run_folders("runs")} == before
    # More seeds go on from those that are there.
    more = called(command, *words[:-1], "--most", "10")
    assert more.code == 0
    assert len(list_run_folders("runs")) == (20 if "look 2 of 2" in more.out else 10)

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("gan-benchmark").experiment_id
    parents = client.search_runs([experiment], "tags.kind = 'question'")
    assert {parent.data.tags["question"] for parent in parents} == {"comparison"}


@pytest.mark.long
def test_from_python_the_same(tmp_path: Path) -> None:
    configs = [
        configure("vanilla_gan", "ring8", samples=200, epochs=2, epoch_updates=4, generator_lr=rate)
        for rate in (1e-3, 1e-2)
    ]
    options = RunOptions(runs_dir=tmp_path / "runs", track=False, pictures="none")
    found = compare(configs, by="overlap", margin=0.2, most=5, run_options=options, executor="inline")
    assert found.verdict.outcome in OUTCOMES
    assert found.interval.low <= found.verdict.effects[0].shift <= found.interval.high
    assert len(found.frame) == 10
    assert set(found.frame.seed) == set(range(5))
    assert found.sentences[0].endswith("(5 seeds an arm.)")
    assert "# generator lr 0.01 against generator lr 0.001" in found.page(tmp_path / "out")
    assert (tmp_path / "out" / "index.md").exists()


@pytest.mark.long
def test_no_seeds_begin_that_would_end_after_the_time(called: Called) -> None:
    words = ("--vary", "pack=1,2", "--variant", "vanilla_gan", *TINY, "--most", "10", "--no-tracking")
    done = called(command, *words, "--hours", "0.00001")
    assert done.code == 0, done.err
    settled = "1 settled" in done.out or "1 given up" in done.out
    assert settled != ("another group of seeds would take longer than the 1e-05 h" in done.out)
    assert len(list_run_folders("runs")) == 10


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("dcgan", "dcgan", "--dataset", "digits"), "two arms are the same"),
        (("dcgan", "--dataset", "digits"), "a comparison needs two arms"),
        (("--vary", "r1=0,1", *TINY, "--most", "3"), "--most is at least 5, not 3"),
        (("--vary", "r1=0,1", *TINY, "--margin", "0"), "--margin of overlap is above 0"),
        (("--vary", "r1=0,1", *TINY, "--by", "accuracy"), "accuracy cannot be measured"),
        (("--vary", "r1=0,1", *TINY, "--executor", "none"), "unknown executor"),
        (("--vary", "r1=0,1", *TINY, "--hours", "-1"), "--hours is at least 0"),
        (("--vary", "r1=0,1", *TINY, "--no-tracking", "--experiment", "e"), "--experiment is not read"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_trained(
    called: Called, words: tuple[str, ...], why: str
) -> None:
    done = called(command, *words)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert why in done.err
    assert not Path("runs").exists()
