"""Remedies, penalties and layers against figures derived by hand and slow references."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.algorithm.batches import Packs, epoch_batches, real_batches
from benchmarks.algorithm.epoch import anneal
from benchmarks.algorithm.gan import make_gan, make_optimizer, update_ema
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.steps import clip_weights
from benchmarks.datasets import Split
from variants.base import DataSpec, DiscriminatorOutput
from variants.batch import Batch, LossInputs
from variants.blocks import BatchNorm, Dropout, SpectralNorm, draw_from, frozen_buffers, normalize_spectrally
from variants.convolutional import GROWING, SHRINKING
from variants.losses import LOSSES
from variants.networks import build
from variants.objective import label_smoothing_term, matching_aware, objective
from variants.penalties import gradient_penalty, gradient_penalty_around_data, r1, r2
from variants.recipe import Recipe, UserError
from variants.remedies import MinibatchDiscrimination, Noisy, Packed, Replay, unrolled

POINTS = DataSpec((2,), bounded=False)


class Plane(nn.Module):
    """D(x) = w·x + b, whose gradient is w everywhere."""

    def __init__(self, *weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, examples: torch.Tensor, condition: torch.Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(examples.flatten(1) @ self.weight + self.bias)


def exchange(discriminator: nn.Module, examples: torch.Tensor, fakes: torch.Tensor) -> LossInputs:
    batch = Batch(examples, None, examples, None, stream(0, "updates"))
    return LossInputs(discriminator, batch, fakes, None, discriminator(examples), discriminator(fakes))


@pytest.fixture
def two_batches() -> tuple[torch.Tensor, torch.Tensor]:
    drawn = stream(0, "examples")
    return tuple(torch.randn(6, 2, generator=drawn, dtype=torch.float64) for _ in range(2))


def test_penalties_of_a_plane_are_known(two_batches: tuple[torch.Tensor, torch.Tensor]) -> None:
    """|∇D| = |w| = 5: R1 = R2 = 25/2, the gradient penalty (5 - 1)² = 16; d R1/dw = w."""
    plane = Plane(3.0, 4.0)
    seen = exchange(plane, *two_batches)
    assert r1(seen).item() == pytest.approx(12.5)
    assert r2(seen).item() == pytest.approx(12.5)
    assert gradient_penalty(seen).item() == pytest.approx(16.0)
    (slope,) = torch.autograd.grad(r1(seen), plane.weight)
    torch.testing.assert_close(slope, plane.weight.detach())


class Bowl(nn.Module):
    """D(x) = |x|² / 2, whose gradient is x."""

    def forward(self, examples: torch.Tensor, condition: torch.Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(examples.flatten(1).square().sum(1) / 2)


def test_the_penalty_around_the_data_is_at_examples_that_were_moved_a_little(
    two_batches: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """x is moved by ½ σ u, u uniform on [0, 1): by the same draws, the slow way; fakes play no part."""
    real, fakes = two_batches
    ours = gradient_penalty_around_data(exchange(Bowl(), real, fakes))
    moves = torch.rand(6, 2, generator=stream(0, "updates"), dtype=torch.float64)
    moved = real + 0.5 * real.std() * moves
    assert ours.item() == pytest.approx((moved.norm(dim=1) - 1).square().mean().item())
    assert gradient_penalty_around_data(exchange(Bowl(), real, fakes * 100)).item() == pytest.approx(ours.item())
    weights = {"between": gradient_penalty, "data": gradient_penalty_around_data}
    for where, penalty in weights.items():
        aim = objective(Recipe(gradient_penalty=10.0, gradient_penalty_at=where))
        assert aim.discriminator_terms == ((10.0, penalty),)
    with pytest.raises(UserError, match="--gradient-penalty-at moves a penalty that has no weight"):
        objective(Recipe(gradient_penalty_at="data"))


def test_penalties_of_a_pack_are_those_of_all_its_members() -> None:
    """A pack of two judged by w = (3, 0, 0, 4) has |∇D|² = 25 over both members."""
    drawn = stream(0, "examples")
    examples, fakes = torch.randn(2, 6, 2, generator=drawn, dtype=torch.float64)
    seen = exchange(Packed(Plane(3.0, 0.0, 0.0, 4.0), 2), examples, fakes)
    assert seen.real.logits.shape == (3,)
    assert r1(seen).item() == pytest.approx(12.5)
    assert gradient_penalty(seen).item() == pytest.approx(16.0)


def test_a_pack_is_its_members_side_by_side() -> None:
    examples = torch.arange(8, dtype=torch.float64).reshape(4, 2)
    judged = Packed(Plane(1.0, 10.0, 100.0, 1000.0), 2)(examples, None)
    assert judged.logits.tolist() == [3210.0, 7654.0]


def test_label_smoothing_is_cross_entropy_against_a_lower_target(
    two_batches: tuple[torch.Tensor, torch.Tensor],
) -> None:
    seen = exchange(Plane(0.3, -2.0), *two_batches)
    aim = objective(Recipe(label_smoothing=0.1))
    real, fake = seen.real.logits, seen.fake.logits
    expected = binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    expected = expected + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert aim.discriminator(seen).item() == pytest.approx(expected.item())
    assert aim.discriminator_terms == ((0.1, label_smoothing_term),)


def test_matching_aware_counts_wrong_captions_as_half_of_the_fakes() -> None:
    class Agrees(nn.Module):
        def forward(self, examples: torch.Tensor, condition: torch.Tensor) -> DiscriminatorOutput:
            return DiscriminatorOutput((examples[:, 0] == condition[:, 0]).double() * 4 - 2)

    judge, examples = Agrees(), torch.tensor([[0.0], [1.0], [2.0]])
    words = torch.tensor([[0], [1], [2]])
    batch = Batch(examples, words, examples, words, stream(0, "updates"))
    fake = judge(examples + 9, words)
    seen = LossInputs(judge, batch, examples, words, judge(examples, words), fake)
    # Wrong captions are seen through (logit -2) exactly as well as the fakes, so the term is zero …
    assert matching_aware(seen).item() == pytest.approx(0.0)
    # … and where no caption differs, there is nothing wrong, and half of what fakes cost is taken away.
    same = Batch(examples, words * 0, examples, words, stream(0, "updates"))
    seen = LossInputs(judge, same, examples, words, judge(examples, words), fake)
    assert matching_aware(seen).item() == pytest.approx(-math.log1p(math.exp(-2)) / 2)


def test_minibatch_discrimination_by_hand() -> None:
    """One kernel of one dimension, M = (0, 0, ln 2): twins see e⁰ + e^(-ln 2) = 1.5, the third 2·e^(-ln 2) = 1."""
    layer = MinibatchDiscrimination(1, kernels=1, dimensions=1)
    layer.tensor.weight.data.fill_(1.0)
    out = layer(torch.tensor([[0.0], [0.0], [math.log(2)]]))
    torch.testing.assert_close(out[:, 1], torch.tensor([1.5, 1.5, 1.0]))
    torch.testing.assert_close(out[:, 0], torch.tensor([0.0, 0.0, math.log(2)]))


def test_minibatch_discrimination_is_one_loop_over_pairs() -> None:
    torch.manual_seed(0)
    layer, x = MinibatchDiscrimination(4, kernels=3, dimensions=2), torch.randn(5, 4)
    m = (x @ layer.tensor.weight.detach().T).reshape(5, 3, 2)
    slow = [
        [sum((-(m[i, b] - m[j, b]).abs().sum()).exp() for j in range(5) if j != i) for b in range(3)] for i in range(5)
    ]
    torch.testing.assert_close(layer(x)[:, 4:].detach(), torch.tensor(slow))


def test_replay_mixes_in_old_fakes_with_their_own_conditions() -> None:
    replay, drawn = Replay(share=0.5, size=6), stream(0, "replay")
    for batch in range(12):
        fakes = torch.full((4, 1), float(batch))
        mixed, condition = replay.mix(fakes, torch.full((4,), batch), drawn)
        assert mixed.shape == (4, 1)
        assert (mixed[2:] == batch).all(), "the rest of the batch is new"
        assert torch.equal(mixed[:, 0].long(), condition), "a fake keeps the condition that it was made for"
        if batch:
            assert (mixed[:2] < batch).all(), "the first half is old"
    assert replay.filled == 6
    assert len(replay.fakes.unique()) > 1


def test_the_unrolled_discriminator_is_the_one_after_real_updates(
    two_batches: tuple[torch.Tensor, torch.Tensor],
) -> None:
    real, fakes = two_batches
    loss = LOSSES["non_saturating"].discriminator
    for kind in ("adam", "sgd"):
        torch.manual_seed(0)
        recipe = Recipe(
            optimizer=kind, discriminator_lr=0.01, beta1=0.5 if kind == "adam" else 0.0, discriminator_widths=(5,)
        )
        discriminator = build(POINTS, recipe)[1].double()
        adam = make_optimizer(discriminator, recipe, recipe.discriminator_lr)

        def update(network: nn.Module, by: torch.optim.Optimizer) -> None:
            by.zero_grad()
            loss(network(real).logits, network(fakes).logits).backward()
            by.step()

        update(discriminator, adam)  # so that the optimiser has a past
        before = copy.deepcopy(discriminator.state_dict())
        ahead = unrolled(
            discriminator, adam, lambda judge: loss(judge(real, None).logits, judge(fakes, None).logits), 3
        )
        foreseen = ahead(real, None).logits
        assert all(torch.equal(before[name], value) for name, value in discriminator.state_dict().items())
        for _ in range(3):
            update(discriminator, adam)
        torch.testing.assert_close(foreseen, discriminator(real).logits, rtol=1e-4, atol=1e-7)


def test_a_gradient_passes_through_the_unrolled_updates() -> None:
    """For D(x) = w·x, one step of size η on -x̄·w + f̄·w moves w by η(x̄ - f̄), so D'(f) has slope w' - η f in f."""
    plane = Plane(0.0, 0.0)
    descent = torch.optim.SGD(plane.parameters(), lr=0.5)
    real = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    fake = torch.tensor([[0.0, 2.0]], dtype=torch.float64, requires_grad=True)

    def loss(judge) -> torch.Tensor:
        return LOSSES["wasserstein"].discriminator(judge(real, None).logits, judge(fake, None).logits)

    (slope,) = torch.autograd.grad(unrolled(plane, descent, loss, 1)(fake, None).logits.sum(), fake)
    # w' = 0.5·(1, -2); D'(f) = w'·f with ∂w'/∂f = -0.5, so the slope is w' - 0.5·f.
    torch.testing.assert_close(slope, torch.tensor([[0.5, -2.0]], dtype=torch.float64))


def test_spectral_normalisation_divides_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 4, 3, 3)
    norm = SpectralNorm(weight)
    for _ in range(200):
        normalised = norm(weight)
    assert torch.linalg.matrix_norm(normalised.flatten(1), 2).item() == pytest.approx(1.0, rel=1e-4)
    torch.testing.assert_close(
        normalised * torch.linalg.matrix_norm(weight.flatten(1), 2), weight, rtol=1e-4, atol=1e-4
    )


def test_spectral_normalisation_can_be_held() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 3)
    normalize_spectrally(network)
    network.weight  # noqa: B018  (one forward pass of the parametrisation)
    (left,) = [value.clone() for name, value in network.named_buffers() if name.endswith("left")]
    with frozen_buffers(network):
        network(torch.randn(2, 4))
    assert torch.equal(left, network.parametrizations.weight[0].left)


def test_batch_norm_is_torch_s_own() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 3, 4, 4) * 3 + 1
    ours, torchs = BatchNorm(3), nn.BatchNorm2d(3)
    torch.testing.assert_close(ours(x), torchs(x))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    with frozen_buffers(ours):
        torch.testing.assert_close(ours(x + 5), torchs(x + 5))
    assert not torch.equal(ours.running_mean, torchs.running_mean)
    torchs.load_state_dict({**ours.state_dict(), "num_batches_tracked": torch.tensor(1)})
    torch.testing.assert_close(ours.eval()(x), torchs.eval()(x))


def test_dropout_drops_the_share_and_keeps_the_mean() -> None:
    layer, x = Dropout(0.25), torch.ones(100_000)
    draw_from(layer, stream(0, "layers"))
    out = layer(x)
    assert (out == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(out[out > 0].unique(), torch.tensor([4 / 3]))
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(RuntimeError, match="no stream"):
        Dropout(0.5)(x)


def test_instance_noise_is_added_in_training_alone_and_falls_to_zero() -> None:
    recipe = Recipe(instance_noise=0.5, discriminator_widths=(4,), generator_widths=(4,), lr_decay="linear")
    torch.manual_seed(0)
    both = make_gan(*build(POINTS, recipe), recipe)
    noisy = both.discriminator
    assert isinstance(noisy, Noisy)
    draw_from(noisy, stream(0, "layers"))
    x = torch.zeros(4, 2)
    assert not torch.equal(noisy(x).logits, noisy(x).logits)
    assert torch.equal(noisy.eval()(x).logits, noisy(x).logits)
    anneal(both, recipe, remaining=0.25)
    assert noisy.deviation == 0.125
    assert both.generator_optimizer.param_groups[0]["lr"] == recipe.generator_lr / 4


def test_clipping_and_averaging() -> None:
    network = nn.Linear(2, 2)
    network.weight.data.copy_(torch.tensor([[3.0, -3.0], [0.1, 0.2]]))
    network.bias.data.zero_()
    ema_generator = copy.deepcopy(network)
    clip_weights(network, 0.15)
    torch.testing.assert_close(network.weight.detach(), torch.tensor([[0.15, -0.15], [0.1, 0.15]]))
    update_ema(replace(make_gan(network, network, Recipe()), ema_generator=ema_generator), decay=0.9)
    torch.testing.assert_close(ema_generator.weight.detach(), torch.tensor([[2.715, -2.715], [0.1, 0.195]]))


def test_a_transposed_convolution_makes_4x4_of_2x2() -> None:
    """C3: each input entry is multiplied with the whole kernel; kernel 2 at stride 2 does not overlap."""
    layer = GROWING["transposed"](1, 1, bias=False, kernel=2)
    layer.weight.data.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    out = layer(torch.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    expected = [[1, 2, 10, 20], [3, 4, 30, 40], [100, 200, 1000, 2000], [300, 400, 3000, 4000]]
    assert out[0, 0].tolist() == expected


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", GROWING)
def test_every_upsampling_doubles(kind: str, kernel: int) -> None:
    assert GROWING[kind](3, 5, kernel=kernel)(torch.zeros(2, 3, 7, 7)).shape == (2, 5, 14, 14)


@pytest.mark.parametrize("kernel", [2, 4, 6])
def test_upsamplings_have_equal_weights_for_even_kernels(kernel: int) -> None:
    counts = {
        kind: sum(w.numel() for w in grow(8, 4, bias=False, kernel=kernel).parameters())
        for kind, grow in GROWING.items()
    }
    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("kernel", [4, 5])
def test_an_indivisible_kernel_overlaps_unevenly(kernel: int) -> None:
    """Odena et al. 2016: of a constant input, kernel 4 at stride 2 makes a constant, kernel 5 a checkerboard."""
    layer = GROWING["transposed"](1, 1, bias=False, kernel=kernel)
    layer.weight.data.fill_(1.0)
    inner = layer(torch.ones(1, 1, 8, 8))[0, 0, 4:-4, 4:-4].detach()
    assert len(inner.unique()) == (1 if kernel == 4 else 3)


@pytest.mark.parametrize("kind", SHRINKING)
def test_every_downsampling_halves(kind: str) -> None:
    assert SHRINKING[kind](3, 5)(torch.zeros(2, 3, 14, 14)).shape == (2, 5, 7, 7)


def test_the_packs_of_a_conditional_variant_share_a_label() -> None:
    labels = torch.tensor([0, 1, 2] * 20)
    data = Split(torch.zeros(60, 1, 8, 8, dtype=torch.uint8), labels)
    packs = Packs(data, Recipe(batch_size=12, pack=3, conditioning="embedding"))
    order = stream(0, "shuffle")
    batches = real_batches(packs, len(data), order)
    for _ in range(20):
        chosen = labels[next(batches)].reshape(-1, 3)
        assert (chosen == chosen[:, :1]).all()
    fakes = packs.condition(torch.randint(60, (packs.leaders,), generator=order)).reshape(-1, 3)
    assert (fakes == fakes[:, :1]).all()


@pytest.mark.parametrize("conditioning", ["none", "embedding"])
def test_the_batches_of_a_recipe_have_conditions_where_it_is_conditional(conditioning: str) -> None:
    labels = torch.arange(60) % 3
    data = Split(labels.to(torch.uint8)[:, None, None, None].repeat(1, 1, 8, 8), labels)
    batches = epoch_batches(Recipe(batch_size=12, conditioning=conditioning), data, 0, 1)
    critic, generator = next(batches), next(batches)
    assert torch.equal(critic.examples, generator.examples)
    told = (critic.condition, critic.fake_condition, generator.condition, generator.fake_condition)
    if conditioning == "none":
        assert told == (None,) * 4
    else:
        shown = (critic.examples[:, 0, 0, 0] * 127.5 + 127.5).round().long()
        assert all(torch.equal(each, shown) for each in told[:3])
        assert told[3].shape == (12,)
        assert not torch.equal(told[3], shown)


def test_a_pass_over_the_data_takes_no_example_twice() -> None:
    data = Split(torch.zeros(50, 1, 8, 8, dtype=torch.uint8))
    batches = real_batches(Packs(data, Recipe(batch_size=8)), len(data), stream(0, "shuffle"))
    for _ in range(3):
        chosen = torch.cat([next(batches) for _ in range(6)])
        assert len(chosen.unique()) == 48
