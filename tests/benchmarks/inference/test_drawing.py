"""Interpolations between two noise vectors: evenly along the sphere, or straight."""

import torch

from benchmarks import Run
from benchmarks.inference.drawing import STEPS, interpolate_noise, interpolate_samples


def test_a_spherical_interpolation_stays_on_the_sphere_and_moves_evenly() -> None:
    start, end = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start, end = start / start.norm(dim=1, keepdim=True), end / end.norm(dim=1, keepdim=True)
    path = interpolate_noise(start, end, 9, spherical=True)
    assert path.shape == (6, 9, 50)
    torch.testing.assert_close(path[:, 0], start)
    torch.testing.assert_close(path[:, -1], end)
    torch.testing.assert_close(path.norm(dim=2), torch.ones(6, 9, dtype=torch.float64))
    steps = (path[:, 1:] * path[:, :-1]).sum(2).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 8))


def test_an_interpolation_by_hand() -> None:
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert interpolate_noise(start, end, 3, spherical=False)[0].tolist() == [[2, 0], [1, 1], [0, 2]]
    half = 2**0.5  # of a quarter turn, at radius 2
    torch.testing.assert_close(
        interpolate_noise(start, end, 3, spherical=True)[0], torch.tensor([[2, 0], [half, half], [0, 2.0]])
    )
    # There is no great circle through opposite points, nor one worth speaking of through equal ones.
    for other in (-start, start):
        straight = interpolate_noise(start, other, 3, spherical=False)
        torch.testing.assert_close(interpolate_noise(start, other, 3, spherical=True), straight)


def test_interpolations_keep_the_label_and_change_little_from_step_to_step(labelled: Run) -> None:
    rows = interpolate_samples(labelled, 4, label=7).unflatten(0, (4, STEPS))
    assert rows.shape == (4, STEPS, 1, 8, 8)
    ends = (rows[:, -1] - rows[:, 0]).flatten(1).norm(dim=1)
    steps = (rows[:, 1:] - rows[:, :-1]).flatten(2).norm(dim=2)
    assert (ends > 0).all()
    assert (steps < 0.5 * ends[:, None]).all()
    assert not torch.equal(interpolate_samples(labelled, 4, label=1), rows.flatten(0, 1))
