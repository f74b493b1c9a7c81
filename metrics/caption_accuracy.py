"""Counts samples of which the words of the requested caption are true.

In [0, 1], larger is better. `captions.py` measures which words are true of an image. This project's own metric.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric  # noqa: TID253 -- see two_sample.py


class _Shares(Metric):
    """Counts samples that pass, of those that were asked for captions seen in training, and of held-out ones."""

    is_differentiable = False
    full_state_update = False
    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(self, checks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # In rows: seen, held out.
        self.add_state("passed", torch.zeros(2, checks, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros(2, 1, dtype=torch.long), dist_reduce_fx="sum")

    def _count(self, passed: Tensor, held_out: Tensor) -> None:
        groups = (~held_out, held_out)
        self.passed = self.passed + torch.stack([passed[group].sum(0) for group in groups])
        self.samples = self.samples + torch.stack([group.sum() for group in groups])[:, None]


class CaptionAccuracy(_Shares):
    """Computes for each kind of word the share of samples of which the requested word is true.

    `compute` returns `caption_<kind>`, and `caption_<kind>_held_out` of captions that training never showed; NaN where
    no sample was asked for one.

    kinds: names the words of a caption, in their order.

    >>> import torch
    >>> metric = CaptionAccuracy(["digit", "slant"])
    >>> right = torch.tensor([[True, True], [False, True]])
    >>> metric.update(right, held_out=torch.tensor([False, True]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'caption_digit': 0.5, 'caption_slant': 1.0, 'caption_digit_held_out': 0.0, 'caption_slant_held_out': 1.0}
    """

    def __init__(self, kinds: Sequence[str], **kwargs: Any) -> None:
        super().__init__(len(kinds), **kwargs)
        self.kinds = tuple(kinds)

    def update(self, right: Tensor, held_out: Tensor) -> None:
        """Adds whether each word is true of a sample (batch, kinds), and whether its caption was held out (batch,)."""
        self._count(right, held_out)

    def compute(self) -> dict[str, Tensor]:
        passed, samples = self.passed.double().cpu(), self.samples.double().cpu()
        every, held_out = passed.sum(0) / samples.sum(0), passed[1] / samples[1]
        shares = {f"caption_{kind}": share for kind, share in zip(self.kinds, every, strict=True)}
        return shares | {f"caption_{kind}_held_out": share for kind, share in zip(self.kinds, held_out, strict=True)}


class CaptionAgreement(_Shares):
    """Computes the share of samples that look real and of which the whole requested caption is true.

    `compute` returns `caption_agreement_seen`, of captions that training showed, and `caption_agreement_held_out`, of
    the others; NaN where no sample was asked for one.

    >>> import torch
    >>> metric = CaptionAgreement()
    >>> right = torch.tensor([[True, True], [False, True]])
    >>> metric.update(right, held_out=torch.tensor([False, True]), inside=torch.tensor([True, True]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'caption_agreement_seen': 1.0, 'caption_agreement_held_out': 0.0}
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, **kwargs)

    def update(self, right: Tensor, held_out: Tensor, inside: Tensor) -> None:
        """Adds which words are true (batch, kinds), which captions were held out, which samples look real (batch,)."""
        self._count((right.all(1) & inside)[:, None], held_out)

    def compute(self) -> dict[str, Tensor]:
        seen, held_out = (self.passed.double() / self.samples).cpu()[:, 0]
        return {"caption_agreement_seen": seen, "caption_agreement_held_out": held_out}
