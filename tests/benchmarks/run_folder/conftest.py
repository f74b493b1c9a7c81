"""Makes an empty run folder for the tests of run folders."""

from pathlib import Path

import pytest

from benchmarks.run_folder.folder import RunFolder
from tests.run_folders import CONFIG


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", CONFIG)
