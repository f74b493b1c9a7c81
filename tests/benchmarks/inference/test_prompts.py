"""A prompt is read as the captions that it allows, and refused where it says nothing or two things."""

import pytest
import torch

from benchmarks.inference.prompts import read_prompt
from metrics.captions import all_captions
from tests.captions import words
from variants import UserError


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
