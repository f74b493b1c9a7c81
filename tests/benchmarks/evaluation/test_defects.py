"""The table of planted defects: its verdicts follow from its figures, and the command writes it."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.datasets import Split
from benchmarks.defects import main as command
from benchmarks.evaluation.defects import (
    IMAGE_DEFECTS,
    POINT_DEFECTS,
    DefectInput,
    DefectTable,
    draw_checkerboard,
    format_page,
)
from tests.benchmarks.evaluation.conftest import Bench
from tests.conftest import Done
from tests.image_sets import NOISE, Images
from variants.recipe import UserError

NAN = math.nan


def table(direction: str, sound: list[float], planted: list[float], interior: bool = False) -> DefectTable:
    interiors = frozenset({"fid"}) if interior else frozenset()
    return DefectTable("digits", "facts", {"fid": direction}, interiors, {"fid": sound}, {"blur": {"fid": planted}})


@pytest.mark.parametrize(
    ("direction", "planted", "verdict"),
    [
        ("min", [14.0, 15.0, 16.0], "noticed"),  # three deviations of the sound ones are 3
        ("min", [12.9, 15.0, 16.0], ""),  # the first split is worse by 2.9 only
        ("min", [6.0, 7.0, 8.0], "fooled"),
        ("min", [7.1, 7.0, 8.0], ""),
        ("max", [6.0, 7.0, 8.0], "noticed"),
        ("max", [14.0, 15.0, 16.0], "fooled"),
        ("max", [6.0, NAN, 8.0], "no sample to measure"),
    ],
)
def test_a_verdict_needs_every_split(direction: str, planted: list[float], verdict: str) -> None:
    assert table(direction, [10.0, 11.0, 12.0], planted).verdict("fid", "blur") == verdict


def test_a_metric_that_hardly_varies_still_has_to_move_by_a_hundredth() -> None:
    assert table("max", [0.999, 0.999, 0.999], [0.995, 0.995, 0.995]).verdict("fid", "blur") == ""
    assert table("max", [0.999, 0.999, 0.999], [0.98, 0.98, 0.98]).verdict("fid", "blur") == "noticed"


def test_a_metric_is_not_fooled_by_being_on_the_other_side_of_its_right_value() -> None:
    assert table("min", [0.5, 0.51, 0.49], [0.1, 0.1, 0.1], interior=True).verdict("fid", "blur") == ""


def test_the_page_marks_each_verdict() -> None:
    text = format_page([table("min", [10.0, 11.0, 12.0], [14.0, 15.0, 16.0])])
    assert "| `fid` | lower | 11 | **15** | 1 of 1 |" in text
    assert "| `fid` | lower | 11 | _7_ ✗ | 0 of 1 |" in format_page([table("min", [10.0, 11.0, 12.0], [6.0, 7.0, 8.0])])


def test_what_cannot_be_measured_has_a_dash() -> None:
    nothing = 3 * [NAN]
    assert "| `fid` | lower | – | – | 0 of 1 |" in format_page([table("min", nothing, nothing)])


def test_checkerboards_of_both_periods_are_planted() -> None:
    fine = [[1, -1, 1, -1, 1], [-1, 1, -1, 1, -1], [1, -1, 1, -1, 1]]
    coarse = [[1, 1, -1, -1, 1], [1, 1, -1, -1, 1], [-1, -1, 1, 1, -1]]
    assert draw_checkerboard(torch.zeros(2, 1, 3, 5), 2).tolist() == fine
    assert draw_checkerboard(torch.zeros(2, 1, 3, 5), 4).tolist() == coarse


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "docs" / "defects.md"
    command(["--dataset", "ring8", "--samples", "300", "--out", str(out)])
    lines = out.read_text(encoding="utf-8").splitlines()
    assert "300 samples against 300 real examples, 90,000 for training, 5 splits." in lines
    rows = {line.split("`")[1]: [cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:3] == "| `"}
    columns = dict(zip(POINT_DEFECTS, range(3, 3 + len(POINT_DEFECTS)), strict=True))
    assert rows["overlap"][columns["dropped mode"]].startswith("**0.8")
    assert rows["high_quality"][columns["uniform noise"]].startswith("**0.0")
    assert "**" not in rows["mode_kl"][columns["one point in a mode"]]
    assert capsys.readouterr().out.strip() == f"wrote {out}"


def test_data_without_labels_are_refused() -> None:
    with pytest.raises(UserError, match="stacked_digits has no labels"):
        command(["--dataset", "stacked_digits"])


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((6, 6), "defects are planted into 8 classes, and folder:own has 2; choose another dataset"),
        ((2,) * 8, r"folder:own has too few examples of \d to leave the \w+ one; choose another dataset"),
    ],
    ids=["two classes", "two images in a class"],
)
def test_a_set_that_is_too_small_to_plant_defects_into_is_refused(
    counts: tuple[int, ...], sentence: str, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 1)
    Images(counts, (NOISE,) * len(counts), 8, 8, colour=False, twice=False, seed=0).write(Path("own"))
    done = called(command, "--dataset", "folder:own")
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"^error: .*{sentence}$", done.err, re.MULTILINE)


def test_what_real_digits_show_is_known_of_the_defects(images: Bench) -> None:
    """Facts that decided how metrics are defined; see docs/defects.md."""
    assert images.values("mode_coverage", defect="uniform noise")["mode_coverage"] < 0.5
    assert images.values("mode_coverage", defect="blends")["mode_coverage"] < 0.6
    one = images.values("accuracy", "diversity_worst", defect="one image in a class")
    assert one["accuracy"] > 0.98  # it does not see a class of one image
    assert one["diversity_worst"] < 0.05
    copied, sound = (images.values("fid_normalized", defect=each) for each in ("copies of training", ""))
    assert copied["fid_normalized"] < 2 * sound["fid_normalized"]


@pytest.mark.parametrize("defect", IMAGE_DEFECTS)
def test_a_planted_defect_keeps_shape_and_range(defect: str, images: Bench) -> None:
    plant: Callable[[DefectInput], Tensor] = IMAGE_DEFECTS[defect]
    planted = plant(images.planting)
    assert planted.shape == images.planting.sound.shape
    assert planted.abs().max() <= 1
    assert not torch.equal(planted, images.planting.sound)


def test_planting_uses_images_that_nobody_else_has(images: Bench) -> None:
    def rows(split: Split) -> set[bytes]:
        return {row.numpy().tobytes() for row in split.data}

    source, reference, training = map(
        rows, (images.planting.source, images.evaluator.dataset.reference, images.planting.training)
    )
    assert not source & reference
    assert not source & training
    # A class may have fewer images in one of the three parts than in another.
    assert len(set(images.planting.places.tolist())) > 0.9 * len(images.planting.places)
