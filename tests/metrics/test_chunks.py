"""Work in pieces, or repeated, gives what it gives as a whole."""

import pytest
import torch

from metrics.chunks import LARGE, WARM, chunk_rows, repeat_recorded
from metrics.frechet import moments
from metrics.kernel import kernel_side, squared_mmd
from metrics.neighbours import (
    manifold,
    neighbourhood,
)
from metrics.spectrum import mean_power
from tests.gpu import on_a_gpu
from tests.tensors import normal


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
