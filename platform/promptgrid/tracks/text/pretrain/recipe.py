"""Everything about the masked language model's training that changes its result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How the tower is trained on.

    Attributes:
        steps: in all; the learning rate follows the share of them that is over.
        tokens: in a step, special tokens included.
        lengths: of rows; each is filled with texts of one source until it is full, so that nothing is padding.
        masked: share of a row's tokens that is to be told, all of them replaced by the mask token.
        rate: of AdamW for the tower.
        head_rate: of AdamW for the new head.
        warm: share of the steps over which both rise.
        clip: of the gradient's norm.
        seed: of masks and order.
    """

    steps: int = 8000
    tokens: int = 512
    lengths: tuple[int, ...] = (24, 40, 64)
    masked: float = 0.25
    rate: float = 4e-4
    head_rate: float = 1e-3
    warm: float = 0.03
    clip: float = 1.0
    seed: int = 20261127

    def slope(self, done: float) -> float:
        """The factor of both rates when this share of the steps is over: a rise, then straight down to nothing."""
        return max(0.0, min(done / self.warm, (1.0 - done) / (1.0 - self.warm))) + 1e-3
