"""Random tensors, and an extractor for torchmetrics that passes them on."""

import torch
from torch import Tensor, nn


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Identity(nn.Module):
    """An extractor for torchmetrics whose features are the values themselves."""

    num_features = 6

    def forward(self, values: Tensor) -> Tensor:
        return values
