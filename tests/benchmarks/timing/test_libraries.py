"""Metrics of this project and of torchmetrics are compared with exact values."""

import pytest
import torch

from benchmarks.timing import libraries
from benchmarks.timing.tables import render


def test_both_libraries_are_compared_with_the_exact_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "SAMPLES", 1400)
    before = torch.random.get_rng_state()
    measured = libraries.measure_libraries(0, 1, lambda sentence: None)
    assert torch.equal(torch.random.get_rng_state(), before)
    rows = {(row["metric"], row["examples"]): row for row in measured["rows"]}
    assert len(rows) == 7
    for (metric, _), row in rows.items():
        for side, most in (("ours", 1e-6), ("theirs", 0.5 if metric == "kid" else 1e-5)):
            assert row["values"][side] == pytest.approx(row["exact"], rel=most, abs=1e-6)
    # Subsets vary, and all pairs do not.
    kid = rows["kid", "shifted"]
    errors = {side: abs(kid["values"][side] - kid["exact"]) for side in ("ours", "theirs")}
    assert errors["ours"] < errors["theirs"]
    assert "| `accuracy` | `MulticlassAccuracy` | a seventh wrong |" in render(measured)
