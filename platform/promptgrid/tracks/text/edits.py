"""What a method may do inside a frozen text tower beyond :class:`Edits`, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from promptgrid.contract.edits import Edits

Generator = Callable[[Tensor, Tensor], Tensor]
"""Hidden states (B, L, d) of the text without the prompt slots and its mask (B, L) to prompt tokens (B, k, d)."""


@dataclass(frozen=True)
class Prefix:
    """Keys and values that every query of one layer reads besides the sequence (Li and Liang, 2021; P-tuning v2).

    ``keys`` and ``values`` are (n, width), or (B, n, width) of each row its own; heads lie side by side as they do in
    the tower's own projections. They have no position.
    """

    keys: Tensor
    values: Tensor


@dataclass(frozen=True)
class Generated:
    """Prompt tokens that are made from the hidden states at each layer (IAPT; arXiv:2405.18203).

    Before layer ``l`` the prompt slots are overwritten by ``at[l]`` of the other hidden states. ``count`` slots stand
    where :meth:`TextBackbone.with_prompt` puts them. Layers that are not named keep the slots as they are.
    """

    at: Mapping[int, Generator]
    count: int


@dataclass(frozen=True)
class TextEdits(Edits):
    """All that one method changes in a text tower.

    ``tokens`` must have place ``text``: its slots are those of :meth:`TextBackbone.with_prompt`. ``sides`` and
    ``apart`` of the base class belong to image towers and are refused here.

    Attributes:
        prefixes: keys and values by layer.
        generated: tokens made from hidden states; not together with ``tokens``.
    """

    prefixes: Mapping[int, Prefix] = field(default_factory=dict)
    generated: Generated | None = None
