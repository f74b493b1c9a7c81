"""The evaluation is timed metric by metric."""

import pytest

from benchmarks.timing import evaluation
from benchmarks.timing.tables import render


def test_judging_is_measured_metric_by_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "SAMPLES", 300)
    measured = evaluation.measure_evaluation("digits", 0, 2, None, lambda sentence: None)
    assert {"fid", "kid", "precision", "accuracy"} <= set(measured["metrics"])
    assert "gan_train" not in measured["metrics"]
    assert sum(each["least"] for each in measured["metrics"].values()) <= measured["seconds"]["most"]
    assert "**all**, 300 samples of digits" in render(measured)
