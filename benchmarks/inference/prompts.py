"""A sentence such as "a bold seven leaning left" -> the captions that it allows, as the tokens a generator reads."""

import torch
from jaxtyping import Int64
from torch import Tensor

from metrics.captions import DIGITS, SLANTS, THICKNESSES, WORDS
from variants.recipe import UserError, unknown

KINDS = {"digit": DIGITS, "thickness": THICKNESSES, "slant": SLANTS}
NUMERALS = {str(value): word for value, word in enumerate(DIGITS)}
# Words without which no sentence can be written, and which say nothing of the image.
FILLERS = frozenset("a an the digit number stroke strokes that is and with to lean leans leaning slanted".split())


def read_prompt(sentence: str) -> Int64[Tensor, "captions words"]:
    """Every caption of which the sentence is true, as tokens; a kind of word that it does not mention is left open.

    Raises UserError for a word that it does not know, and for two of one kind.
    """
    said: dict[str, str] = {}
    for written in sentence.lower().replace(",", " ").replace(".", " ").split():
        word = NUMERALS.get(written, written)
        if word in FILLERS:
            continue
        if word not in WORDS:
            raise unknown("word in the prompt", written, WORDS, see="it knows " + ", ".join(WORDS))
        kind = next(kind for kind, words in KINDS.items() if word in words)
        if said.setdefault(kind, word) != word:
            raise UserError(f"the prompt says both {said[kind]} and {word}; a caption has one {kind}")
    allowed = [[said[kind]] if kind in said else words for kind, words in KINDS.items()]
    return torch.cartesian_prod(*(torch.tensor([WORDS.index(word) for word in words]) for words in allowed)).view(-1, 3)
