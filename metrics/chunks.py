"""Cuts up or repeats work as suits the device."""

from collections.abc import Callable

import torch
from torch import Tensor

# Rows at once on any device but a CPU. Chosen, not tuned: of 10,000 columns, 160 MB.
LARGE = 4096
# Times that work is done before it is recorded, while libraries choose their algorithms; torch advises three.
WARM = 3


def chunk_rows(rows: int, of: Tensor) -> int:
    """Returns `rows` on a CPU, whose caches they fit, and more elsewhere, where a call costs the same for few rows."""
    return rows if of.device.type == "cpu" else max(rows, LARGE)


def repeat_recorded(work: Callable[[], None], times: int, device: torch.device) -> None:
    """Does the same work on the same tensors so many times; on a GPU as one recording (a CUDA graph).

    The work draws nothing at random, and takes no decision that depends on values. The 500 updates of GAN-train take
    0.16 s recorded and 0.62 s otherwise, because a GPU waits for each launch (H200, docs/speed.md).
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
    # Other threads, such as one that sends to MLflow, may use the device meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    with torch.cuda.stream(stream):
        for _ in range(times - WARM):
            graph.replay()
    torch.cuda.current_stream(device).wait_stream(stream)
