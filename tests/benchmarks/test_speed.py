"""The command: bad input gets one sentence, and training is measured beside stock."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.speed import main
from benchmarks.timing.tables import render
from tests.conftest import Done
from tests.layer_operations import count_by_hand

Called = Callable[..., Done]


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
        (["--suite", "quick", "--seeds", "2"], "--seeds is not read by --suite; leave it out"),
        (["--torchmetrics", "--dataset", "digits"], "--dataset is not read by --torchmetrics; leave it out"),
        (["--budget", "0"], "--budget is above 0, not 0.0"),
        (["--budget", "inf"], "--budget is above 0, not inf"),
        (["--every", "0"], "--every is at least 1, not 0"),
        (["--every", "100"], "--every is read with --to alone; leave it out"),
        (["--budget", "60"], "--budget is read with --to alone; leave it out"),
        (["--against", "tutorial"], "--against tutorial is read with --to alone; take stock or none"),
        (["--to", "fid<=2", "--against", "stock"], "--against stock is not read by --to; take tutorial or none"),
        (["--to", "fid<=2", "--against", "tutorail"], "unknown loop 'tutorail'; did you mean 'tutorial'?"),
        (["--to", "fid<=2", "--seconds", "1"], "--seconds is not read by --to; leave it out"),
        (["--to", "fid<=2", "--seeds", "2"], "--seeds is not read by --to; leave it out"),
        (["--to", "fid<=2", "--suite", "quick"], "not allowed with argument --to"),
        (["--to", ""], '--to is a target such as "fid<=2 accuracy>=0.97", and here it is empty'),
        (["--to", "fid"], "--to takes METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid'"),
        (["--to", "fidd<=2"], "unknown metric 'fidd'; did you mean 'fid'?"),
        (["--to", "fid<=2", "--variant", "cgan"], "unknown variant 'cgan'; did you mean 'dcgan'?"),
        (["--json", "/dev/null/a.json"], "cannot write /dev/null/a.json: "),
        (["--fill", "nowhere.md"], "cannot read nowhere.md: No such file or directory"),
        (["--suite", "quick", "--fill", "page.md"], "not allowed with argument --suite"),
        (["--speed"], "unknown option --speed; did you mean --seeds?"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_one_sentence(called: Called, words: list[str], sentence: str) -> None:
    done = called(main, *words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert sentence.partition("; did you mean --seeds")[0] in done.err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"kind": "training"}', "to.json does not hold a measurement of --to; delete it, or choose another name"),
        ('{"kind": "qual', "to.json is damaged: it is not JSON"),
    ],
)
def test_a_time_to_quality_does_not_go_on_from_another_file(content: str, sentence: str, called: Called) -> None:
    Path("to.json").write_text(content)
    done = called(main, "--to", "fid<=2", "--json", "to.json")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert sentence in done.err
    assert Path("to.json").read_text() == content


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 3])
def test_training_is_measured_beside_stock(seeds: int, called: Called, tmp_path: Path) -> None:
    quick = f"--rounds 2 --seconds 0.02 --threads 1 --seeds {seeds}".split()
    done = called(main, "--variant", "vanilla_gan", "--dataset", "ring8", *quick, "--json", "all.json")
    assert done.code == 0, done.err
    measured = json.loads(Path("all.json").read_text())
    assert render(measured) == done.out.removesuffix("\n")
    assert measured["kind"] == "training"
    assert set(measured["machine"]) >= {"processor", "cores", "system", "python", "torch", "threads", "device"}
    assert measured["machine"]["threads"] == 1
    [row] = measured["rows"]
    assert (row["variant"], row["dataset"], row["recipe"], row["linear"]) == ("vanilla_gan", "ring8", "points", True)
    # Of several seeds that are trained as one, all is told of one of them.
    assert row["seeds"] == seeds
    assert row["parameters"] == {"generator": 17154, "discriminator": 17025}
    assert row["operations"] == count_by_hand(row["batch_size"], [2, 128, 128, 2], [2, 128, 128, 1])
    for figures in (row["ours"], row["stock"]):
        assert figures["memory_mib"] > 50
        slowest, fastest = figures["ms_per_update"]["most"], figures["ms_per_update"]["least"]
        assert figures["images_per_second"]["least"] == pytest.approx(row["batch_size"] / slowest * 1e3)
        assert figures["images_per_second"]["most"] == pytest.approx(row["batch_size"] / fastest * 1e3)
    assert row["gflops"]["most"] == pytest.approx(row["operations"] / row["ours"]["ms_per_update"]["least"] / 1e6)
    # Which is larger depends on how busy the machine is, but not what a ratio lies between.
    for name, above, below in (
        ("share_of_peak", row["gflops"], row["peak_gflops"]),
        ("faster_than_stock", row["stock"]["ms_per_update"], row["ours"]["ms_per_update"]),
    ):
        assert row[name]["least"] >= 0.999 * above["least"] / below["most"] > 0
        assert row[name]["most"] <= 1.001 * above["most"] / below["least"]
    for name in ("faster_than_stock", "peak_gflops"):
        assert row[name]["least"] <= row[name]["median"] <= row[name]["most"]


@pytest.mark.long
def test_the_seconds_to_a_quality_are_measured_beside_a_tutorial(called: Called, tmp_path: Path) -> None:
    """A very weak target is met at the second evaluation, by both sides and every seed."""
    words = "--dataset digits --rounds 2 --every 2 --threads 1 --json to.json".split()
    done = called(main, "--to", "fid<=1e9 accuracy>=0", *words)
    assert done.code == 0, done.err
    measured = json.loads(Path("to.json").read_text())
    assert render(measured) == done.out.removesuffix("\n")
    assert (measured["kind"], measured["target"], measured["seeds"]) == ("quality", "fid<=1e+09 accuracy>=0", [0, 1])
    assert (measured["every"], measured["budget"], measured["samples"]) == (2, 600, 5000)
    assert measured["machine"]["threads"] == 1
    ours, theirs = measured["rows"]
    assert [(row["kind"], row["variant"], row["dataset"]) for row in (ours, theirs)] == [
        ("ours", "cgan_mlp", "digits"),
        ("tutorial", "cgan", "digits"),
    ]
    assert ours["judge"] == theirs["judge"]
    assert ours["measured"] == theirs["measured"] == {"fid": "fid_normalized", "accuracy": "accuracy"}
    for row in (ours, theirs):
        assert row["reached"] == 2
        assert [(run["seed"], run["reached"], run["updates"]) for run in row["runs"]] == [(0, True, 4), (1, True, 4)]
        for counted, until in row["until"].items():
            assert until["least"] <= until["median"] <= until["most"], counted
            assert until["above"] is None
    again = called(main, "--to", "fid<=1e9 accuracy>=0", *words)
    assert (again.code, again.out) == (0, done.out)
    assert "to.json has 4 of 4 runs, which are kept" in again.err
    assert json.loads(Path("to.json").read_text())["rows"] == measured["rows"]
    other = called(main, "--to", "fid<=1e9 accuracy>=0.1", *words)
    assert other.code == 2
    assert "to.json was measured otherwise: target (fid<=1e+09 accuracy>=0, and here fid<=1e+09 " in other.err


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--variant vanilla_gan --dataset digits", "accuracy cannot be measured of vanilla_gan on digits: it needs"),
        ("--variant dcgan_text --dataset digits", "dcgan_text cannot be trained on data of shape (1, 8, 8): it needs"),
    ],
)
def test_a_target_that_a_variant_cannot_have_is_refused_before_the_training(
    words: str, sentence: str, called: Called
) -> None:
    done = called(main, "--to", "accuracy>=0.9", *words.split(), "--json", "to.json")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"error: {sentence}")
    assert not Path("to.json").exists()


@pytest.mark.long
def test_a_dataset_that_no_process_knows_is_refused(called: Called) -> None:
    done = called(main, "--variant", "vanilla_gan", "--dataset", "ring9", "--against", "none")
    assert done.code == 2
    assert "error: unknown dataset 'ring9'; did you mean 'ring8'?" in done.err
