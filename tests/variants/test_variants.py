"""The contract of every variant, on every kind of data it serves."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.algorithm.gan import GAN, make_gan
from benchmarks.algorithm.precision import refuse_reduced
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import discriminator_update, generator_update
from variants import VARIANTS, DataSpec, UserError, Variant, load_variant
from variants.batch import Batch
from variants.blocks import draw_from
from variants.losses import LOSSES
from variants.noise import NOISES
from variants.objective import objective
from variants.recipe import FIELDS, NEUTRAL, Recipe

SPECS = {
    "digits": DataSpec((1, 8, 8), classes=10),
    "mnist": DataSpec((1, 28, 28), classes=10),
    "cifar10": DataSpec((3, 32, 32), classes=10),
    "colour_8": DataSpec((3, 8, 8), classes=10),
    "captions": DataSpec((1, 8, 8), vocabulary=tuple("abcdefgh")),
    "ring": DataSpec((2,), bounded=False, classes=8),
}


def takes(name: str, spec: DataSpec, build: bool = False, **changes) -> bool:
    """Says whether a variant takes such data and changes; its layers may refuse them too, and take time to build."""
    variant = load_variant(name)
    recipe = variant.recipe(variant.recipe_for(spec)).with_(changes)
    try:
        variant.check(recipe, spec)
        objective(recipe)
        if build:
            variant.build(spec, recipe)
    except UserError:
        return False
    return True


SERVED = [
    pytest.param(name, spec, id=f"{name}-{data}")
    for name in VARIANTS
    for data, spec in SPECS.items()
    if takes(name, spec, build=True)
]
TRAINED = [
    pytest.param(*served.values, loss, noise, id=f"{served.id}-{loss}-{noise}")
    for served in SERVED
    for loss, noise in zip(LOSSES, itertools.cycle(NOISES), strict=False)
    if takes(*served.values, build=LOSSES[loss].compares, loss=loss, noise=noise)
]
BATCH = 12
LAST_BIAS = "head.dense.bias"
# The gradient of that bias is a sum over real examples and fakes, of terms of at most 1 / BATCH: it is off by no more
# than terms × 2⁻²⁴ × the sum of their sizes, in whatever order a processor sums.
ROUNDING = 2 * BATCH * 2.0**-24 * 2


def made(name: str, spec: DataSpec, **changes):
    variant = load_variant(name)
    recipe = variant.recipe(variant.recipe_for(spec)).with_({"batch_size": BATCH, **changes})
    variant.check(recipe, spec)
    torch.manual_seed(0)
    generator, discriminator = variant.build(spec, recipe)
    for network in (generator, discriminator):
        draw_from(network, stream(0, "dropout"))
    return recipe, make_gan(generator, discriminator, recipe)


def losses(gan, recipe: Recipe, batch: Batch) -> dict[str, torch.Tensor]:
    """What one update of each network measures."""
    aim = objective(recipe)
    return discriminator_update(gan, aim, recipe, batch) | generator_update(gan, aim, recipe, batch)


def open_attention(gan: GAN) -> None:
    """Sets the factors of attention, which are 0 at first, so that nothing that they scale could learn."""
    for network in (gan.generator, gan.discriminator):
        for name, parameter in network.named_parameters():
            if name.endswith("attention.scale.factor"):
                parameter.data.fill_(0.5)


def batch_for(spec: DataSpec, recipe: Recipe) -> Batch:
    drawn = stream(1, "batch")
    examples = torch.rand(BATCH, *spec.shape, generator=drawn) * 2 - 1
    noise = NOISES[recipe.noise]((BATCH, recipe.noise_size), drawn)
    condition = torch.arange(BATCH) % (spec.classes or 1)
    if spec.vocabulary:
        condition = torch.randint(len(spec.vocabulary), (BATCH, 3), generator=drawn)
    return Batch(examples, condition, noise, condition.flip(0), drawn)


@pytest.mark.parametrize(("name", "spec"), SERVED)
def test_shapes_and_range(name: str, spec: DataSpec) -> None:
    recipe, gan = made(name, spec)
    batch = batch_for(spec, recipe)
    fakes = gan.generator(batch.noise, batch.fake_condition)
    assert fakes.shape == (BATCH, *spec.shape)
    assert not spec.bounded or fakes.abs().max() <= 1
    assert gan.discriminator(fakes, batch.fake_condition).logits.shape == (BATCH,)


@pytest.mark.parametrize(("name", "spec", "loss", "noise"), TRAINED)
def test_every_parameter_learns_with_every_loss_and_noise(name: str, spec: DataSpec, loss: str, noise: str) -> None:
    recipe, gan = made(name, spec, loss=loss, noise=noise)
    batch, aim = batch_for(spec, recipe), objective(recipe)
    open_attention(gan)
    # Beyond the margin of the hinge, within which that loss knows no constant either.
    for parameter_name, parameter in gan.discriminator.named_parameters():
        if parameter_name.endswith(LAST_BIAS):
            parameter.data.fill_(1.5)
    measured = discriminator_update(gan, aim, recipe, batch._replace(fake_condition=batch.condition))
    measured |= generator_update(gan, aim, recipe, batch)
    assert all(math.isfinite(value) for value in measured.values())
    for network in (gan.generator, gan.discriminator):
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None, parameter_name
            zero = parameter.grad.abs().max() <= ROUNDING
            # A constant added to all logits changes nothing for such a loss.
            expected = LOSSES[loss].shift_invariant and parameter_name.endswith(LAST_BIAS)
            assert zero == expected, parameter_name


@pytest.mark.parametrize(("name", "spec"), SERVED)
def test_the_condition_is_used_as_declared(name: str, spec: DataSpec) -> None:
    recipe, gan = made(name, spec)
    batch = batch_for(spec, recipe)
    other = (batch.fake_condition + 1) % (spec.classes or len(spec.vocabulary))
    gan.generator.eval(), gan.discriminator.eval()
    fakes = gan.generator(batch.noise, batch.fake_condition)
    in_generator = not torch.equal(fakes, gan.generator(batch.noise, other))
    logits = gan.discriminator(fakes, batch.fake_condition).logits
    in_discriminator = not torch.equal(logits, gan.discriminator(fakes, other).logits)
    assert in_generator == (recipe.conditioning != "none")
    # An auxiliary head names the class of what it is not told.
    told = recipe.conditioning not in ("none", "auxiliary", "generator")
    assert in_discriminator == told
    classes = gan.discriminator(fakes, batch.fake_condition).classes
    assert (classes is not None) == (recipe.conditioning == "auxiliary")


@pytest.mark.parametrize(("name", "spec"), SERVED)
def test_an_update_leaves_the_other_network_as_it_was(name: str, spec: DataSpec) -> None:
    """Parameters and buffers alike: batch-norm statistics count."""
    recipe, gan = made(name, spec)
    batch, aim = batch_for(spec, recipe), objective(recipe)

    def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in network.state_dict().items()}

    def changed(before: dict[str, torch.Tensor], network: torch.nn.Module) -> set[str]:
        return {name for name, value in network.state_dict().items() if not torch.equal(before[name], value)}

    def moving(state: dict[str, torch.Tensor]) -> set[str]:
        """All but what is 1 for ever: the singular vector of a matrix of one row, up to its sign."""
        return {name for name, value in state.items() if not (name.endswith(".left") and value.numel() == 1)}

    # Of a loss that knows no constant, as the hinge within its margin, the gradient of this bias is 0, or rounding.
    idle = {LAST_BIAS} if aim.adversarial.shift_invariant or recipe.loss == "hinge" else set()

    open_attention(gan)
    generator, discriminator = state(gan.generator), state(gan.discriminator)
    # Twice: the first singular vectors may be exact, and move only once their weights have.
    for _ in range(2):
        discriminator_update(gan, aim, recipe, batch)
    assert changed(generator, gan.generator) == set()
    assert changed(discriminator, gan.discriminator) | idle == moving(discriminator) | idle
    discriminator = state(gan.discriminator)
    for _ in range(2):
        generator_update(gan, aim, recipe, batch)
    assert changed(discriminator, gan.discriminator) == set()
    assert changed(generator, gan.generator) == moving(generator)


@pytest.mark.parametrize(("name", "spec"), SERVED)
def test_a_smaller_precision_is_that_of_the_layers_alone(name: str, spec: DataSpec) -> None:
    """Losses, weights and gradients are float32, and the losses are those of float32 but for a few per cent."""
    measured, seen = {}, set()
    penalised = made(name, spec)[0]
    if penalised.gradient_penalty or penalised.r1:
        with pytest.raises(UserError, match="takes the gradient of a gradient"):
            refuse_reduced(penalised, "bfloat16")
        return
    for precision in ("float32", "bfloat16"):
        recipe, full = made(name, spec)
        gan = replace(full, precision=precision)
        if precision == "bfloat16":
            for module in [*gan.generator.modules(), *gan.discriminator.modules()]:
                if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                    module.register_forward_hook(lambda _, __, out: seen.add(out.dtype))
        measured[precision] = losses(gan, recipe, batch_for(spec, recipe))
        for network in (gan.generator, gan.discriminator):
            assert {p.dtype for p in network.parameters()} == {p.grad.dtype for p in network.parameters()}
            assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert seen == {torch.bfloat16}
    for name, value in measured["bfloat16"].items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(measured["float32"][name].item(), rel=0.1, abs=0.02), name
    assert measured["bfloat16"]["generator_loss"] != measured["float32"]["generator_loss"]


@pytest.mark.parametrize(("name", "spec"), SERVED)
def test_no_bias_stands_before_a_normalisation(name: str, spec: DataSpec) -> None:
    """Such a bias is taken away again; its gradient is rounding noise, of which Adam makes steps."""
    recipe, gan = made(name, spec)
    open_attention(gan)
    if recipe.generator_normalization != "none":
        batch = batch_for(spec, recipe)
        generator = gan.generator.double().train()
        fakes = generator(batch.noise.double(), batch.condition)
        (fakes * torch.rand(fakes.shape, generator=stream(2, "weights"), dtype=torch.float64)).sum().backward()
        largest = max(p.grad.abs().max() for p in generator.parameters())
        for parameter_name, parameter in generator.named_parameters():
            assert parameter.grad.abs().max() > 1e-9 * largest, parameter_name


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_complete(name: str) -> None:
    variant = load_variant(name)
    assert variant.name == name
    assert "default" in variant.recipes
    assert variant.claims
    for recipe in variant.recipes.values():
        assert any(not variant.refuses(spec) for spec in SPECS.values())
        assert {f for f in FIELDS if FIELDS[f].metadata["part"] == "architecture"} >= variant.reads
        assert recipe.conditioning in variant.conditionings


def test_the_report_recipe_is_the_source_to_the_letter() -> None:
    """I3b to I3d: noise of 100, batch 128, Adam at 1e-4, 5 steps and then 1, 60 epochs, dropout, linear layers."""
    report = load_variant("cgan_mlp").recipe("report")
    assert (report.noise_size, report.batch_size, report.critic_steps, report.epochs) == (100, 128, 5, 60)
    assert report.generator_lr == report.discriminator_lr == 1e-4
    assert report.critic_batch == "same"
    assert report.dropout > 0
    assert (report.generator_layers, report.discriminator_layers) == ("linear", "linear")
    assert (report.generator_normalization, report.discriminator_normalization) == ("none", "none")


def test_a_new_variant_is_one_module_and_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "tiny_gan.py").write_text(
        "from variants.base import Variant\n"
        "from variants.networks import READS, build\n"
        "from variants.recipe import Recipe\n"
        "VARIANT = Variant('tiny_gan', 'one hidden layer', ('A',), build,"
        " {'default': Recipe(generator_widths=(8,), discriminator_widths=(8,))}, READS)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(VARIANTS, "tiny_gan", "tiny_gan")
    assert isinstance(load_variant("tiny_gan"), Variant)
    test_every_parameter_learns_with_every_loss_and_noise("tiny_gan", SPECS["digits"], "saturating", "uniform")


def test_losses_that_compare_do_not_fit_separate_gans() -> None:
    with pytest.raises(UserError, match="--loss relativistic compares examples in pairs"):
        made("separate_gans", SPECS["digits"], loss="relativistic")


def test_an_unknown_variant_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"unknown variant 'cgan_mpl'; did you mean 'cgan_mlp'\?"):
        load_variant("cgan_mpl")


def test_an_architecture_field_that_is_not_read_is_refused() -> None:
    vanilla = load_variant("vanilla_gan")
    with pytest.raises(UserError, match="--conditioning does not apply to vanilla_gan"):
        vanilla.check(vanilla.recipe("default").with_({"conditioning": "embedding"}), SPECS["mnist"])


@pytest.mark.parametrize("name", ["cgan_conv", "dcgan"])
def test_convolutions_refuse_points(name: str) -> None:
    with pytest.raises(UserError, match="convolutions need images"):
        load_variant(name).check(load_variant(name).recipe("default"), SPECS["ring"])


def test_a_conditional_variant_refuses_data_without_labels() -> None:
    cgan = load_variant("cgan_mlp")
    with pytest.raises(UserError, match="cgan_mlp needs labels"):
        cgan.check(cgan.recipe("default"), DataSpec((1, 28, 28)))


@pytest.mark.parametrize("size", [7, 9, 27])
def test_convolutions_refuse_odd_sides(size: int) -> None:
    with pytest.raises(UserError, match="even sides above 4"):
        load_variant("dcgan").build(DataSpec((1, size, size)), load_variant("dcgan").recipe("default"))


def test_a_refusal_is_one_line_whatever_it_quotes() -> None:
    assert str(UserError("a\nb\r\x1b[31m\u202ec\u2028ä±…")) == "a b  [31m c ä±…"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("epochs", 0, "--epochs is at least 1, not 0"),
        ("epochs", -3, "--epochs is at least 1, not -3"),
        ("epochs", 2.5, "--epochs is a whole number, not 2.5"),
        ("generator_lr", 0.0, "--generator-lr is above 0, not 0.0"),
        ("generator_lr", float("nan"), "--generator-lr is a number, not nan"),
        ("generator_lr", 10**400, "--generator-lr is a number, not 1000"),
        ("epochs", 10**400, "--epochs is a whole number, not 1000"),
        ("dropout", 1.0, "--dropout is below 1, not 1.0"),
        ("critic_batch", "old", "--critic-batch is one of fresh, same, not 'old'"),
        ("generator_widths", (64, 0), "--generator-widths is at least 1, not 0"),
        ("epoch", 3, "unknown recipe field 'epoch'; did you mean 'epochs'?"),
    ],
)
def test_a_value_out_of_range_is_refused_with_a_sentence(field: str, value: object, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        NEUTRAL.with_({field: value})
    assert str(refused.value).startswith(sentence)


def test_the_conditional_label_channel_is_one_more_image_channel() -> None:
    """I1a: one-hot, dense to height·width, reshaped, concatenated."""
    _, gan = made("cgan_conv", SPECS["cifar10"])
    first = gan.discriminator.layers[0]
    assert first.in_channels == 3 + 1
    label = gan.discriminator.channel
    channel = label(torch.tensor([4]))
    assert channel.shape == (1, 1, 32, 32)
    expected = (label.dense.weight[:, 4] + label.dense.bias).reshape(32, 32)
    torch.testing.assert_close(channel[0, 0], expected)
    # In the generator it joins the small feature map, so one more channel goes into the first transposed convolution.
    assert gan.generator.layers[0].in_channels == gan.generator.dense[0][1].unflattened_size[0] + 1
