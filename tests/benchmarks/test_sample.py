"""The command sample: writes a picture of new samples, the same again, and refuses what cannot be drawn."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import Run, configure, train
from benchmarks.evaluate import main as evaluate
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
        (
            "--out picture.gif",
            "--out is a .png file for a picture, or a .npy file or a folder, whose name has no ending, for single "
            "images, not 'picture.gif'",
        ),
        ("--count 0 --out images", "--count is at least 1, not 0"),
        (
            "--interpolate --out images",
            "--interpolate draws one picture; --out is the name of a .png file, not 'images'",
        ),
        ("--nearest --out all.npy", "--nearest draws one picture; --out is the name of a .png file, not 'all.npy'"),
        ("--nearest --interpolate", "--nearest is not read beside --interpolate; leave one of them out"),
        ("--truncation 1 --interpolate", "--truncation is not read beside --interpolate; leave one of them out"),
        ("--truncation 0", "truncation is a number above 0, not 0.0"),
        ("--truncation nan --out all.npy", "truncation is a number above 0, not nan"),
        ("--evaluation", "--evaluation writes single images; give --out a folder or a .npy file"),
        ("--evaluation --out a.png", "--evaluation writes single images; give --out a folder or a .npy file"),
        ("--evaluation --out a --count 5", "--count is not read beside --evaluation; leave one of them out"),
        ("--evaluation --out a --label 7", "--label is not read beside --evaluation; leave one of them out"),
        ("--data-dir data", "--data-dir is read with --nearest and --evaluation alone; leave it out"),
        ("--dtype int8 --out all.npy", "unknown dtype 'int8'; did you mean 'uint8'? (it is one of uint8, float32)"),
        ("--dtype uint8 --out images", "--dtype is of the values in a .npy file, and --out is none; leave it out"),
        ("--dtype uint8", "--dtype is of the values in a .npy file, and --out is none; leave it out"),
        ("--prompt seven --out images", "cgan_mlp takes labels and no prompt"),
        ("--nearest --data-dir nowhere --out nowhere/a.png", "cannot write nowhere/a.png: No such file or directory"),
        ("--out nowhere/picture.png", "cannot write nowhere/picture.png: No such file or directory"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    labelled: Run, called: Callable[..., Done], own_folder: Path, words: str, sentence: str
) -> None:
    done = called(command, "--run", str(labelled.path), *words.split())
    assert done == (2, "", f"error: {sentence}\n")
    assert list(own_folder.iterdir()) == []


def test_single_images_are_written_as_the_run_generates_them(
    labelled: Run, called: Callable[..., Done], own_folder: Path
) -> None:
    run, rest = str(labelled.path), ["--count", "25", "--seed", "3"]
    done = called(command, run, *rest, "--out", "new/images")
    assert done == (0, "wrote new/images\n", "")
    done = called(command, run, *rest, "--out", "all.npy", "--dtype", "float32")
    assert done == (0, "wrote all.npy\nwrote all-labels.npy\n", "")
    called(command, run, *rest, "--out", "bytes.npy")
    images, labels = labelled.generate(count=25, seed=3), labelled.condition(25)
    assert torch.equal(torch.from_numpy(np.load("all.npy")), images)
    assert np.array_equal(np.load("all-labels.npy"), labels)
    bytes_ = np.load("bytes.npy")
    assert bytes_.dtype == np.uint8
    assert np.abs(bytes_ / 127.5 - 1 - images.numpy()).max() < 0.51 / 127.5
    for number, (pixels, label) in enumerate(zip(bytes_, labels.tolist(), strict=True)):
        with Image.open(f"new/images/{label}/{number:05d}.png") as image:
            assert np.array_equal(np.asarray(image), pixels[0])
    assert sum(path.is_file() for path in Path("new").rglob("*")) == 25

    called(command, run, "--label", "7", "--count", "3", "--out", "sevens", "--truncation", "0.5")
    assert sorted(str(path) for path in Path("sevens").rglob("*.png")) == [f"sevens/7/0000{n}.png" for n in range(3)]


def test_what_exists_is_not_written_over(labelled: Run, called: Callable[..., Done], own_folder: Path) -> None:
    Path("images").mkdir()
    Path("all.npy").write_text("mine")
    Path("other-labels.npy").write_text("mine")
    for out, exists in (("images", "images"), ("all.npy", "all.npy"), ("other.npy", "other-labels.npy")):
        done = called(command, str(labelled.path), "--out", out)
        told = f"error: cannot write {exists}: it exists already; remove it, or choose another name\n"
        assert done == (2, "", told)
    assert sorted(path.name for path in own_folder.iterdir()) == ["all.npy", "images", "other-labels.npy"]
    assert Path("all.npy").read_text() == Path("other-labels.npy").read_text() == "mine"


def test_points_and_captions_are_written_too(
    captioned: Run, trained: Callable[..., Run], called: Callable[..., Done], own_folder: Path
) -> None:
    points = trained("vanilla_gan", "ring8")
    assert called(command, str(points.path), "--count", "30", "--out", "points.npy").out == "wrote points.npy\n"
    assert np.array_equal(np.load("points.npy"), points.generate(count=30))
    for words in (["--out", "points"], ["--out", "bytes.npy", "--dtype", "uint8"]):
        done = called(command, str(points.path), *words)
        assert done.err == "error: ring8 has points of the plane, which are floats; give --out a .npy file\n"
    done = called(command, str(points.path), "--nearest", "--out", "near.png")
    assert done.err == "error: ring8 has points of the plane; --nearest draws images only\n"
    called(command, str(captioned.path), "--prompt", "a bold seven", "--count", "6", "--out", "sevens")
    assert np.array_equal(np.load("sevens/labels.npy"), captioned.condition(6, prompt="a bold seven"))
    assert len(list(Path("sevens").glob("*.png"))) == 6


def test_the_nearest_training_images_are_drawn(labelled: Run, called: Callable[..., Done], own_folder: Path) -> None:
    words = ["--nearest", "--count", "6", "--label", "7", "--truncation", "0.9", "--out", "near.png"]
    assert called(command, str(labelled.path), *words) == (0, "wrote near.png\n", "")
    # Two rows of three groups.
    assert 2 * 56 < size(own_folder / "near.png")[1] < 5 * 56


@pytest.mark.parametrize(
    ("variant", "dataset"),
    [("cgan_mlp", "digits"), ("vanilla_gan", "digits"), ("dcgan_text", "captions_digits"), ("cgan_mlp", "ring8")],
)
def test_the_samples_of_the_last_evaluation_have_the_final_figures_of_the_run(
    variant: str,
    dataset: str,
    called: Callable[..., Done],
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("metrics.gan_train._UPDATES", 2)
    config = configure(variant, dataset, epochs=1, epoch_updates=20, samples=150, probes=())
    run = train(config, pictures="none", track=False)

    def figures(images: str, *words: str) -> dict[str, float]:
        done = called(evaluate, images, "--against", dataset, *words, "--json", "figures.json")
        assert done.code == 0, done.err
        return json.loads(Path("figures.json").read_text())["metrics"]

    done = called(command, run.path.name, "--evaluation", "--out", "judged.npy", "--dtype", "float32")
    assert done.code == 0, done.err
    labels = ["--labels", "judged-labels.npy"] if variant != "vanilla_gan" else []
    exact = figures("judged.npy", *labels)
    # As far as float32 goes; memorisation, or whatever the run could not measure, is absent from both.
    assert exact == pytest.approx(run.metrics, rel=1e-5, abs=1e-6)
    assert len(exact) > 10
    if dataset == "ring8":
        return
    # 8 bits move each value by half of one of 255 levels at most.
    assert called(command, run.path.name, "--evaluation", "--out", "judged").code == 0
    labels = ["--labels", "judged/labels.npy"] if variant == "dcgan_text" else []
    rounded = figures("judged", *labels)
    assert rounded.keys() == exact.keys()
    for name in ("fid", "fid_pixels", "kid"):
        assert rounded[name] == pytest.approx(exact[name], rel=0.02)
