"""Each metric against figures derived by hand, a slow reference, or an independent implementation."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from metrics import gan_train as gan_train_module
from metrics.accuracy import accuracy, accuracy_by_class
from metrics.base import Unmeasurable
from metrics.chunks import LARGE, WARM, chunk_rows, repeat_recorded
from metrics.diversity import class_diversity, class_spread, mean_distance
from metrics.frechet import Moments, frechet_distance, geometric_mean, moments
from metrics.gan_train import gan_train
from metrics.kernel import kernel_side, squared_mmd
from metrics.memorization import Memorization, memorization, nearest_of_class
from metrics.modes import (
    high_quality,
    mode_counts,
    mode_coverage,
    mode_kl,
    modes_captured,
    nearest_centres,
    overlap,
)
from metrics.neighbours import (
    class_balls,
    inside_class,
    k_smallest,
    manifold,
    neighbourhood,
    squared_distances,
    squared_radii,
)
from metrics.pixels import pixel_space
from metrics.ranking import paired_probability_above, probability_above
from metrics.spectrum import checkerboard_contrast, contrasts, lattice, mean_power, periods
from tests.gpu import on_a_gpu


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Identity(nn.Module):
    """An extractor for torchmetrics whose features are the values themselves."""

    num_features = 6

    def forward(self, values: Tensor) -> Tensor:
        return values


# ---- Fréchet distance


def test_frechet_distance_of_diagonal_gaussians_is_that_of_theory() -> None:
    one = Moments(torch.tensor([0.0, 1.0]).double(), torch.diag(torch.tensor([1.0, 4.0]).double()), 100)
    other = Moments(torch.tensor([3.0, 1.0]).double(), torch.diag(torch.tensor([9.0, 1.0]).double()), 100)
    # 3² of the means, (1 - 3)² and (2 - 1)² of the deviations.
    assert frechet_distance(one, other) == pytest.approx(14.0, rel=1e-12)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("size", [2, 6, 40])
def test_frechet_distance_agrees_with_the_general_matrix_root(size: int) -> None:
    mixing = normal(3, size, size)
    x, y = normal(1, 500, size), normal(2, 400, size) @ mixing + 0.3
    product = scipy.linalg.sqrtm(np.cov(x.numpy(), rowvar=False) @ np.cov(y.numpy(), rowvar=False))
    wanted = np.sum((x.mean(0) - y.mean(0)).numpy() ** 2)
    wanted += np.trace(np.cov(x.numpy(), rowvar=False) + np.cov(y.numpy(), rowvar=False) - 2 * product.real)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_agrees_with_torchmetrics() -> None:
    x, y = normal(1, 300, 6), normal(2, 250, 6) * 1.5 + 0.2
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    theirs.update(y, real=True)
    theirs.update(x, real=False)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(theirs.compute().item(), rel=1e-6)


def test_two_samples_have_a_kernel_between_them_and_one_has_none() -> None:
    assert kernel_side(torch.tensor([[1.0], [2.0]])).within.tolist() == [27.0, 27.0]
    with pytest.raises(Unmeasurable, match="at least 2 examples, not 1"):
        kernel_side(torch.ones(1, 3))


def test_two_samples_have_a_covariance_and_one_has_none() -> None:
    assert moments(torch.tensor([[0.0], [2.0]])).covariance.item() == pytest.approx(2.0)
    with pytest.raises(Unmeasurable, match="at least 2 examples, not 1"):
        moments(torch.zeros(1, 3))


def test_frechet_distance_of_fewer_samples_than_features() -> None:
    x, y = normal(1, 5, 40), normal(2, 5, 40)
    distance = frechet_distance(moments(x), moments(y))
    assert distance == pytest.approx(frechet_distance(moments(y), moments(x)), rel=1e-6)
    ours, theirs = moments(x), moments(y)
    roots = np.sqrt(np.linalg.eigvals((ours.covariance @ theirs.covariance).numpy()).real.clip(0)).sum()
    traces = (ours.covariance.trace() + theirs.covariance.trace()).item()
    wanted = (ours.mean - theirs.mean).square().sum().item() + traces - 2 * roots
    assert distance == pytest.approx(wanted, rel=1e-4)
    assert 0 < distance <= (x.mean(0) - y.mean(0)).square().sum() + x.var(0).sum() + y.var(0).sum()
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-5)


def test_moments_in_chunks_far_from_zero_keep_their_digits() -> None:
    rows = normal(5, 9000, 3) + 1e6
    whole, chunked = moments(rows), moments(iter(rows.split(777)))
    wanted = torch.from_numpy(np.cov((rows - 1e6).numpy(), rowvar=False))
    for each in (whole, chunked):
        assert each.count == 9000
        torch.testing.assert_close(each.mean, rows.mean(0), rtol=1e-12, atol=0)
        torch.testing.assert_close(each.covariance, wanted, rtol=1e-6, atol=1e-8)


def test_frechet_distance_of_what_is_not_finite_is_infinite() -> None:
    x = normal(1, 50, 3)
    broken = x.clone()
    broken[7, 1] = math.nan
    assert frechet_distance(moments(broken), moments(x)) == math.inf


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(Unmeasurable, match="at least 2 examples, not 1"):
        moments(normal(1, 1, 3))


def test_geometric_mean() -> None:
    assert geometric_mean([1.0, 4.0, 16.0]) == pytest.approx(4.0)
    assert geometric_mean([0.0, 4.0]) == 0.0


# ---- kernel distance


def slow_squared_mmd(x: Tensor, y: Tensor) -> float:
    def kernel(a: Tensor, b: Tensor) -> float:
        return ((a @ b).item() / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_squared_mmd_agrees_with_the_sum_over_pairs() -> None:
    x, y = normal(1, 13, 4), normal(2, 17, 4) * 1.3
    assert squared_mmd(kernel_side(x), kernel_side(y)).value == pytest.approx(slow_squared_mmd(x, y), rel=1e-9)


def test_squared_mmd_agrees_with_torchmetrics() -> None:
    x, y = normal(1, 700, 6), normal(2, 700, 6) * 1.2 + 0.1
    from torchmetrics.image.kid import KernelInceptionDistance

    theirs = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=700)
    theirs.update(y, real=True)
    theirs.update(x, real=False)
    ours = squared_mmd(kernel_side(x), kernel_side(y)).value
    assert ours == pytest.approx(theirs.compute()[0].item(), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_standard_error_of_squared_mmd_is_the_spread_of_repetitions(scale: float) -> None:
    real = kernel_side(normal(99, 4000, 5))
    repeated = [squared_mmd(kernel_side(scale * normal(seed, 200, 5)), real) for seed in range(60)]
    spread = torch.tensor([each.value for each in repeated]).std().item()
    error = sum(each.error for each in repeated) / len(repeated)
    # For equal distributions, where the leading term vanishes, it may be too large, never much too small.
    assert 0.7 < error / spread < (1.4 if scale > 1 else 2.5)


def test_squared_mmd_is_zero_on_average_for_one_distribution() -> None:
    values = torch.tensor(
        [squared_mmd(kernel_side(normal(s, 60, 3)), kernel_side(normal(1000 + s, 60, 3))).value for s in range(100)]
    )
    assert values.min() < 0 < values.max()
    assert abs(values.mean()) < 3 * values.std() / 10


# ---- neighbours


def slow_neighbourhood(fake: Tensor, real: Tensor) -> tuple[float, ...]:
    def radius(points: Tensor, i: int, k: int) -> float:
        others = sorted((points[i] - points[j]).norm().item() for j in range(len(points)) if j != i)
        return others[k - 1]

    def within(x: Tensor, centre: Tensor, reach: float) -> bool:
        return (x - centre).norm().item() <= reach

    n, m = len(fake), len(real)
    three, five = [radius(real, i, 3) for i in range(m)], [radius(real, i, 5) for i in range(m)]
    own = [radius(fake, j, 3) for j in range(n)]
    precision = sum(any(within(x, real[i], three[i]) for i in range(m)) for x in fake) / n
    recall = sum(any(within(y, fake[j], own[j]) for j in range(n)) for y in real) / m
    density = sum(within(x, real[i], five[i]) for x in fake for i in range(m)) / (5 * n)
    coverage = sum(any(within(x, real[i], five[i]) for x in fake) for i in range(m)) / m
    return precision, recall, density, coverage


def test_neighbourhood_agrees_with_the_definitions() -> None:
    fake, real = normal(1, 40, 3) * 0.7 + 0.4, normal(2, 35, 3)
    assert neighbourhood(fake, manifold(real)) == pytest.approx(slow_neighbourhood(fake, real), rel=1e-9)


def test_in_pieces_everything_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sizes go by the device; the last one of some is shorter."""
    fake, real, images = normal(1, 40, 3), normal(2, 35, 3), normal(3, 40, 1, 16, 16)

    def measured() -> tuple[float, ...]:
        spread = moments(fake)
        return (
            *neighbourhood(fake, manifold(real)),
            *squared_mmd(kernel_side(fake), kernel_side(real)),
            *spread.mean.tolist(),
            *spread.covariance.flatten().tolist(),
            *mean_power(images).flatten().tolist(),
        )

    whole = measured()
    for module in ("neighbours", "kernel", "frechet", "spectrum"):
        monkeypatch.setattr(f"metrics.{module}._ROWS", 7)
    assert measured() == pytest.approx(whole)


def test_a_gpu_takes_more_at_once() -> None:
    assert chunk_rows(256, torch.empty(0)) == 256
    assert chunk_rows(256, torch.empty(0, device="meta")) == LARGE
    assert chunk_rows(2 * LARGE, torch.empty(0, device="meta")) == 2 * LARGE


def test_work_is_repeated_so_many_times() -> None:
    done = []
    for times in (0, WARM, 10):
        done.clear()
        repeat_recorded(lambda: done.append(1), times, torch.device("cpu"))
        assert len(done) == times


@on_a_gpu
@pytest.mark.parametrize("times", [1, WARM, WARM + 1, 20])
def test_work_is_repeated_so_many_times_on_a_gpu(times: int) -> None:
    count, powers = (torch.ones(1, device="cuda") for _ in range(2))
    powers[0] = 0.0

    def work() -> None:
        count.mul_(2)
        powers.add_(count)

    repeat_recorded(work, times, torch.device("cuda"))
    assert (count.item(), powers.item()) == (2**times, 2 ** (times + 1) - 2)


def test_precision_and_recall_are_not_swapped() -> None:
    """Of two far clusters of real samples, the fakes know one: precise, but half is not recalled."""
    real = torch.cat([normal(1, 100, 2), normal(2, 100, 2) + 1000])
    one = neighbourhood(normal(3, 200, 2), manifold(real))
    assert one.precision > 0.85
    assert one.recall == pytest.approx(0.5, abs=0.15)
    assert one.coverage == pytest.approx(0.5, abs=0.15)


def test_radii_do_not_count_a_point_as_its_own_neighbour() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [7.0]])
    first, second = squared_radii(line, (1, 2))
    assert first.tolist() == [1, 1, 4, 0, 0]
    assert second.tolist() == [9, 4, 9, 16, 16]


def test_radii_of_points_that_lie_on_each_other_are_not_below_0() -> None:
    points = 100 + torch.rand(50, 50, generator=torch.Generator().manual_seed(0))
    (radii,) = squared_radii(points.repeat(6, 1), (3,))
    assert (radii >= 0).all()


def test_radii_of_too_few_points_are_infinite() -> None:
    (three,) = squared_radii(normal(1, 3, 2), (3,))
    assert three.tolist() == [math.inf] * 3
    assert squared_radii(normal(1, 0, 2), (3, 5))[0].shape == (0,)


def test_squared_distances_are_never_negative() -> None:
    x = normal(1, 50, 8, dtype=torch.float32) + 30
    distances = squared_distances(x, x)
    assert distances.min() >= 0
    torch.testing.assert_close(distances, torch.cdist(x.double(), x.double()).square().float(), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("columns", [5, 64, 191, 192, 257, 1000])
def test_the_smallest_of_each_row_are_those_of_topk(columns: int) -> None:
    values = normal(1, 20, columns, dtype=torch.float32)
    values[:, 1] = values[:, 0]
    values[0, 2:4] = torch.inf
    assert torch.equal(k_smallest(values, 3), values.topk(3, largest=False, sorted=True).values)
    assert torch.equal(k_smallest(values[:, ::2], 2), values[:, ::2].topk(2, largest=False, sorted=True).values)


def test_inside_class_asks_for_the_samples_own_class() -> None:
    real = torch.cat([normal(1, 50, 2), normal(2, 50, 2) + 100])
    balls = class_balls(real, torch.arange(2).repeat_interleave(50))
    near_first = normal(3, 20, 2) * 0.2
    assert inside_class(near_first, torch.zeros(20, dtype=torch.long), balls).all()
    assert not inside_class(near_first, torch.ones(20, dtype=torch.long), balls).any()
    assert not inside_class(near_first, torch.full((20,), 5), balls).any()
    assert not inside_class(normal(3, 20, 2) + 50, torch.zeros(20, dtype=torch.long), balls).any()


@pytest.mark.parametrize("few", [1, 2, 3])
def test_a_class_of_fewer_than_four_examples_or_of_equal_ones_has_no_balls(few: int) -> None:
    points, classes = normal(1, 20 + few, 2), torch.tensor([0] * 20 + [1] * few)
    with pytest.raises(Unmeasurable, match=f"class 1 has only {few} real examples"):
        class_balls(points, classes)
    points, classes = torch.cat([points[:20], torch.ones(9, 2)]), torch.tensor([0] * 20 + [2] * 9)
    with pytest.raises(Unmeasurable, match="all real examples of class 2 are the same"):
        class_balls(points, classes)
    # A class that real data do not have at all is none that is missing.
    assert [len(points) for points, _ in class_balls(points[:20], classes[:20] + 1)] == [0, 20]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fewer_examples_than_neighbours_have_no_manifold(count: int) -> None:
    with pytest.raises(Unmeasurable, match=f"only {count} real examples"):
        manifold(normal(1, count, 2))
    with pytest.raises(Unmeasurable, match=f"only {count} samples"):
        neighbourhood(normal(1, count, 2), manifold(normal(2, 10, 2)))
    assert neighbourhood(normal(1, 6, 2), manifold(normal(1, 6, 2))).coverage == 1


@pytest.mark.parametrize("value", [0.0, 0.3, -7.7])
def test_examples_that_are_all_the_same_have_no_manifold(value: float) -> None:
    with pytest.raises(Unmeasurable, match="all real examples are the same"):
        manifold(torch.full((50, 33), value) + 1e-7 * normal(1, 50, 33, dtype=torch.float32))


# ---- modes


def test_mode_coverage_needs_a_tenth_of_the_true_share() -> None:
    truth = torch.tensor([50.0, 50.0, 100.0, 0.0])
    counts = torch.tensor([25.0, 24.0, 900.0, 0.0])
    # Of 1,000 samples the first two modes need 25 each; the last mode is not in the truth.
    assert mode_coverage(counts, truth, 1000) == pytest.approx(2 / 3)
    assert mode_coverage(truth, truth, 200) == 1.0


def test_mode_kl_by_hand() -> None:
    even = torch.ones(8)
    assert mode_kl(even * 5, even) == 0
    assert mode_kl(torch.tensor([9.0] + [0.0] * 7), even) == pytest.approx(math.log(8))
    assert mode_kl(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0])) == pytest.approx(0.5 * math.log(4 / 3))
    with pytest.raises(Unmeasurable, match="a mode of which there is no real example"):
        mode_kl(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))
    with pytest.raises(Unmeasurable, match="no sample"):
        mode_kl(torch.zeros(8), even)


RING = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * (math.pi / 4)])


def test_true_samples_of_a_ring_are_what_theory_says() -> None:
    points = RING.repeat(2000, 1) + 0.01 * normal(1, 16000, 2, dtype=torch.float32)
    nearest, distances = nearest_centres(points, RING)
    # P(chi with two degrees of freedom < 3) = 1 - exp(-9/2)
    assert high_quality(distances, 0.01).double().mean() == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert modes_captured(mode_counts(nearest, 8)) == 8
    assert modes_captured(torch.tensor([0.0, 1.0, 5.0])) == 2
    assert overlap(points, RING, 0.1) == pytest.approx(1, abs=1e-6)
    assert overlap(points, RING, 0.02) == pytest.approx(1 - math.exp(-2), abs=0.01)


def test_overlap_of_a_collapsed_generator_is_the_share_of_its_modes() -> None:
    points = RING[:1].expand(100, 2)
    assert overlap(points, RING, 0.1) == pytest.approx(1 / 8)
    assert overlap(points + 0.5, RING, 0.1) == 0
    half = torch.cat([RING[:1].expand(75, 2), RING[1:2].expand(25, 2)])
    assert overlap(half, RING, 0.1) == pytest.approx(2 / 8)


def test_uniform_noise_captures_modes_but_does_not_overlap() -> None:
    points = 2.4 * torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) - 1.2
    nearest, distances = nearest_centres(points, RING)
    assert modes_captured(mode_counts(nearest[high_quality(distances, 0.01)], 8)) >= 4
    assert overlap(points, RING, 0.1) < 0.1


# ---- labels


def test_accuracy_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy

    drawn = torch.Generator().manual_seed(0)
    labels, predictions = (torch.randint(7, (500,), generator=drawn) for _ in range(2))
    predictions = torch.where(torch.rand(500, generator=drawn) < 0.6, labels, predictions)
    assert accuracy(predictions, labels) == pytest.approx(
        multiclass_accuracy(predictions, labels, 7, average="micro").item(), rel=1e-6
    )
    torch.testing.assert_close(
        accuracy_by_class(predictions, labels, 7).float(),
        multiclass_accuracy(predictions, labels, 7, average="none"),
    )


def test_accuracy_of_a_label_that_nobody_asked_for_is_not_a_number() -> None:
    by_class = accuracy_by_class(torch.tensor([0, 0, 2]), torch.tensor([0, 2, 2]), 3).tolist()
    assert by_class[0] == 1.0
    assert math.isnan(by_class[1])
    assert by_class[2] == 0.5


# ---- diversity


def test_mean_distance_by_hand() -> None:
    assert mean_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])) == pytest.approx(10 / 3)
    assert math.isnan(mean_distance(torch.zeros(1, 2)))


def test_diversity_of_a_shrunken_a_repeated_and_a_missing_class() -> None:
    real, classes = normal(1, 300, 4), torch.arange(3).repeat_interleave(100)
    fake = torch.cat([real[:100] / 2, real[100:101].expand(100, 4)])
    ratios = class_diversity(class_spread(fake, classes[:200], 4), class_spread(real, classes, 4), 300).tolist()
    assert ratios[0] == pytest.approx(0.5, rel=1e-6)
    assert ratios[1] == pytest.approx(0, abs=1e-3)
    assert ratios[2] == 0
    assert math.isnan(ratios[3])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_a_class_of_identical_real_examples_has_no_diversity_to_hold_samples_against(value: float) -> None:
    classes = torch.arange(2).repeat_interleave(20)
    real = torch.cat([torch.full((20, 5), value), normal(1, 20, 5, dtype=torch.float32)])
    ratios = class_diversity(class_spread(real, classes, 2), class_spread(real, classes, 2), 40)
    assert math.isnan(ratios[0])
    assert ratios[1] == 1
    same = torch.cat([real[:20], real[:20] + 1])
    for few, labels in ((same, classes), (real[[0, 39]], classes[[0, 39]])):
        with pytest.raises(Unmeasurable, match="no class has two real examples that differ"):
            class_diversity(class_spread(real, classes, 2), class_spread(few, labels, 2), 40)


def test_no_sample_overlaps_with_nothing() -> None:
    with pytest.raises(Unmeasurable, match="no sample"):
        overlap(torch.zeros(0, 2), torch.zeros(3, 2), 1.0)


# ---- memorisation


def memorized(fake: Tensor, classes: Tensor, train: Tensor, test: Tensor) -> Memorization:
    near, usual = (nearest_of_class(points, classes, train, classes) for points in (fake, test))
    return memorization(near, classes, usual, classes)


def test_memorization_of_copies_of_fresh_examples_and_of_what_is_far() -> None:
    classes = torch.arange(2).repeat_interleave(400)
    train, test, fresh = (normal(seed, 800, 3) + 50 * classes[:, None] for seed in (1, 2, 3))

    def measured(fake: Tensor) -> tuple[float, float]:
        found = memorized(fake, classes, train, test)
        return found.probability, found.copies

    assert measured(train) == pytest.approx((1, 1))
    probability, copies = measured(fresh)
    assert probability == pytest.approx(0.5, abs=0.05)
    assert copies < 0.03
    assert measured(fresh + 20) == pytest.approx((0, 0))
    assert measured(test)[0] == pytest.approx(0.5)


def test_memorization_looks_within_the_class() -> None:
    """A copy of a training example of another class is no copy."""
    classes = torch.arange(2).repeat_interleave(100)
    train, test = normal(1, 200, 3) + 50 * classes[:, None], normal(2, 200, 3) + 50 * classes[:, None]
    assert memorized(train.flip(0), classes, train, test).probability == 0


def test_nearest_training_example_by_hand() -> None:
    train, labels = torch.tensor([[0], [10], [200]], dtype=torch.uint8), torch.tensor([0, 0, 1])
    points, classes = torch.tensor([[4.0], [199.0], [9.0], [1.0]]), torch.tensor([0, 1, 0, 7])
    torch.testing.assert_close(
        nearest_of_class(points, classes, train, labels), torch.tensor([16.0, 1.0, 1.0, math.inf])
    )


def test_memorization_of_no_samples_cannot_be_measured() -> None:
    distances, classes = torch.rand(10, generator=torch.Generator().manual_seed(0)), torch.zeros(10, dtype=torch.long)
    for near, of in ((distances[:0], classes[:0]), (distances, classes + 1)):
        found = memorization(near, of, distances, classes)
        for figure in ("probability", "copies"):
            with pytest.raises(Unmeasurable, match="no class"):
                getattr(found, figure)


@pytest.mark.parametrize("leaked", [0, 5, 15, 20, 900])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_nothing_but_copies_are_all_copies_whatever_part_of_the_test_split_is_in_training(
    leaked: int, shift: float
) -> None:
    classes = torch.zeros(1000, dtype=torch.long)
    train, test = (normal(seed, 1000, 8, dtype=torch.float32) + shift for seed in (1, 2))
    test[:leaked] = train[:leaked]
    for fakes in (train, train.flip(0), train + 1e-4 * normal(3, 1000, 8, dtype=torch.float32)):
        found = memorized(fakes, classes, train, test)
        assert (found.copies, found.probability) == (1, 1)
    # Those in training are copies; the others are as far as fresh examples are, of which a hundredth is told so.
    found = memorized(test, classes, train, test)
    assert round(1000 * found.copies) == leaked + (1001 - leaked) // 100


def test_a_copy_is_at_distance_zero_whatever_the_rows_beside_it() -> None:
    for dimensions in (2, 64, 784):
        train = normal(1, 300, dimensions, dtype=torch.float32) + 10
        zeros = torch.zeros(300, dtype=torch.long)
        for rows in (1, 7, 300):
            assert not nearest_of_class(train[:rows], zeros[:rows], train, zeros).any()
        # As far as a number of float32 can be told from the next one is a copy; a hundredth of a deviation is none.
        assert not nearest_of_class(train * (1 + 1e-7), zeros, train, zeros).any()
        assert nearest_of_class(train + 0.01, zeros, train, zeros).all()


@pytest.mark.parametrize(("fresh", "rank"), [(99, 1), (150, 1), (198, 1), (199, 2), (1000, 10)])
def test_a_fresh_example_is_told_a_copy_once_in_a_hundred_times_at_most(fresh: int, rank: int) -> None:
    """By hand: of k + 1 distances any one is as likely to be the last, so it is among the j nearest in j / (k + 1)."""
    wanted = rank / (fresh + 1)
    assert wanted <= 0.01
    zeros = torch.zeros(fresh, dtype=torch.long)
    called, repeats, each = 0, 4000, 50
    for usual, near in zip(normal(1, repeats, fresh).abs(), normal(2, repeats, each).abs(), strict=True):
        called += memorization(near, zeros[:each], usual, zeros).copies
    # Samples of one repeat share a threshold: the deviation of a repeat's share is about the share itself.
    error = wanted * math.sqrt((1 / rank + 1 / (each * wanted)) / repeats)
    assert called / repeats == pytest.approx(wanted, abs=4 * error)


# ---- ranking


def test_probability_above_agrees_with_the_area_under_the_curve() -> None:
    from sklearn.metrics import roc_auc_score

    drawn = torch.Generator().manual_seed(0)
    left, right = (torch.randint(10, (n,), generator=drawn).double() for n in (80, 130))
    truth = np.r_[np.ones(80), np.zeros(130)]
    wanted = roc_auc_score(truth, np.r_[left.numpy(), right.numpy()])
    assert probability_above(left + 0.0, right) == pytest.approx(wanted, rel=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_probability_above_counts_pairs(left: list[int], right: list[int]) -> None:
    x, y = torch.tensor(left).double(), torch.tensor(right).double()
    pairs = [(a > b) + 0.5 * (a == b) for a in left for b in right]
    assert probability_above(x, y) == pytest.approx(sum(pairs) / len(pairs))
    assert probability_above(x, y) + probability_above(y, x) == pytest.approx(1)
    assert probability_above(x.exp() / 100, y.exp() / 100) == pytest.approx(probability_above(x, y))


def test_label_use_compares_within_an_image() -> None:
    right, wrong = torch.tensor([5.0, -5.0]), torch.tensor([[4.0, 6.0], [-5.0, -6.0]])
    assert paired_probability_above(right, wrong) == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert math.isnan(probability_above(right[:0], right))


# ---- spectrum


def test_a_planted_checkerboard_stands_out_by_its_power() -> None:
    noise = normal(1, 2000, 1, 16, 16)
    flat = checkerboard_contrast(mean_power(noise))
    assert flat == pytest.approx(0, abs=0.05)
    board = (-1.0) ** (torch.arange(16)[:, None] + torch.arange(16))
    # White noise has power 256 at every frequency; the board adds (256 a)² at one of the three lattice frequencies.
    amplitude = 0.5
    wanted = math.log10((256 + (256 * amplitude) ** 2 / 3) / 256)
    assert checkerboard_contrast(mean_power(noise + amplitude * board)) == pytest.approx(wanted, abs=0.05)


def test_the_neighbours_of_a_lattice_frequency_leave_out_the_mean_of_the_image() -> None:
    noise = normal(1, 100, 3, 8, 12)
    assert checkerboard_contrast(mean_power(noise), 4) == pytest.approx(
        checkerboard_contrast(mean_power(noise + 100), 4), rel=1e-6
    )
    assert checkerboard_contrast(mean_power(torch.ones(3, 1, 8, 8)), 4) == pytest.approx(0, abs=1e-3)
    for period in (5, 3, 8):  # neither side, one side, the other one
        with pytest.raises(Unmeasurable, match=f"a period of {period} has no frequency of its own in images of 8 x 12"):
            checkerboard_contrast(mean_power(noise), period)


@pytest.mark.parametrize(("size", "wanted"), [(4, ()), (8, (2,)), (16, (2, 4)), (28, (2, 4)), (32, (2, 4, 8))])
def test_periods_are_those_that_layers_of_stride_2_leave(size: int, wanted: tuple[int, ...]) -> None:
    assert periods(size, size) == periods(size, 2 * size) == periods(size + 1, size) == wanted


def test_the_frequencies_of_all_periods_are_those_of_the_longest_one() -> None:
    found = [at for period in (2, 4, 8) for at in lattice(32, 64, period)]
    assert len(found) == len(set(found)) == 63
    assert set(found) == {(r, c) for r in range(0, 32, 4) for c in range(0, 64, 8)} - {(0, 0)}
    assert lattice(9, 9, 3) == [(0, 3), (0, 6), (3, 0), (3, 3), (3, 6), (6, 0), (6, 3), (6, 6)]


def pattern(height: int, width: int, period: int) -> Tensor:
    """Fields of half a period, −1 and 1."""
    down, across = ((torch.arange(side) // (period // 2) % 2) * 2.0 - 1 for side in (height, width))
    return down[:, None] * across


def natural(seed: int, height: int, width: int) -> Tensor:
    """Images whose power falls with the square of the frequency, as that of photographs does; of deviation 1."""
    noise = torch.fft.fft2(normal(seed, 500, 2, height, width))
    down, across = (torch.fft.fftfreq(side, 1 / side) for side in (height, width))
    images = torch.fft.ifft2(noise / (1 + down[:, None] ** 2 + across**2).sqrt()).real
    return images / images.std()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 17), (28, 28), (33, 33), (29, 40)])
@pytest.mark.parametrize(("amplitude", "least"), [(0.1, 0.1), (0.2, 0.3)])
def test_a_pattern_is_seen_at_its_own_period_and_at_no_other(
    height: int, width: int, amplitude: float, least: float
) -> None:
    real, fresh = natural(1, height, width), natural(2, height, width)
    base = contrasts(mean_power(real))

    def above(images: Tensor) -> dict[int, float]:
        return {period: contrast - base[period] for period, contrast in contrasts(mean_power(images)).items()}

    sound = above(fresh)
    assert all(abs(excess) < 0.05 for excess in sound.values())
    for period in base:
        planted = above(fresh + amplitude * pattern(height, width, period))
        assert planted.pop(period) > least
        assert all(abs(excess - sound[other]) < 0.05 for other, excess in planted.items())


def test_what_lacks_the_power_of_its_neighbours_has_a_negative_contrast() -> None:
    real = normal(1, 500, 1, 28, 28)
    for period in periods(28, 28):
        spectrum = torch.fft.fft2(real)
        for row, column in lattice(28, 28, period):
            spectrum[:, :, row, column] *= 0.1
        found = contrasts(mean_power(torch.fft.ifft2(spectrum).real))
        # A tenth of the amplitude is a hundredth of the power.
        assert found.pop(period) == pytest.approx(-2, abs=0.05)
        assert all(abs(contrast) < 0.05 for contrast in found.values())


# ---- pixels


def test_pixel_space_is_that_of_principal_components() -> None:
    from sklearn.decomposition import PCA

    images = (normal(1, 400, 1, 6, 6) * torch.linspace(0.1, 2, 36).double().view(6, 6)).float()
    theirs = PCA(5).fit_transform(images.flatten(1).numpy())
    ours = pixel_space(images, 5).coordinates(images)
    # Components are the same up to their sign.
    np.testing.assert_allclose(np.abs(ours.numpy()), np.abs(theirs), atol=1e-3)
    assert pixel_space(images[:, :, :2, :2], 20).components.shape == (4, 4)


@pytest.mark.parametrize("count", [2, 8, 300])
def test_images_have_as_many_components_as_they_vary_along(count: int) -> None:
    """Of a set that is smaller than its images are, too, and the components are the same by either way."""
    images = normal(1, count, 3, 4, 4).float()
    axes = pixel_space(images).components.double()
    assert axes.shape == (48, min(20, count - 1))
    torch.testing.assert_close(axes.mT @ axes, torch.eye(axes.shape[1], dtype=torch.float64), atol=1e-6, rtol=0)
    variances = pixel_space(images).coordinates(images).double().var(0)
    wanted = torch.linalg.eigvalsh(moments(images.flatten(1)).covariance).flip(0)[: len(variances)]
    torch.testing.assert_close(variances, wanted, rtol=1e-4, atol=0)


def test_a_few_large_images_have_a_pixel_space() -> None:
    """A covariance of all their values would take 300 GB."""
    images = normal(1, 3, 3, 256, 256).float()
    assert pixel_space(images).components.shape == (3 * 256 * 256, 2)


def test_images_that_are_all_the_same_have_no_pixel_space() -> None:
    for count in (3, 300):
        with pytest.raises(Unmeasurable, match="all real examples are the same"):
            pixel_space(torch.full((count, 1, 4, 4), 0.3))


# ---- GAN-train


def shapes(seed: int, count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 4
    return nn.functional.one_hot(labels, 16).float().view(-1, 1, 4, 4) + 0.3 * normal(
        seed, count, 1, 4, 4
    ).float(), labels


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True, ids=["float64"])
def test_networks_that_are_trained_as_one_are_those_that_are_trained_alone(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("metrics.gan_train._UPDATES", 30)
    x, labels = normal(1, 450, 6, dtype=dtype), torch.arange(450) % 3
    together = gan_train_module._train(x, labels, 3, (5, 7))
    for place, seed in enumerate((5, 7)):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            alone = torch.nn.Sequential(torch.nn.Linear(6, 256), torch.nn.ReLU(), torch.nn.Linear(256, 3))
        optimizer, order = torch.optim.Adam(alone.parameters(), lr=1e-3), torch.Generator().manual_seed(seed)
        batches: list[Tensor] = []
        for _ in range(30):
            batches = batches or list(torch.randperm(450, generator=order).split(100)[:4])
            chosen = batches.pop()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(alone(x[chosen]), labels[chosen]).backward()
            optimizer.step()
        first, first_bias, second, second_bias = (weight[place].detach() for weight in together)
        ours = {"0.weight": first.mT, "0.bias": first_bias[0], "2.weight": second.mT, "2.bias": second_bias[0]}
        for name, weight in alone.state_dict().items():
            torch.testing.assert_close(ours[name], weight, rtol=1e-9, atol=1e-12)


def test_gan_train_falls_with_wrong_labels_and_missing_classes() -> None:
    samples, labels = shapes(1, 400)
    real, truth = shapes(2, 200)

    def measured(samples: Tensor, labels: Tensor) -> float:
        return gan_train(samples, labels, real, truth, 4, seeds=(0,))

    before = torch.random.get_rng_state()
    right = measured(samples, labels)
    assert right > 0.85
    assert torch.equal(torch.random.get_rng_state(), before)
    assert right == measured(samples, labels)
    assert measured(samples, (labels + 1) % 4) < 0.1
    three = labels != 3
    assert measured(samples[three], labels[three]) == pytest.approx(0.75 * right, abs=0.1)


def test_fewer_samples_than_a_batch_are_enough() -> None:
    samples, labels = shapes(1, 30)
    assert gan_train(samples, labels, samples, labels, 4, seeds=(0,)) == 1.0


# ---- all


def test_frechet_distance_grows_with_a_planted_shift() -> None:
    real = moments(normal(1, 1000, 5))
    distances = [frechet_distance(moments(normal(2, 1000, 5) + shift), real) for shift in (0, 0.2, 0.5, 1.0)]
    assert all(nearer < further for nearer, further in pairwise(distances))


def test_the_spread_of_a_mode_is_one_where_it_is_right_and_nothing_of_one_point() -> None:
    from metrics.modes import mode_spread

    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    # Two points at ±1 of a centre: variance 2 along one axis, 0 along the other, against 2 σ².
    pair = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    assert mode_spread(pair, centres, 3.0, 1.0) == pytest.approx(1.0)
    assert mode_spread(torch.cat((pair, centres[1:])), centres, 3.0, 1.0) == pytest.approx(1.0)
    assert mode_spread(pair, centres, 3.0, 2.0) == pytest.approx(0.5)
    same = torch.tensor([[10.0, 0.0]] * 3)
    assert mode_spread(same, centres, 3.0, 1.0) == 0
    assert mode_spread(torch.cat((pair, same)), centres, 3.0, 1.0) == pytest.approx(0.5**0.5)
    with pytest.raises(Unmeasurable, match="no mode has two samples"):
        mode_spread(pair, centres, 0.5, 1.0)
