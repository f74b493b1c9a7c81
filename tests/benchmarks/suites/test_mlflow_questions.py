"""The interval of a mean is Student's."""

import pytest

from benchmarks.suites.mlflow_questions import mean_and_interval


def test_an_interval_of_the_mean_is_students() -> None:
    mean, low, high = mean_and_interval([1.0, 2.0, 3.0])
    # t of 2 degrees of freedom at .975 is 4.302653; the standard error is 1/√3.
    assert (mean, low, high) == pytest.approx((2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
