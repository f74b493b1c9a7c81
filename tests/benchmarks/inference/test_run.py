"""New samples of a finished run: labels, prompts, counts and seeds are taken as they are, or refused."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from benchmarks import Run, load_run
from benchmarks.algorithm.sampling import truncate
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


def test_samples_in_parts_are_those_of_one_call(labelled: Run, captioned: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as two parts of the usual size and some more.
    parts = list(labelled.iterate(2060, seed=3))
    assert [len(samples) for samples, _ in parts] == [1024, 1024, 12]
    torch.testing.assert_close(torch.cat([samples for samples, _ in parts]), labelled.generate(count=2060, seed=3))
    assert torch.equal(torch.cat([labels for _, labels in parts]), torch.arange(2060) % 10)
    sevens = list(labelled.iterate(1030, label=7))
    torch.testing.assert_close(torch.cat([samples for samples, _ in sevens]), labelled.generate([7] * 1030))

    monkeypatch.setattr("benchmarks.inference.run._AT_ONCE", 16)
    captions = torch.cat([tokens for _, tokens in captioned.iterate(70)])
    assert torch.equal(captions, captioned.condition(70))


def test_truncation_keeps_noise_near_0_and_is_of_gaussian_noise_alone(
    labelled: Run, trained: Callable[..., Run]
) -> None:
    usual, cut = (labelled.generate([7] * 200, truncation=size) for size in (None, 0.1))
    assert cut.std(0).mean() < 0.3 * usual.std(0).mean()
    assert torch.equal(labelled.generate([7] * 200, truncation=0.1), cut)
    [(first, _)] = labelled.iterate(200, label=7, truncation=0.1)
    assert torch.equal(first, cut)
    for wrong in (0, -1, math.nan, math.inf, "1"):
        with pytest.raises(UserError, match=r"^truncation is a number above 0, not "):
            labelled.generate(truncation=wrong)
    uniform = trained("vanilla_gan", "digits", noise="uniform")
    with pytest.raises(UserError, match=r"was trained with uniform noise; leave it out$"):
        uniform.generate(truncation=0.5)


def test_truncated_noise_has_the_distribution_of_repeated_drawing() -> None:
    generator = torch.Generator().manual_seed(0)
    for limit in (0.5, 2.0):
        drawn = truncate(limit)((100_000,), generator)
        again = torch.randn(100_000, generator=generator)
        while len(beyond := (again.abs() > limit).nonzero().flatten()):
            again[beyond] = torch.randn(len(beyond), generator=generator)
        assert drawn.abs().max() <= limit
        # Two samples of 100,000 differ by more than that, by chance, once in 10^9 times (Smirnov).
        assert ks_2samp(drawn.numpy(), again.numpy()).statistic < 0.0147
