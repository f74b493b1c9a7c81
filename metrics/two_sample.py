"""Defines what the torchmetrics metrics of this package share: two sides, the extractor, and rows that are kept.

Every metric here is a pure function first. The class beside it is for training loops: it collects batches, and computes
the function of all of them.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric  # noqa: TID253 -- metrics are imported at the first evaluation

from metrics.base import Unmeasurable


class _Function(nn.Module):
    """Makes a module of a callable, because torchmetrics' FeatureShare replaces `forward`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def as_module(function: Callable[..., Any] | None) -> nn.Module:
    """Returns a callable as a module; None as one that passes on its input."""
    if function is None:
        return nn.Identity()
    return function if isinstance(function, nn.Module) else _Function(function)


def figure(value: float) -> Tensor:
    """Returns a value as `compute` does: a float64 scalar on the CPU."""
    return torch.tensor(value, dtype=torch.float64)


class TwoSampleMetric(Metric):
    """Compares samples with real examples.

    `update(..., real=True)` adds a batch of real examples, and `real=False` one of samples, as in torchmetrics' FID.
    `compute()` returns a float64 scalar, or a dict of several by name, and raises Unmeasurable, with the reason, where
    a side has too few rows or they are too much alike. `forward` only updates: one batch has no value. States are rows,
    which processes and `merge_state` join; each process must have updated both sides.

    extractor: any callable from images to features (batch, features), moved by `.to` if it is a module; None where
    `update` is given features. reset_real_features: whether `reset` forgets the real side, too.

    A subclass names its `rows`, adds some with `add_rows` at each update, and computes from `get_rows` of the samples
    and `derive_real`. What `derive` makes of the real side is kept until that side changes.
    """

    # What each side keeps: tensors with a row for each example, or for each update.
    rows: ClassVar[tuple[str, ...]] = ("features",)
    is_differentiable = False
    full_state_update = False
    higher_is_better = False
    # The attribute that torchmetrics' FeatureShare shares.
    feature_network = "extractor"

    def __init__(
        self, extractor: Callable[..., Any] | None = None, *, reset_real_features: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.extractor = as_module(extractor)
        self.reset_real_features = reset_real_features
        self._derived: tuple[list[Tensor], Any] = ([], None)
        for name in self.rows:
            self.add_state(f"real_{name}", [], dist_reduce_fx="cat")
            self.add_state(f"fake_{name}", [], dist_reduce_fx="cat")

    def update(self, samples: Tensor, real: bool) -> None:
        """Adds a batch of images or, without an extractor, of features (batch, features)."""
        self.add_rows(real, self.extractor(samples))

    def forward(self, *inputs: Any, **named: Any) -> None:
        """Updates."""
        self.update(*inputs, **named)

    def reset(self) -> None:
        """Forgets the samples and, unless reset_real_features is False, the real side."""
        kept = {} if self.reset_real_features else {name: getattr(self, name) for name in self._names(True)}
        for name in kept:
            setattr(self, name, [])
        super().reset()
        for name, rows in kept.items():
            setattr(self, name, rows)

    def derive(self, real: tuple[Tensor, ...]) -> Any:
        """Returns what is computed of the real side's rows alone; called anew only after they have changed."""
        return real

    def derive_real(self) -> Any:
        """Returns `derive` of the real side, computed once. Raises Unmeasurable as `get_rows`."""
        parts = [part for name in self._names(True) for part in _parts(getattr(self, name))]
        known, derived = self._derived
        if not known or len(known) != len(parts) or any(a is not b for a, b in zip(known, parts, strict=True)):
            # Compared as objects: nothing changes a row in place.
            derived = self.derive(self.get_rows(real=True))
            self._derived = (parts, derived)
        return derived

    def _names(self, real: bool) -> list[str]:
        return [f"{'real' if real else 'fake'}_{name}" for name in self.rows]

    def add_rows(self, real: bool, *rows: Tensor, merge: Callable[..., Sequence[Tensor]] | None = None) -> None:
        """Adds rows to a side, in the order of `rows`; merge: makes of all rows fewer, to keep instead."""
        states = [[*_parts(getattr(self, name)), added] for name, added in zip(self._names(real), rows, strict=True)]
        if merge is not None:
            states = [[merged] for merged in merge(*map(torch.cat, states))]
        for name, parts in zip(self._names(real), states, strict=True):
            # A new list, so that a copy of the state stays as it was.
            setattr(self, name, parts)

    def get_rows(self, real: bool) -> tuple[Tensor, ...]:
        """Returns all rows of a side, in the order of `rows`. Raises Unmeasurable where there are none."""
        every = [_parts(getattr(self, name)) for name in self._names(real)]
        if not all(every):
            raise Unmeasurable("there is no real example" if real else "there is no sample")
        return tuple(parts[0] if len(parts) == 1 else torch.cat(parts) for parts in every)


def _parts(state: list[Tensor] | Tensor) -> list[Tensor]:
    """Returns the tensors of a state, which is a list, or after a synchronisation one tensor."""
    return [state] if isinstance(state, Tensor) else state
