"""Seeds the named random streams of a run.

Each stream is a torch.Generator that is seeded afresh in every epoch from a hash of (seed, stream, epoch), and nothing
draws from the global random state. So a run resumes at an epoch without any stored random
state, evaluations and probes cannot shift training, and a seed sees the same numbers whatever is trained beside it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


def stream(seed: int, name: str, epoch: int = 0, device: str | torch.device = "cpu") -> Generator:
    """Returns the stream of that name in that epoch, as a generator on the device."""
    digest = hashlib.sha256(f"{seed}/{name}/{epoch}".encode()).digest()
    return Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextmanager
def initialisation(seed: int) -> Iterator[None]:
    """Lets torch's layers initialise themselves from the run's own stream, and restores the global state after.

    Layers draw their initial weights from the global state and offer no other way.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "initialisation").initial_seed())
        yield
