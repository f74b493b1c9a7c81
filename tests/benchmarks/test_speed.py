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
def test_a_dataset_that_no_process_knows_is_refused(called: Called) -> None:
    done = called(main, "--variant", "vanilla_gan", "--dataset", "ring9", "--against", "none")
    assert done.code == 2
    assert "error: unknown dataset 'ring9'; did you mean 'ring8'?" in done.err
