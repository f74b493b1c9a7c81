"""Loss curves are the same bytes for the same lines, also for runs that ended at once."""

import math
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.pictures import draw_loss_curves


def lines(values: list[float]) -> list[dict]:
    names = ("generator_loss", "discriminator_loss", "d_real", "d_fake")
    return [{"epoch": 0, "curves": {}}] + [
        {"epoch": epoch, "curves": dict.fromkeys(names, value)} for epoch, value in enumerate(values, start=1)
    ]


def test_loss_curves_are_the_same_bytes_for_the_same_lines_and_leave_pyplot_alone(tmp_path: Path):
    from matplotlib import pyplot

    drawn = []
    for values in ([0.5, 0.4, 0.6], [0.5, 0.4, 0.6], [0.5, math.inf, 0.6], [0.5, math.nan, 0.6], [0.5, 0.5, 0.6]):
        draw_loss_curves(lines(values), tmp_path / "losses.png")
        drawn.append((tmp_path / "losses.png").read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[3]
    assert len({drawn[0], drawn[2], drawn[4]}) == 3
    assert pyplot.get_fignums() == []
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.format == "PNG"
        assert 600 <= picture.width <= 1200


@pytest.mark.parametrize("values", [[], [0.3], [math.nan]])
def test_a_run_that_ended_at_once_has_loss_curves_too(tmp_path: Path, values: list[float]):
    draw_loss_curves(lines(values), tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 1000
