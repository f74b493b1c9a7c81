"""Takes one step of an optimiser, for one seed or for several that are trained as one."""

import torch
from torch import Tensor
from torch.optim import Optimizer


def descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """Moves an optimiser's parameters, and no others, along the gradient of a loss; returns the norm of that gradient.

    loss: (), or (seeds,) for stacked networks; the norm has the same shape.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    # With stacked seeds the losses are independent, so the gradient of their sum holds each seed's own gradient. A sum,
    # because a gradient that is handed to `backward` makes torch import sympy, which takes two seconds.
    (loss.sum() if loss.ndim else loss).backward(inputs=parameters)
    norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None], loss.shape)
    optimizer.step()
    return norm


def total_norm(gradients: list[Tensor], seeds: torch.Size) -> Tensor:
    """Returns the norm of all gradients taken as one vector, for each seed. seeds: () or (count,)."""
    if not seeds:
        norms = torch.stack(torch._foreach_norm(gradients))
    elif gradients[0].device.type == "cpu":
        norms = torch.stack([torch.linalg.vector_norm(each, dim=tuple(range(1, each.ndim))) for each in gradients])
    else:
        # All at once: on a GPU, the norms of a weight's rows take longer than those of as many weights.
        norms = torch.stack(torch._foreach_norm([part for each in gradients for part in each.unbind()]))
        norms = norms.view(len(gradients), *seeds)
    return torch.linalg.vector_norm(norms, dim=0)
