"""Pictures: their pixels are the data's, their frames the epochs, their boxes the layers."""

import itertools
import math
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.pictures import animate, draw_grid, draw_loss_curves, draw_networks, draw_points, draw_power_spectra
from benchmarks.pictures.networks import trace
from benchmarks.pictures.samples import _GAP, _GAP_GREY, _MARGIN
from variants import VARIANTS, load_variant
from variants.base import DataSpec
from variants.recipe import Recipe, UserError
from variants.remedies import Packed

DIGITS = DataSpec((1, 8, 8), classes=10)
MNIST = DataSpec((1, 28, 28), classes=10)


def levels(count: int, channels: int, side: int) -> Tensor:
    """Different images whose pixels are exactly uint8 values."""
    drawn = torch.randint(256, (count, channels, side, side), generator=torch.Generator().manual_seed(0))
    return drawn / 127.5 - 1


def tile(picture: Image.Image, row: int, column: int, side: int, top: int) -> np.ndarray:
    y, x = top + _GAP + row * (side + _GAP), _MARGIN + _GAP + column * (side + _GAP)
    return np.asarray(picture)[y : y + side, x : x + side]


# Samples


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


# Curves


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


# Networks


def blocks_of(network: nn.Module, *names: str, condition: bool = False, **shapes: tuple[int, ...]) -> list:
    inputs = {name: torch.zeros(2, *shape) for name, shape in shapes.items()}
    inputs["label"] = torch.zeros(2, dtype=torch.int64) if condition else None
    return [
        (" / ".join(block.lines), block.shape, block.before, block.parameters)
        for block in trace(network, inputs, names or ("out",))
    ]


def test_the_graph_of_the_conditional_linear_networks_is_the_one_worked_out_by_hand():
    variant = load_variant("cgan_mlp")
    generator, discriminator = variant.build(MNIST, variant.recipe("default"))
    assert blocks_of(generator, "image", noise=(100,), condition=True) == [
        ("noise", (100,), [], 0),
        ("label", (), [], 0),
        ("Embedding 10 → 10", (10,), [1], 100),
        ("concatenate", (110,), [0, 2], 0),
        ("Linear 110 → 256 / BatchNorm / LeakyReLU 0.2", (256,), [3], 110 * 256 + 2 * 256),
        ("Linear 256 → 512 / BatchNorm / LeakyReLU 0.2", (512,), [4], 256 * 512 + 2 * 512),
        ("Linear 512 → 784 / Tanh", (1, 28, 28), [5], 512 * 784 + 784),
        ("image", (1, 28, 28), [6], 0),
    ]
    assert blocks_of(discriminator, "logit", image=(1, 28, 28), condition=True) == [
        ("image", (1, 28, 28), [], 0),
        ("label", (), [], 0),
        ("Embedding 10 → 10", (10,), [1], 100),
        ("concatenate", (794,), [0, 2], 0),
        ("Linear 794 → 512 / LeakyReLU 0.2", (512,), [3], 795 * 512),
        ("Linear 512 → 256 / LeakyReLU 0.2", (256,), [4], 513 * 256),
        ("Linear 256 → 1", (), [5], 257),
        ("logit", (), [6], 0),
    ]


class Residual(nn.Module):
    """x + f(x), then one layer twice, then two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.norm = nn.Linear(3, 4), nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.first(x)
        x = x + self.shared(x).relu()
        y = self.norm(self.shared(x))
        return y, x.sum(1)


def test_ways_round_a_layer_shared_layers_and_two_outputs_are_traced():
    assert blocks_of(Residual(), "y", "sum", x=(3,)) == [
        ("x", (3,), [], 0),
        ("Linear 3 → 4", (4,), [0], 16),
        ("Linear 4 → 4", (4,), [1], 20),
        ("Linear 4 → 4 / LayerNorm", (4,), [1, 2], 8),
        ("y", (4,), [3], 0),
        ("sum", (), [1, 2], 0),
    ]


CAPTIONED = DataSpec((1, 28, 28), vocabulary=("one", "two", "bold", "thin", "left", "right"))


def serves(name: str, spec: DataSpec, recipe: str) -> bool:
    variant = load_variant(name)
    try:
        variant.check(variant.recipe(recipe), spec)
    except UserError:
        return False
    return True


BUILDS = [
    (name, spec, recipe)
    for name in VARIANTS
    for spec in (DIGITS, MNIST, CAPTIONED)
    for recipe in load_variant(name).recipes
    if serves(name, spec, recipe)
]


@pytest.mark.parametrize(("name", "spec", "recipe"), BUILDS, ids=lambda value: str(getattr(value, "shape", value)))
def test_every_parameter_is_in_the_graph_once_and_the_networks_stay_as_they_were(
    name: str, spec: DataSpec, recipe: str, tmp_path: Path
):
    variant = load_variant(name)
    chosen = variant.recipe(recipe)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = variant.build(spec, chosen)
    before = [value.clone() for network in networks for value in network.state_dict().values()]
    drawn = torch.random.get_rng_state()
    # One example of each class, because a network may have layers of its own for each.
    condition = torch.arange(10) if spec.classes else torch.zeros(10, 3, dtype=torch.int64)
    for network, shape in zip(networks, ((chosen.noise_size,), spec.shape), strict=True):
        told = None if chosen.conditioning == "none" else condition
        blocks = trace(network, {"x": torch.zeros(10, *shape), "label": told}, ["y"])
        assert sum(block.parameters for block in blocks) == sum(p.numel() for p in network.parameters())
        assert all(source < index for index, block in enumerate(blocks) for source in block.before)
    draw_networks(*networks, spec, chosen, tmp_path / "networks.png")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    with Image.open(tmp_path / "networks.png") as picture:
        assert picture.width > 500
        assert picture.height > 400
    after = [value for network in networks for value in network.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for network in networks:
        assert all(module.training for module in network.modules())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_boxes_of_the_graph_do_not_cover_each_other():
    from benchmarks.pictures.networks import Block, _places

    fork = [
        Block(["x"], (), []),
        Block(["y"], (), []),
        Block(["a"], (), [0]),
        Block(["b"], (), [0]),
        Block(["c"], (), [1]),
        Block(["d"], (), [2, 3, 4]),
        Block(["e"], (), [5, 0]),
    ]
    ranks, lanes = _places(fork)
    assert len(set(zip(ranks, lanes, strict=True))) == len(fork)
    for index, source in itertools.chain.from_iterable(((i, s) for s in b.before) for i, b in enumerate(fork)):
        assert ranks[source] < ranks[index]


def test_networks_that_judge_packs_or_points_are_drawn_too(tmp_path: Path):
    variant = load_variant("vanilla_gan")
    recipe = variant.recipe("small")
    generator, _ = variant.build(DIGITS, recipe)
    _, wide = variant.build(DataSpec((3, 8, 8), classes=10), recipe)
    draw_networks(generator, Packed(wide, 3), DIGITS, recipe, tmp_path / "packed.png")
    plane = DataSpec((2,), bounded=False)
    recipe = Recipe(noise_size=2, generator_widths=(16,), discriminator_widths=(16,))
    draw_networks(*variant.build(plane, recipe), plane, recipe, tmp_path / "points.png")
    assert (tmp_path / "packed.png").stat().st_size > 1000
    assert (tmp_path / "points.png").stat().st_size > 1000


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
