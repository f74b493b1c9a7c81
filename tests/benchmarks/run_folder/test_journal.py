"""A journal loses at most a torn last line, and damage before it is named with its place."""

import json
import math

import pytest

from benchmarks.run_folder.folder import JOURNAL, RunFolder
from tests.run_folders import line
from variants.recipe import UserError


def test_infinities_and_nan_come_back_exactly(folder: RunFolder):
    folder.append({"epoch": 1, "curves": {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 0.1 + 0.2}})
    (read,) = folder.lines()
    assert read["curves"]["a"] == math.inf
    assert read["curves"]["b"] == -math.inf
    assert math.isnan(read["curves"]["c"])
    assert read["curves"]["d"] == 0.1 + 0.2


def test_a_journal_cut_at_any_byte_loses_at_most_its_last_line_and_goes_on(folder: RunFolder):
    for epoch in range(3):
        folder.append(line(epoch))
    whole, lines = (folder.path / JOURNAL).read_bytes(), folder.lines()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        (folder.path / JOURNAL).write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert folder.lines() == lines[:kept], cut
        folder.append(line(7))
        assert folder.lines() == [*lines[:kept], line(7)], cut


@pytest.mark.parametrize(
    "torn",
    [
        b"\0" * 50,
        b"\0" * 50 + b"\n",
        b'{"epoch":3}\0\0\n',
        b'{"epoch":3,"cur\n',
        b"\xff\xfe\n",
        b'{"epoch":Infinity}\n',
    ],
)
def test_what_a_power_cut_leaves_behind_the_last_line_is_dropped(folder: RunFolder, torn: bytes):
    folder.append(line(1))
    with open(folder.path / JOURNAL, "ab") as file:
        file.write(torn)
    assert folder.lines() == [line(1)]
    folder.append(line(2))
    assert folder.lines() == [line(1), line(2)]


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "[]",
        "{}",
        '{"epoch": -1}',
        '{"epoch": 1.5}',
        '{"epoch": true}',
        '{"epoch": 1}',
        '{"epoch": 2, "curves": 5}',
        '{"epoch": 2, "curves": {"a": "1"}}',
        '{"epoch": 2, "curves": {"a": null}}',
        '{"epoch": 2, "curves": {"\\ud800": 1}}',
        '{"epoch": 2, "curves": {"a": 1' + "0" * 400 + "}}",
    ],
)
def test_damage_before_the_last_line_is_said_with_its_place(folder: RunFolder, bad: str):
    good = [json.dumps({"epoch": epoch}) for epoch in (0, 1, 3)]
    (folder.path / JOURNAL).write_text("\n".join([*good[:2], bad, good[2]]) + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged: line 3: "):
        folder.lines()


@pytest.mark.parametrize(
    "wrong", [{"epoch": 1}, {"epoch": 0}, {"epoch": 2, "curves": {"a": "x"}}, {"curves": {}}, {"epoch": 2.0}]
)
def test_a_line_that_could_not_be_read_back_is_not_written(folder: RunFolder, wrong: dict):
    folder.append(line(1))
    with pytest.raises(ValueError, match="not a line of the journal"):
        folder.append(wrong)
    assert folder.lines() == [line(1)]


def test_truncating_cuts_later_epochs_and_nothing_else(folder: RunFolder):
    for epoch in range(5):
        folder.append(line(epoch, a=math.nan if epoch == 0 else 1.0))
    with open(folder.path / JOURNAL, "ab") as file:
        file.write(b'{"epoch":9')
    before = (folder.path / JOURNAL).read_bytes().splitlines(keepends=True)
    folder.truncate(2)
    assert (folder.path / JOURNAL).read_bytes() == b"".join(before[:3])
    folder.truncate(-1)
    assert folder.lines() == []
