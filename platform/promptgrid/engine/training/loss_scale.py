"""What fp16 needs: losses are scaled so that small gradients do not vanish, for each cell by a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract.method import Params

START, LEAST = 2.0**16, 2.0**-16
GROWTH, BACKOFF = 2.0, 0.5
INTERVAL = 2000
"""Sound steps in a row after which a scale grows. Start, factors and interval are those of ``torch.amp.GradScaler``."""


@dataclass
class LossScale:
    """The scales of the cells (A,), and for how many steps in a row each has been sound; without scales, nothing.

    Where torch's scaler leaves a step out that overflows, here it is computed again at a smaller scale: few-shot
    recipes have too few steps to lose the first of them.
    """

    scales: Tensor | None = None
    sound_steps: Tensor | None = None
    interval: int = INTERVAL

    @classmethod
    def of(cls, cells: int, device: torch.device) -> LossScale:
        """Where every cell starts."""
        return cls(torch.full((cells,), START, device=device), torch.zeros(cells, dtype=torch.int64, device=device))

    def keep(self, cells: int) -> None:
        """Forget all but the first ``cells`` cells."""
        if self.scales is not None and self.sound_steps is not None:
            self.scales, self.sound_steps = self.scales[:cells], self.sound_steps[:cells]

    def fits(self, grads: Params) -> bool:
        """Whether the gradients (A, ...) can be descended; if not, scales have fallen, and they are to be taken anew.

        Those of a cell that are not finite at the least scale either are let pass: it has diverged.
        """
        if self.scales is None or self.sound_steps is None:
            return True
        sound = torch.stack([grad.isfinite().reshape(len(grad), -1).all(1) for grad in grads.values()]).all(0)
        falls = ~sound & (self.scales > LEAST)
        if bool(falls.any()):
            self.scales = torch.where(falls, self.scales * BACKOFF, self.scales)
            self.sound_steps = torch.where(falls, 0, self.sound_steps)
            return False
        steps = torch.where(sound, self.sound_steps + 1, 0)
        grown = steps == self.interval
        self.scales = torch.where(grown, self.scales * GROWTH, self.scales)
        self.sound_steps = torch.where(grown, 0, steps)
        return True
