"""How work is cut up, or put together, as suits the device that does it."""

from collections.abc import Callable

import torch
from torch import Tensor

# Chosen, not tuned: of 10,000 columns, 160 MB.
LARGE = 4096
# Times that work is done before it is recorded, in which libraries choose their ways; torch advises three.
WARM = 3


def chunk_rows(rows: int, of: Tensor) -> int:
    """So many rows on a CPU, whose caches they fit. More elsewhere, where a call takes as long for few as for many."""
    return rows if of.device.type == "cpu" else max(rows, LARGE)


def repeat_recorded(work: Callable[[], None], times: int, device: torch.device) -> None:
    """Does the same work on the same tensors so many times; on a GPU, which waits for each launch, as one recording.

    The work draws nothing at random, and what it decides does not depend on values.
    """
    if device.type != "cuda" or times <= WARM:
        for _ in range(times):
            work()
        return
    stream, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            work()
    torch.cuda.current_stream(device).wait_stream(stream)
    # What other threads do meanwhile, such as sending to MLflow, does not disturb it.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    with torch.cuda.stream(stream):
        for _ in range(times - WARM):
            graph.replay()
    torch.cuda.current_stream(device).wait_stream(stream)
