"""Kills a run in each kind of write and at random moments; `make soak` does so more often."""

import gc
import os
import random
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.soak import kills

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
# In this order, because what is killed late in a run leaves nothing of what comes early in it.
FEW = ("a checkpoint", "the renames of a checkpoint", "a journal line", "the GIF", "a batch of metrics")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, bytes], float]]:
    # Else each child's first garbage collection writes to every object of this process, and copies its memory.
    gc.freeze()
    yield kills.prepare(tmp_path_factory.mktemp("kills") / "work")
    gc.unfreeze()


@pytest.mark.long
def test_a_run_that_is_killed_in_each_kind_of_write_ends_as_one_that_was_not(
    prepared: tuple[Path, dict[str, bytes], float], tmp_path: Path
) -> None:
    empty, wanted, _ = prepared
    shutil.copytree(empty, tmp_path / "run")
    rng = random.Random(0)
    for where in FEW:
        trap, _ = kills.PLACES[where]
        assert kills.wait_for(kills.start(tmp_path / "run", partial(trap, 0, rng))) == -signal.SIGKILL, where
    assert kills.wait_for(kills.start(tmp_path / "run")) == 0, (tmp_path / "run" / "said.txt").read_text()
    assert kills.find_differences(tmp_path / "run", wanted) == []


def test_what_differs_is_noticed(prepared: tuple[Path, dict[str, bytes], float]) -> None:
    """Checks that the comparison does not always agree."""
    whole = prepared[0].parent / "whole"
    other = {**prepared[1], "samples.gif": b"another"}
    assert kills.find_differences(whole, prepared[1]) == []
    assert kills.find_differences(whole, other) == ["samples.gif differs"]
    assert len(prepared[1]) > 8
