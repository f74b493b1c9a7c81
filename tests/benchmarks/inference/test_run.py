"""New samples from a finished run: which run, which label or words, and what lies between two noise vectors."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import Run, configure, find_run, load_run, train
from benchmarks.inference.drawing import STEPS, interpolate_noise, interpolate_samples
from benchmarks.inference.prompts import read_prompt
from benchmarks.inference.run import RunFolder
from benchmarks.sample import main as command
from benchmarks.tracking.upload import sync
from metrics.captions import WORDS, all_captions
from tests.conftest import Done
from variants import UserError

TINY = {"epochs": 1, "epoch_updates": 2, "samples": 20, "thorough": False, "probes": ()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("runs")

    def once(variant: str, dataset: str, **fields) -> Run:
        config = configure(variant, dataset, **TINY, **fields)
        return train(config, runs_dir=folder, pictures="none", track=False)

    return once


@pytest.fixture(scope="module")
def labelled_once(trained: Callable[..., Run]) -> Run:
    return trained("cgan_mlp", "digits")


@pytest.fixture
def labelled(trained: Callable[..., Run]) -> Run:
    return trained("cgan_mlp", "digits")


@pytest.fixture
def captioned(trained: Callable[..., Run]) -> Run:
    return trained("dcgan_text", "captions_digits")


def words(captions: torch.Tensor) -> set[str]:
    return {" ".join(WORDS[token] for token in caption) for caption in captions.tolist()}


def test_a_prompt_is_the_captions_that_it_allows() -> None:
    assert words(read_prompt("a bold seven leaning left")) == {"seven bold left"}
    assert words(read_prompt("Upright, thin 0.")) == {"zero thin upright"}
    assert words(read_prompt("the digit 4, bold")) == {"four bold left", "four bold upright", "four bold right"}
    assert torch.equal(read_prompt("a digit"), all_captions())


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a blod seven", "unknown word in the prompt 'blod'; did you mean 'bold'? (it knows zero, one, two,"),
        ("a cat", "unknown word in the prompt 'cat'; "),
        ("a thin bold seven", "the prompt says both thin and bold; a caption has one thickness"),
        ("seven 8", "the prompt says both seven and eight; a caption has one digit"),
    ],
)
def test_a_prompt_with_words_that_say_nothing_is_refused(prompt: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        read_prompt(prompt)
    assert str(refused.value).startswith(sentence)


def test_a_spherical_interpolation_stays_on_the_sphere_and_moves_evenly() -> None:
    start, end = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start, end = start / start.norm(dim=1, keepdim=True), end / end.norm(dim=1, keepdim=True)
    path = interpolate_noise(start, end, 9, spherical=True)
    assert path.shape == (6, 9, 50)
    torch.testing.assert_close(path[:, 0], start)
    torch.testing.assert_close(path[:, -1], end)
    torch.testing.assert_close(path.norm(dim=2), torch.ones(6, 9, dtype=torch.float64))
    steps = (path[:, 1:] * path[:, :-1]).sum(2).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 8))


def test_an_interpolation_by_hand() -> None:
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert interpolate_noise(start, end, 3, spherical=False)[0].tolist() == [[2, 0], [1, 1], [0, 2]]
    half = 2**0.5  # of a quarter turn, at radius 2
    torch.testing.assert_close(
        interpolate_noise(start, end, 3, spherical=True)[0], torch.tensor([[2, 0], [half, half], [0, 2.0]])
    )
    # There is no great circle through opposite points, nor one worth speaking of through equal ones.
    for other in (-start, start):
        straight = interpolate_noise(start, other, 3, spherical=False)
        torch.testing.assert_close(interpolate_noise(start, other, 3, spherical=True), straight)


def test_interpolations_keep_the_label_and_change_little_from_step_to_step(labelled: Run) -> None:
    rows = interpolate_samples(labelled, 4, label=7).unflatten(0, (4, STEPS))
    assert rows.shape == (4, STEPS, 1, 8, 8)
    ends = (rows[:, -1] - rows[:, 0]).flatten(1).norm(dim=1)
    steps = (rows[:, 1:] - rows[:, :-1]).flatten(2).norm(dim=2)
    assert (ends > 0).all()
    assert (steps < 0.5 * ends[:, None]).all()
    assert not torch.equal(interpolate_samples(labelled, 4, label=1), rows.flatten(0, 1))


def test_a_run_that_takes_captions_draws_what_its_prompt_says(captioned: Run) -> None:
    tokens = captioned.condition(5, prompt="a bold seven")
    assert words(tokens) == {"seven bold left", "seven bold upright", "seven bold right"}
    assert captioned.generate(prompt="a bold seven", count=5).shape == (5, 1, 8, 8)
    assert len(words(captioned.condition(60))) == 60
    with pytest.raises(UserError, match="dcgan_text takes a prompt and no labels"):
        captioned.generate(labels=[7])


def as_python(value: object) -> object:
    """Nested lists and Python's own numbers of whatever holds such."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [as_python(each) for each in value] if isinstance(value, list | tuple) else value


SCALARS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([10**30, -(10**30), True, False, None, "7", "", b"7", 7j]),
    st.floats(),
    st.builds(np.float32, st.integers(0, 9)),
    st.builds(np.int64, st.integers(-3, 12)),
    st.sampled_from([np.True_, torch.tensor(3), torch.tensor([3]), torch.tensor(3.0), torch.tensor(True)]),
)
LABELS = st.one_of(
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(SCALARS, max_size=4),
    st.lists(SCALARS, max_size=4).map(tuple),
    st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2),
    st.lists(st.integers(0, 9), max_size=4).map(torch.tensor),
    st.lists(st.floats(0, 9, width=32), max_size=4).map(torch.tensor),
    st.lists(st.booleans(), max_size=4).map(torch.tensor),
    st.lists(st.integers(0, 9), max_size=4).map(np.array),
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=1), max_size=3).map(torch.tensor),
    SCALARS,
)


@given(LABELS)
def test_labels_are_drawn_as_they_are_or_refused(labelled_once: Run, given_labels: object) -> None:
    """Never as other ones: 1.5 is not class 1, True is not class 1, and "7" is not class 7."""
    values = as_python(given_labels)
    good = isinstance(values, list) and len(values) and all(type(each) is int and 0 <= each <= 9 for each in values)
    if good:
        assert labelled_once.condition(len(values), given_labels).tolist() == values
        assert torch.equal(labelled_once.generate(given_labels), labelled_once.generate(labels=values))
        return
    with pytest.raises(UserError) as refused:
        labelled_once.generate(labels=given_labels)
    assert str(refused.value).startswith(("labels are a list of whole", "labels are whole numbers from 0 to 9, not "))


@given(SCALARS)
def test_counts_and_seeds_are_whole_or_refused(labelled_once: Run, number: object) -> None:
    value = as_python(number)
    for name, least in (("count", 1), ("seed", 0)):
        if value is None and name == "count":
            continue  # then it is 64
        if type(value) is int and least <= value <= 12:
            ours, plain = ({"count": 2, name: each} for each in (number, value))
            assert torch.equal(labelled_once.generate(**ours), labelled_once.generate(**plain))
        elif type(value) is not int or value < least:
            with pytest.raises(UserError, match=f"^{name} is a whole number of at least {least}, not "):
                labelled_once.generate(**{"count": 2, name: number})


def test_what_a_variant_does_not_take_is_refused_before_its_value(captioned: Run, trained: Callable[..., Run]) -> None:
    with pytest.raises(UserError, match="vanilla_gan is unconditional and takes no labels"):
        trained("vanilla_gan", "ring8").generate(labels=[1.5])
    with pytest.raises(UserError, match="a prompt is a sentence, not 7"):
        captioned.generate(prompt=7)


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


def test_a_run_that_is_not_finished_has_no_samples_yet(labelled: Run, tmp_path: Path) -> None:
    shutil.copytree(labelled.path, tmp_path / "half")
    (tmp_path / "half" / "generator.safetensors").unlink()
    with pytest.raises(UserError, match="is not finished; the same command resumes it"):
        load_run(tmp_path / "half").generate()


def test_a_run_is_found_by_its_folder_its_name_and_its_id(
    labelled: Run, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, runs_dir = labelled.path.name, labelled.path.parent
    assert find_run(str(labelled.path)).path == labelled.path
    assert find_run(name, runs_dir).path == labelled.path
    monkeypatch.chdir(runs_dir)
    assert find_run(name, "runs").path == Path(name)
    monkeypatch.chdir(tmp_path)

    run_id = sync(RunFolder(labelled.path), tracking_uri)
    assert find_run(run_id, runs_dir, tracking_uri).path == labelled.path
    for text in (run_id, name):
        fetched = find_run(text, "runs", tracking_uri)
        assert fetched.fetched
        assert fetched.path != labelled.path
        assert torch.equal(fetched.generate(labels=[7, 1]), labelled.generate(labels=[7, 1]))
        path = fetched.path
        del fetched
        assert not path.exists()
    assert not (tmp_path / "runs").exists()


def test_a_run_that_does_not_exist_is_refused_with_the_nearest_name(labelled: Run, tracking_uri: str) -> None:
    name, runs_dir = labelled.path.name, labelled.path.parent
    with pytest.raises(
        UserError, match=rf"there is no run '{name}x' in .* or in MLflow at .*; did you mean '{name}'\?"
    ):
        find_run(name + "x", runs_dir, tracking_uri)
    with pytest.raises(UserError, match=rf"did you mean '{name}'\?, and there is no MLflow database"):
        find_run(name + "x", runs_dir, "sqlite:///nowhere.db")
    with pytest.raises(UserError, match="is not a run folder: it has no config"):
        find_run("runs/nothing")
