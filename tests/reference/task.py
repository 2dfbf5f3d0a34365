"""What a reference implementation is given: one few-shot task as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.clip import Clip
from torch import Tensor

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Pictures:
    """uint8 pixels (N, 3, s, s) and class positions (N,)."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Plain:
    """One task. ``batches`` lists, epoch by epoch and step by step, (positions in ``train``, dropout seed)."""

    clip: Clip
    classes: tuple[str, ...]
    template: str
    train: Pictures
    val: Pictures
    batches: list[list[tuple[Tensor, int]]]
