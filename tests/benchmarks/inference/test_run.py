"""New samples of a finished run: labels, prompts, counts and seeds are taken as they are, or refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import Run, load_run
from tests.captions import words
from variants import UserError


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


def test_a_run_that_is_not_finished_has_no_samples_yet(labelled: Run, tmp_path: Path) -> None:
    shutil.copytree(labelled.path, tmp_path / "half")
    (tmp_path / "half" / "generator.safetensors").unlink()
    with pytest.raises(UserError, match="is not finished; the same command resumes it"):
        load_run(tmp_path / "half").generate()
