"""The stock loop trains the same networks on the same examples, with the same losses, by torch's own layers."""

import math

import pytest
import torch
from torch import nn

from benchmarks.algorithm.gan import build_gan
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.timing import stock
from variants import UserError, load_variant
from variants.batch import Batch
from variants.blocks import BatchNorm, draw_from
from variants.objective import objective

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
@pytest.mark.parametrize(
    ("name", "dataset", "changes"),
    [
        ("cgan_mlp", "digits", {}),
        ("dcgan", "digits", {"loss": "saturating"}),
        ("cgan_conv", "digits", {}),
        ("separate_gans", "digits", {}),
        ("vanilla_gan", "ring8", {}),
    ],
)
def test_the_stock_loop_has_the_losses_of_ours(name: str, dataset: str, changes: dict, dtype: torch.dtype) -> None:
    """In float64: the generator's loss is of a discriminator that was updated, and an update amplifies rounding."""
    variant, data = load_variant(name), load(DatasetConfig(dataset))
    recipe = variant.recipe(variant.recipe_for(data.spec)).with_(changes)
    ours = build_gan(variant, data.spec, recipe, 3, CPU)
    with initialisation(3):
        generator, discriminator = (stock.use_torch_layers(network) for network in variant.build(data.spec, recipe))
    assert not any(isinstance(module, BatchNorm) for module in [*generator.modules(), *discriminator.modules()])
    for network in (ours.generator, ours.discriminator):
        draw_from(network.train(), stream(0, "layers"))
    noise, other = torch.randn(2, recipe.batch_size, recipe.noise_size, generator=stream(0, "noise"))
    chosen = torch.arange(recipe.batch_size)
    real, condition = data.train.images(chosen).to(dtype), data.train.condition(chosen)
    aim, within = objective(recipe), stream(0, "updates")
    wanted = discriminator_update(ours, aim, recipe, Batch(real, condition, noise, condition, within))
    wanted |= generator_update(ours, aim, recipe, Batch(real, condition, other, condition.flip(0), within))

    betas = (recipe.beta1, recipe.beta2)
    rates = zip((discriminator, generator), (recipe.discriminator_lr, recipe.generator_lr), strict=True)
    for_discriminator, for_generator = (torch.optim.Adam(n.parameters(), lr=rate, betas=betas) for n, rate in rates)
    logged = stock.discriminator_step(generator, discriminator, for_discriminator, real, condition, noise)
    logged |= stock.generator_step(generator, discriminator, for_generator, other, condition.flip(0), recipe.loss)
    for name, value in logged.items():
        assert value == pytest.approx(wanted[name].item(), rel=1e-9), name


@pytest.mark.parametrize("dataset", ["digits", "ring8", "captions_digits"])
def test_the_stock_loop_sees_the_same_examples(dataset: str) -> None:
    data = load(DatasetConfig(dataset)).train
    loader = stock.make_loader(data, 16)
    for index in (0, 7):
        example, condition = loader.dataset[index]
        torch.testing.assert_close(example, data.images(torch.tensor([index]))[0])
        assert torch.equal(torch.as_tensor(condition), data.condition(torch.tensor([index]))[0])
    examples, conditions = next(iter(loader))
    assert examples.shape == (16, *data.images(slice(0, 1)).shape[1:])
    assert conditions.shape == data.condition(torch.arange(16)).shape


@pytest.mark.parametrize("batches", ["fresh", "same"])
def test_the_stock_loop_takes_as_many_discriminator_steps(batches: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variant, data = load_variant("vanilla_gan"), load(DatasetConfig("ring8"))
    recipe = variant.recipe("points").with_({"critic_steps": 3, "critic_batch": batches, "averaging": 0.9})
    seen: list[torch.Tensor] = []
    step = stock.discriminator_step

    def noted(generator, discriminator, optimizer, real, *rest) -> dict[str, float]:
        seen.append(real)
        return step(generator, discriminator, optimizer, real, *rest)

    monkeypatch.setattr(stock, "discriminator_step", noted)
    loop = stock.train(*variant.build(data.spec, recipe), stock.make_loader(data.train, recipe.batch_size), recipe)
    assert all(math.isfinite(value) for value in next(loop).values())
    next(loop)
    assert len(seen) == 6
    assert torch.equal(seen[0], seen[1]) is (batches == "same")
    assert not torch.equal(seen[2], seen[3])


@pytest.mark.parametrize(
    "changes",
    [
        {"replay": 0.5},
        {"loss": "hinge"},
        {"noise": "uniform"},
        {"optimizer": "sgd"},
        {"lr_decay": "linear"},
        {"conditioning": "auxiliary"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_stock_loop_refuses_what_it_would_do_otherwise(changes: dict) -> None:
    recipe = load_variant("cgan_mlp").recipe("small")
    stock.refuse_unknown(recipe)
    [(name, value)] = changes.items()
    with pytest.raises(UserError, match=f"does not know --{name.replace('_', '-')} {value}"):
        stock.refuse_unknown(recipe.with_(changes))


def test_the_usual_layers_have_the_same_weights() -> None:
    variant, data = load_variant("cgan_mlp"), load(DatasetConfig("digits"))
    generator, discriminator = variant.build(data.spec, variant.recipe("report"))
    before = {id(parameter) for network in (generator, discriminator) for parameter in network.parameters()}
    usual = [stock.use_torch_layers(network) for network in (generator, discriminator)]
    assert {id(parameter) for network in usual for parameter in network.parameters()} == before
    assert [type(module) for module in usual[1].modules()].count(nn.Dropout) == 3


@pytest.mark.parametrize("normalization", ["none", "batch", "spectral"])
def test_the_usual_convolutions_are_torchs_own(normalization: str) -> None:
    """None of them by blocks of pixels, whatever stands around them; on the same weights they give the same."""
    variant, data = load_variant("dcgan"), load(DatasetConfig("digits"))
    recipe = variant.recipe("small").with_({"discriminator_normalization": normalization})
    made: dict[bool, list[torch.Tensor]] = {}
    noise = torch.randn(6, recipe.noise_size, generator=stream(0, "noise"))
    for usual in (False, True):
        with initialisation(0):
            generator, discriminator = variant.build(data.spec, recipe)
        if usual:
            generator, discriminator = stock.use_torch_layers(generator), stock.use_torch_layers(discriminator)
        with torch.profiler.profile() as profiled:
            images = generator(noise)
            made[usual] = [images, discriminator(images).logits]
        by_blocks = {event.key for event in profiled.key_averages()} & {"aten::pixel_shuffle", "aten::pixel_unshuffle"}
        assert bool(by_blocks) is not usual
    torch.testing.assert_close(made[True], made[False], rtol=1e-4, atol=1e-5)
