"""Holds runs in the middle of training while their workers or machines are killed."""

from pathlib import Path

import pytest

from benchmarks import load_plugins
from tests.held_runs import HELD


@pytest.fixture
def held(own_plugins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder in which a file `go` frees runs with the noise `held`; waiting ones leave `held-PID`."""
    # The plugin changes it here as well.
    monkeypatch.setattr("benchmarks.training.loop.CHECKPOINT_SECONDS", 15.0)
    (tmp_path / "held.py").write_text(HELD.format(folder=str(tmp_path)))
    load_plugins([tmp_path / "held.py"])
    return tmp_path
