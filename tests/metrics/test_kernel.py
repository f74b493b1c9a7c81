"""The kernel distance against the sum over pairs and torchmetrics, and its standard error against repetitions."""

import pytest
import torch
from torch import Tensor

from metrics.base import Unmeasurable
from metrics.kernel import kernel_side, squared_mmd
from tests.tensors import Identity, normal


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


def test_two_samples_have_a_kernel_between_them_and_one_has_none() -> None:
    assert kernel_side(torch.tensor([[1.0], [2.0]])).within.tolist() == [27.0, 27.0]
    with pytest.raises(Unmeasurable, match="at least 2 examples, not 1"):
        kernel_side(torch.ones(1, 3))
