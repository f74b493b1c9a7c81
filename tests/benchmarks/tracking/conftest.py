"""A run folder for the tests of tracking."""

from pathlib import Path

import pytest

from benchmarks.config import PROTOCOL_VERSION
from benchmarks.run_folder.folder import RunFolder
from tests.run_folders import CONFIG


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", CONFIG)
    folder.write_environment(
        {
            "device": "cpu",
            "code": "c0de",
            "recipe": "default",
            "notes": ["no network: 8×8 digits instead of MNIST"],
            "protocol_version": PROTOCOL_VERSION,
            "extractor": {"name": "digits", "sha256": "cd" * 32, "accuracy": 0.98},
        }
    )
    folder.write_json("reference.json", {"fid": 0.25, "accuracy": 0.98})
    folder.write_json("facts.json", {"parameters": {"generator": 1000, "discriminator": 2000}})
    return folder
