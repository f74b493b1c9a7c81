"""Some hundred hostile files for every reader; `make soak` tries them for ten minutes each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run_folder.folder import RunFolder
from tests.soak.fuzzing import NAMES, Reader, fuzz, list_readers, try_reader

INPUTS = 100


@pytest.fixture(scope="module")
def known() -> dict[str, Reader]:
    return {reader.name: reader for reader in list_readers()}


def test_every_reader_has_its_name_in_the_list(known: dict[str, Reader]) -> None:
    assert tuple(known) == NAMES


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_valid_file_is_read_and_a_hostile_one_gives_a_value_or_a_sentence(
    name: str, known: dict[str, Reader], tmp_path: Path
) -> None:
    reader = known[name]
    (tmp_path / "own").mkdir()
    assert try_reader(reader, tmp_path / "own", reader.valid) == "read"
    (tmp_path / "work" / "own").mkdir(parents=True)
    done = fuzz(reader, tmp_path / "work" / "own", seed=0, inputs=INPUTS)
    assert done["findings"] == {}
    assert done["inputs"] == INPUTS
    assert done["refused"] > 0


def raises(folder: Path) -> None:
    raise KeyError("shape")


def writes_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").write_text("")


def reads_everything(folder: Path) -> None:
    RunFolder(folder).read_bytes("any")


@pytest.mark.parametrize(
    ("use", "found"),
    [
        (raises, "KeyError in test_fuzzing.py:raises: 'shape'"),
        (writes_elsewhere, "it wrote outside its folder"),
        (reads_everything, "read"),
    ],
)
def test_a_bad_reader_is_found_out(use: Callable[[Path], None], found: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert try_reader(Reader("any", "any", b"", lambda data, rng: data, use), tmp_path / "own", b"") == found
