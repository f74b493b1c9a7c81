"""The command sample: writes a picture of new samples, the same again, and refuses what cannot be drawn."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import Run
from benchmarks.sample import main as command
from tests.conftest import Done


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_the_command_writes_a_picture(labelled: Run, called: Callable[..., Done], own_folder: Path) -> None:
    done = called(command, "--run", str(labelled.path))
    assert done == (0, f"wrote {labelled.path.name}.png\n", "")
    # Ten columns of eight-fold pixels, seven rows for 64, titles and a caption.
    width, height = size(own_folder / f"{labelled.path.name}.png")
    assert width > 10 * 56
    assert height > 7 * 56

    sevens = called(command, "--run", str(labelled.path), "--label", "7", "--count", "9", "--out", "seven.png")
    assert sevens.out == "wrote seven.png\n"
    assert 3 * 56 < size(own_folder / "seven.png")[0] < 5 * 56
    called(command, "--run", str(labelled.path), "--interpolate", "--label", "7", "--count", "20", "--out", "way.png")
    assert size(own_folder / "way.png")[0] == width
    first = (own_folder / "seven.png").read_bytes()
    called(command, "--run", str(labelled.path), "--label", "7", "--count", "9", "--out", "seven.png")
    assert (own_folder / "seven.png").read_bytes() == first
    other = ["--seed", "1", "--out", "seven.png"]
    called(command, "--run", str(labelled.path), "--label", "7", "--count", "9", *other)
    assert (own_folder / "seven.png").read_bytes() != first


def test_the_command_reads_prompts_and_scatters_points(
    captioned: Run, trained: Callable[..., Run], called: Callable[..., Done], own_folder: Path
) -> None:
    said = called(command, "--run", str(captioned.path), "--prompt", "a bold seven leaning left", "--out", "said.png")
    assert said.code == 0
    points = trained("vanilla_gan", "ring8")
    assert called(command, "--run", str(points.path), "--count", "100", "--out", "points.png").code == 0
    assert size(own_folder / "said.png") != size(own_folder / "points.png")
    done = called(command, "--run", str(points.path), "--interpolate", "--out", "way.png")
    assert done.err == "error: ring8 has points of the plane; --interpolate draws images only\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--label 10", "labels are whole numbers from 0 to 9, not 10"),
        ("--label 1.5", "unknown label '1.5'; did you mean '5'? (it is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"),
        ("--label -1", "unknown label '-1'; did you mean '1'? (it is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"),
        (f"--label {5000 * '9'}", f"unknown label '{99 * '9'}…; it is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("--label sevn", "unknown label 'sevn'; it is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("--prompt seven", "cgan_mlp takes labels and no prompt"),
        ("--count 0", "--count is from 1 to 10000, not 0"),
        ("--count -3", "--count is from 1 to 10000, not -3"),
        ("--count 1.5", "argument --count: invalid int value: '1.5' (--help shows all options)"),
        ("--seed -1", "--seed is at least 0, not -1"),
        ("--seed nan", "argument --seed: invalid int value: 'nan' (--help shows all options)"),
        ("--out picture.gif", "--out is the name of a .png file, not 'picture.gif'"),
        ("--out nowhere/picture.png", "cannot write nowhere/picture.png: No such file or directory"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    labelled: Run, called: Callable[..., Done], own_folder: Path, words: str, sentence: str
) -> None:
    done = called(command, "--run", str(labelled.path), *words.split())
    assert done == (2, "", f"error: {sentence}\n")
    assert list(own_folder.iterdir()) == []
