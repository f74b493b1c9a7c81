"""The graph shows each layer, way and parameter of the networks once."""

import itertools
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.pictures import draw_networks
from benchmarks.pictures.networks import trace
from variants import VARIANTS, load_variant
from variants.base import DataSpec
from variants.recipe import Recipe, UserError
from variants.remedies import Packed

DIGITS = DataSpec((1, 8, 8), classes=10)


MNIST = DataSpec((1, 28, 28), classes=10)


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


@pytest.mark.long
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
