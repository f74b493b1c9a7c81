"""Small sets of images to be written as folders."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

NOISE, CONSTANT, SAME, BLANK = "noise", "constant", "same", "blank"


@dataclass(frozen=True)
class Images:
    """A set to be written: how many images a class has, what they show, and how large they are and are made."""

    counts: tuple[int, ...]
    kinds: tuple[str, ...]
    side: int
    # As DatasetConfig takes it.
    image_size: int | str
    colour: bool
    twice: bool
    seed: int

    def write(self, root: Path) -> None:
        """Writes a folder for each class. Where `twice`, the first image is the last one of the last class as well."""
        random = np.random.default_rng(self.seed)
        shape = (self.side, self.side, 3) if self.colour else (self.side, self.side)
        for name, (count, kind) in enumerate(zip(self.counts, self.kinds, strict=True)):
            (root / str(name)).mkdir(parents=True)
            same = random.integers(0, 256, shape, dtype=np.uint8)
            for place in range(count):
                grey = np.full(shape, random.integers(256), np.uint8)
                noise, blank = random.integers(0, 256, shape, dtype=np.uint8), np.full(shape, 128, np.uint8)
                pixels = {NOISE: noise, CONSTANT: grey, SAME: same, BLANK: blank}[kind]
                Image.fromarray(pixels).save(root / str(name) / f"{place:02d}.png", compress_level=0)
        if self.twice and sum(self.counts) > 1:
            shutil.copy(root / "0" / "00.png", root / str(name) / f"{count - 1:02d}.png")
