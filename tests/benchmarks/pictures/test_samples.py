"""Grids, scatter plots and animations show the samples: every pixel, title, point and frame in its place."""

import math
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.pictures import animate, draw_grid, draw_points
from benchmarks.pictures.samples import _GAP, _GAP_GREY, _MARGIN
from variants.recipe import UserError


def levels(count: int, channels: int, side: int) -> Tensor:
    """Different images whose pixels are exactly uint8 values."""
    drawn = torch.randint(256, (count, channels, side, side), generator=torch.Generator().manual_seed(0))
    return drawn / 127.5 - 1


def tile(picture: Image.Image, row: int, column: int, side: int, top: int) -> np.ndarray:
    y, x = top + _GAP + row * (side + _GAP), _MARGIN + _GAP + column * (side + _GAP)
    return np.asarray(picture)[y : y + side, x : x + side]


@pytest.mark.parametrize(("channels", "side", "scale"), [(1, 8, 7), (1, 28, 2), (3, 32, 2), (3, 8, 7), (1, 64, 1)])
def test_a_tile_of_the_grid_is_its_image_enlarged(channels: int, side: int, scale: int):
    images = levels(7, channels, side)
    picture = draw_grid(images, 3)
    assert picture.mode == ("L" if channels == 1 else "RGB")
    for index in range(7):
        shown = tile(picture, index // 3, index % 3, side * scale, _MARGIN).reshape(
            side * scale, side * scale, channels
        )
        for dy, dx in ((0, 0), (scale - 1, scale - 1)):
            small = torch.from_numpy(shown[dy::scale, dx::scale].copy()).permute(2, 0, 1)
            assert torch.equal(small, ((images[index] + 1) * 127.5).round().byte())
    assert (tile(picture, 2, 1, side * scale, _MARGIN) == _GAP_GREY).all()


def test_what_lies_outside_the_range_is_clipped_and_nan_is_black():
    images = torch.tensor([-5.0, 5.0, math.nan, math.inf, -1.0, 1.0, 0.0]).reshape(7, 1, 1, 1).expand(7, 1, 8, 8)
    picture = draw_grid(images, 7)
    shown = [int(tile(picture, 0, column, 56, _MARGIN)[0, 0]) for column in range(7)]
    assert shown == [0, 255, 0, 255, 0, 255, 128]


def test_each_title_stands_above_its_own_column():
    images = torch.full((10, 1, 8, 8), -1.0)
    titles = ["0", "automobile", "", "a long name", "", "W" * 12, "", "", "", "T-shirt/top"]
    plain, titled = np.asarray(draw_grid(images, 10)), np.asarray(draw_grid(images, 10, titles))
    head = titled.shape[0] - plain.shape[0]
    assert (titled[_MARGIN + head :] == plain[_MARGIN:]).all()
    ink = (titled[: _MARGIN + head] < 128).any(axis=0)
    for column, title in enumerate(titles):
        left = _MARGIN + _GAP + column * (56 + _GAP)
        assert ink[left - 1 : left + 57].any() == bool(title), title
        assert not ink[left + 57 : left + 55 + _GAP].any(), title


def test_titles_must_fit_the_columns():
    with pytest.raises(UserError, match="2 titles for 3 columns"):
        draw_grid(torch.zeros(3, 1, 8, 8), 3, ["a", "b"])


def test_a_point_is_drawn_where_it_is_and_one_outside_is_not():
    drawn = np.asarray(draw_points(torch.tensor([[0.5, 0.25], [9.0, 9.0], [math.nan, 0.0]]), None, 1.0))
    inside = drawn[_MARGIN : _MARGIN + 480, _MARGIN : _MARGIN + 480]
    y, x = np.nonzero((inside < 255).any(axis=2))
    assert abs(x.mean() - 0.75 * 480) <= 1
    assert abs(y.mean() - (1 - 0.25) / 2 * 480) <= 1
    assert max(np.ptp(x), np.ptp(y)) <= 6


def test_more_points_in_a_place_are_darker_and_missed_centres_stay_visible():
    one, many = torch.zeros(1, 2), torch.zeros(50, 2)
    middle = _MARGIN + 240
    light = np.asarray(draw_points(one, None, 1.0)).astype(int)[middle, middle]
    dark = np.asarray(draw_points(many, None, 1.0)).astype(int)[middle, middle]
    assert (dark <= light).all()
    assert dark.sum() < light.sum() - 100
    ringed = np.asarray(draw_points(one, torch.tensor([[-0.5, -0.5]]), 1.0)).astype(int)
    vermilion = (ringed[..., 0] > 180) & (ringed[..., 2] < 120)
    y, x = np.nonzero(vermilion)
    assert abs(x.mean() - _MARGIN - 120) <= 1
    assert abs(y.mean() - _MARGIN - 360) <= 1


def frames_of(tmp_path: Path, count: int, mode: str) -> list[Path]:
    paths = []
    for index in range(count):
        path = tmp_path / f"{index}.png"
        Image.new(mode, (40, 30), index if mode == "L" else (index, 255 - index, 0)).save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_gif_has_a_frame_for_each_picture_in_their_order(tmp_path: Path, mode: str):
    paths = frames_of(tmp_path, 256, mode)[::17]
    animate(paths, tmp_path / "out.gif", seconds=16 * 0.1)
    frames = imageio.imread(tmp_path / "out.gif", index=None, mode="RGB").astype(int)
    assert frames.shape == (16, 30, 40, 3)
    for path, frame in zip(paths, frames, strict=True):
        assert np.abs(frame - np.asarray(Image.open(path).convert("RGB")).astype(int)).max() <= 9
    with Image.open(tmp_path / "out.gif") as film:
        assert film.info["loop"] == 0
        durations = []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
    assert durations == [100] * 15 + [2000]
    assert not list(tmp_path.glob("*.part"))


def test_a_long_run_is_shortened_to_its_first_its_last_and_some_between(tmp_path: Path):
    animate(frames_of(tmp_path, 250, "L"), tmp_path / "out.gif")
    frames = imageio.imread(tmp_path / "out.gif", index=None, mode="RGB")
    assert len(frames) <= 120
    assert (frames[0] < 9).all()
    assert (frames[-1] > 240).all()


def test_nothing_cannot_be_animated(tmp_path: Path):
    with pytest.raises(UserError, match="no pictures"):
        animate([], tmp_path / "out.gif")
