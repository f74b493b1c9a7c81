"""Records the matrix products and convolutions of a step, counts their operations, and runs them alone.

They have the shapes and memory layouts of the real step, forward and backward. The rest of a step (activations,
normalisation, optimiser) is the time that it takes beyond them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode, flop_registry

# Large enough to reach the peak: three matrices are 48 MiB on a CPU, and 768 MiB on a GPU.
_PEAK_SIZE, _PEAK_SIZE_GPU = 2048, 8192

# Written into memory that is already there, so that nothing but the product is timed.
_INTO = {torch.ops.aten.mm.default: torch.ops.aten.mm.out, torch.ops.aten.addmm.default: torch.ops.aten.addmm.out}


def count_operations(step: Callable[[], object]) -> int:
    """Counts floating-point operations in the products and convolutions of a step, backward included.

    A multiplication and an addition are two. Counted by torch.utils.flop_counter while the step runs.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops()


@dataclass(frozen=True)
class Product:
    """Repeats one recorded call on tensors of the recorded shapes and layouts, with other values."""

    call: Callable
    arguments: tuple
    options: dict[str, Any]

    def __call__(self) -> object:
        return self.call(*self.arguments, **self.options)


class Recording(TorchDispatchMode):
    """Records every matrix product and convolution in its context, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        result = function(*arguments, **options)
        if function._overloadpacket in flop_registry:
            call, given, named = function, *tree_map_only(Tensor, _like, (tuple(arguments), dict(options)))
            if function in _INTO:
                call, named = _INTO[function], {**named, "out": torch.empty_like(result)}
            self.products.append(Product(call, given, named))
        return result


def record_products(step: Callable[[], object]) -> list[Product]:
    """Returns the products and convolutions of a step, ready to run alone."""
    with Recording() as recording:
        step()
    return recording.products


def make_peak_product(dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], int]:
    """Returns a product of two large square matrices, as the best that the machine can do, and its operations."""
    size = _PEAK_SIZE if device.type == "cpu" else _PEAK_SIZE_GPU
    left, right, into = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))
    return (lambda: torch.mm(left, right, out=into)), 2 * size**3


def _like(tensor: Tensor) -> Tensor:
    # Ordinary values: products that overflow or underflow may take longer.
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return made.normal_(std=0.1) if made.is_floating_point() else made.zero_()
