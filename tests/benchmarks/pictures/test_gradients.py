"""The picture of the gradients draws what a log axis can."""

import math
from pathlib import Path

from PIL import Image

from benchmarks.pictures import draw_gradient_curves


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
