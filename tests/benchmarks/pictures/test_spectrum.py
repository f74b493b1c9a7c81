"""Power spectra are the same bytes for the same images, with the contrast of every period."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.pictures import draw_power_spectra


def test_power_spectra_are_the_same_bytes_for_the_same_images_and_tell_the_contrasts(tmp_path: Path):
    from metrics.spectrum import mean_power

    stream = torch.Generator().manual_seed(0)
    real = torch.rand(20, 1, 16, 16, generator=stream)
    checkered = real + (torch.arange(16)[:, None] + torch.arange(16)) % 2
    for name in ("one.png", "two.png"):
        draw_power_spectra(mean_power(checkered), mean_power(real), tmp_path / name, "a title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    draw_power_spectra(mean_power(real), mean_power(real), tmp_path / "same.png", "a title")
    assert (tmp_path / "same.png").read_bytes() != (tmp_path / "one.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 2 * picture.height


def test_a_power_spectrum_tells_every_period_with_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from matplotlib.figure import Figure

    from benchmarks.pictures import spectrum
    from metrics.spectrum import contrasts, mean_power

    drawn: list[Figure] = []
    monkeypatch.setattr(spectrum, "write_figure", lambda out, figure: drawn.append(figure))
    stream = torch.Generator().manual_seed(0)
    real = torch.rand(50, 1, 33, 34, generator=stream)
    coarse = real + 0.5 * (((torch.arange(33) // 2)[:, None] + torch.arange(34) // 2) % 2)
    samples, theirs = mean_power(coarse), mean_power(real)
    draw_power_spectra(samples, theirs, tmp_path / "one.png")
    titles = [axis.get_title() for axis in drawn[0].axes if axis.get_title()]
    for title, values in zip(titles[:2], (contrasts(samples), contrasts(theirs)), strict=True):
        for period in (2, 4, 8):
            assert f" {period}: {values[period]:+.2f}" in title
    excess = contrasts(samples)[4] - contrasts(theirs)[4]
    assert excess > 1
    assert titles[2].startswith("samples above real")
    assert f" 4: {excess:+.2f}" in titles[2]
    # A circle at each frequency.
    assert [len(circles.get_offsets()) for circles in drawn[0].axes[0].collections] == [3, 12, 48]
