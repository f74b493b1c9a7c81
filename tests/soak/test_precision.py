"""Whether a smaller precision changes what comes out: planted and absent differences, and the command itself."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run_folder.folder import JOURNAL, STATUS
from benchmarks.statistics.verdicts import NO_DIFFERENCE, SUPPORTED
from benchmarks.timing.tables import render
from tests.conftest import Done
from tests.soak.precision import compare_precisions, main

SEEDS = 10


def folders(where: Path, fid: float, accuracy: float | None, failing: int = 0) -> list[Path]:
    """Run folders whose last evaluations have these figures, but for a little noise; the first ones failed."""
    noise, made = random.Random(where.name), []
    for seed in range(SEEDS):
        path = where / f"s{seed}"
        path.mkdir(parents=True)
        metrics = {"fid_normalized": fid * math.exp(noise.gauss(0, 0.02))}
        if accuracy is not None:
            metrics["accuracy"] = accuracy + noise.gauss(0, 0.001)
        lines = [{"epoch": 0, "curves": {}, "metrics": {"fid_normalized": 1000.0}}]
        lines += [{"epoch": epoch, "curves": {}, "metrics": metrics} for epoch in range(1, 5)]
        (path / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines))
        failed = {"state": "FAILED", "cause": "generator_loss is nan in epoch 4"}
        (path / STATUS).write_text(json.dumps(failed if seed < failing else {"state": "FINISHED"}))
        made.append(path)
    return made


def test_what_differs_by_more_than_the_margin_is_told_and_what_does_not_is_no_difference(tmp_path: Path) -> None:
    full = folders(tmp_path / "full", 40.0, 0.95)
    verdicts = compare_precisions(
        {
            ("alike", "bfloat16"): (full, folders(tmp_path / "alike", 40.5, 0.951)),
            ("worse", "bfloat16"): (full, folders(tmp_path / "worse", 80.0, 0.85)),
            ("better", "tf32"): (full, folders(tmp_path / "better", 20.0, 0.949)),
        }
    )
    assert {verdict.test: (verdict.outcome, verdict.better) for verdict in verdicts} == {
        "alike, bfloat16, FID": (NO_DIFFERENCE, ""),
        "alike, bfloat16, accuracy": (NO_DIFFERENCE, ""),
        "worse, bfloat16, FID": (SUPPORTED, "float32"),
        "worse, bfloat16, accuracy": (SUPPORTED, "float32"),
        "better, tf32, FID": (SUPPORTED, "tf32"),
        "better, tf32, accuracy": (NO_DIFFERENCE, ""),
    }


def test_failed_runs_count_as_worse_than_any_and_a_gan_without_labels_has_no_accuracy(tmp_path: Path) -> None:
    full, reduced = folders(tmp_path / "full", 40.0, None), folders(tmp_path / "reduced", 40.0, None, failing=9)
    (verdict,) = compare_precisions({("plain", "bfloat16"): (full, reduced)})
    assert (verdict.test, verdict.outcome, verdict.better) == ("plain, bfloat16, FID", SUPPORTED, "float32")
    assert verdict.effects[0].failed == (9, 0)


def test_runs_that_have_not_ended_are_no_failures(tmp_path: Path) -> None:
    full, reduced = folders(tmp_path / "full", 40.0, None), folders(tmp_path / "reduced", 40.0, None)
    for path in reduced[:3]:
        (path / STATUS).write_text(json.dumps({"state": "FAILED", "cause": "OSError: no space"}))
    (verdict,) = compare_precisions({("plain", "bfloat16"): (full, reduced)})
    assert (verdict.effects[0].seeds, verdict.effects[0].failed) == ((7, 10), (0, 0))


@pytest.mark.long
def test_the_command_trains_both_precisions_and_writes_what_it_found(
    called: Callable[..., Done], tmp_path: Path
) -> None:
    words = "--dataset digits --seeds 5 --epochs 1 --epoch-updates 2 --samples 60 --workers 1".split()
    done = called(main, *words, "--json", str(tmp_path / "precision.json"))
    assert done.code == 0, done.err
    measured = json.loads((tmp_path / "precision.json").read_text())
    assert [(row["variant"], row["precision"], row["outcome"], row["seeds"]) for row in measured["rows"]] == [
        ("cgan_mlp", "bfloat16", "FID", [5, 5]),
        ("cgan_mlp", "bfloat16", "accuracy", [5, 5]),
    ]
    assert done.out.endswith(render(measured) + "\n")
    configs = [json.loads(path.read_text())["config"] for path in Path("runs").glob("*/config.json")]
    assert sorted((each["precision"], each["seed"]) for each in configs) == [
        (precision, seed) for precision in ("bfloat16", "float32") for seed in range(5)
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--seeds 4", "--seeds is at least 5, not 4: fewer decide nothing"),
        ("--precision float32", "unknown precision 'float32'"),
        ("--precision bfloat16 tf32", "the device 'cpu' does not train in tf32; take --precision float32"),
        ("--cuda-graphs", "--cuda-graphs needs --device cuda, and this is cpu"),
        ("--variant cgan_mpl", "unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'?"),
    ],
)
def test_bad_input_gets_one_sentence(words: str, sentence: str, called: Callable[..., Done]) -> None:
    done = called(main, *words.split())
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
