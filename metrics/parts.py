"""How much is calculated at once where a whole table would not fit into memory."""

from torch import Tensor

# Chosen, not tuned: of 10,000 columns, 160 MB.
LARGE = 4096


def at_once(rows: int, of: Tensor) -> int:
    """So many rows on a CPU, whose caches they fit. More elsewhere, where a call takes as long for few as for many."""
    return rows if of.device.type == "cpu" else max(rows, LARGE)
