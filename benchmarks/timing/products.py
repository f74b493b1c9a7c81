"""The matrix products and convolutions of a step: how many operations they are, and how long they take alone.

They are recorded while a step runs, with the shapes and the memory layouts that it really has: forward, and the
gradients that it really asks for. The rest of a step (activations, normalisation, optimiser) is what it takes more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode, flop_registry

# Large enough for the peak: of a CPU, where three such matrices are 48 MiB, and of a GPU, where they are 768.
PEAK_SIZE, PEAK_SIZE_GPU = 2048, 8192

# These can write into memory that is already there, so that nothing but the product is timed.
_INTO = {torch.ops.aten.mm.default: torch.ops.aten.mm.out, torch.ops.aten.addmm.default: torch.ops.aten.addmm.out}


def operations(step: Callable[[], object]) -> int:
    """Floating-point operations in the products and convolutions of a step, a multiplication and an addition being two.

    Counted by torch.utils.flop_counter while the step runs, backward included.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops()


@dataclass(frozen=True)
class Product:
    """One recorded call; its tensors are of the recorded shapes and layouts, with other values."""

    call: Callable
    arguments: tuple
    options: dict[str, Any]

    def __call__(self) -> object:
        return self.call(*self.arguments, **self.options)


class Recording(TorchDispatchMode):
    """Within it, every matrix product and convolution is recorded, in order."""

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


def recorded(step: Callable[[], object]) -> list[Product]:
    """The products and convolutions of a step, ready to be run alone."""
    with Recording() as recording:
        step()
    return recording.products


def peak_product(dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], int]:
    """A product of two large square matrices, and how many operations it is: what the machine can do at best."""
    size = PEAK_SIZE if device.type == "cpu" else PEAK_SIZE_GPU
    left, right, into = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))
    return (lambda: torch.mm(left, right, out=into)), 2 * size**3


def _like(tensor: Tensor) -> Tensor:
    # Ordinary values: on what overflows or underflows, products may take longer.
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return made.normal_(std=0.1) if made.is_floating_point() else made.zero_()
