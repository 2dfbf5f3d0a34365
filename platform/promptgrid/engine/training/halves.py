"""Half precision inside the frozen towers.

Autocast rounds a weight that needs no gradient at every product anew. Here it is rounded once, and the copy is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_COPIES: MutableMapping[Tensor, dict[torch.dtype, tuple[int, Tensor]]] = WeakTensorKeyDictionary()
"""The copies of each weight, for as long as it lives itself, and the version of it that they were made of."""
_TOWERS: ContextVar[torch.dtype | None] = ContextVar("towers", default=None)
Verb = TypeVar("Verb", bound=Callable[..., Tensor])


@contextmanager
def towers_in(dtype: torch.dtype) -> Iterator[None]:
    """Towers compute in ``dtype``; what is made of their features, logits and losses above all, stays exact."""
    before = _TOWERS.set(dtype)
    try:
        yield
    finally:
        _TOWERS.reset(before)


def in_tower(verb: Verb) -> Verb:
    """``verb``, which asks a tower of a backbone, with autocast inside where towers compute in half precision."""

    @wraps(verb)
    def asks(self: Any, *given: Any, **named: Any) -> Tensor:
        dtype = _TOWERS.get()
        if dtype is None:
            return verb(self, *given, **named)
        with torch.autocast(self.device.type, dtype):
            return verb(self, *given, **named).float()

    return cast(Verb, asks)


def asked(device: torch.device) -> torch.dtype | None:
    """The half precision that products are asked for on ``device``: None outside of autocast."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def frozen(weight: Tensor) -> Tensor:
    """``weight``, which no step changes, as products read it: under autocast its copy in half precision.

    One that is learned stays as it is, for autocast to round: a copy would have no gradient.
    """
    dtype = asked(weight.device)
    if dtype is None or weight.dtype != torch.float32 or weight.requires_grad:  # autocast leaves float64 alone
        return weight
    copies = _COPIES.setdefault(weight, {})
    if dtype not in copies or copies[dtype][0] != weight._version:
        copies[dtype] = weight._version, weight.detach().to(dtype)
    return copies[dtype][1]


def rounded(x: Tensor) -> Tensor:
    """``x``, which several products read, rounded once for all of them: as it is outside of autocast."""
    dtype = asked(x.device)
    return x if dtype is None or x.dtype != torch.float32 else x.to(dtype)
