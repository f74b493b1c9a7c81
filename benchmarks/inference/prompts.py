"""Reads a prompt such as "a bold seven leaning left" as the captions that it allows, in the tokens of a generator."""

import torch
from jaxtyping import Int64
from torch import Tensor

from metrics.captions import DIGITS, SLANTS, THICKNESSES, WORDS
from variants.recipe import UserError, unknown

_KINDS = {"digit": DIGITS, "thickness": THICKNESSES, "slant": SLANTS}
_NUMERALS = {str(value): word for value, word in enumerate(DIGITS)}
# Words that sentences need, and that say nothing of the image.
_FILLERS = frozenset("a an the digit number stroke strokes that is and with to lean leans leaning slanted".split())


def read_prompt(sentence: str) -> Int64[Tensor, "captions words"]:
    """Returns every caption that agrees with the sentence, as tokens; a kind of word that it leaves out may be any.

    Raises UserError for an unknown word, and for two words of one kind.
    """
    said: dict[str, str] = {}
    for written in sentence.lower().replace(",", " ").replace(".", " ").split():
        word = _NUMERALS.get(written, written)
        if word in _FILLERS:
            continue
        if word not in WORDS:
            raise unknown("word in the prompt", written, WORDS, see="it knows " + ", ".join(WORDS))
        kind = next(kind for kind, words in _KINDS.items() if word in words)
        if said.setdefault(kind, word) != word:
            raise UserError(f"the prompt says both {said[kind]} and {word}; a caption has one {kind}")
    allowed = [[said[kind]] if kind in said else words for kind, words in _KINDS.items()]
    return torch.cartesian_prod(*(torch.tensor([WORDS.index(word) for word in words]) for words in allowed)).view(-1, 3)
