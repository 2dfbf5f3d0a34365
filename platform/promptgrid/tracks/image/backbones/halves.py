"""Frozen weights in the precision of a step.

Autocast rounds a weight that needs no gradient at every product anew. Here it is rounded once, and the copy is kept.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_COPIES: MutableMapping[Tensor, dict[torch.dtype, tuple[int, Tensor]]] = WeakTensorKeyDictionary()
"""The copies of each weight, for as long as it lives itself, and the version of it that they were made of."""


def asked(device: torch.device) -> torch.dtype | None:
    """The half precision that products are asked for on ``device``: None outside of autocast."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def frozen(weight: Tensor) -> Tensor:
    """``weight``, which no step changes, as products read it: under autocast its copy in half precision."""
    dtype = asked(weight.device)
    if dtype is None or weight.dtype != torch.float32:  # autocast leaves float64 alone
        return weight
    copies = _COPIES.setdefault(weight, {})
    if dtype not in copies or copies[dtype][0] != weight._version:
        copies[dtype] = weight._version, weight.detach().to(dtype)
    return copies[dtype][1]


def rounded(x: Tensor) -> Tensor:
    """``x``, which several products read, rounded once for all of them: as it is outside of autocast."""
    dtype = asked(x.device)
    return x if dtype is None or x.dtype != torch.float32 else x.to(dtype)
