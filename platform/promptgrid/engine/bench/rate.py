"""The matmul rate of this machine, against which a floor of arithmetic is told."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LEAST, REPEATS = 2, 12
ENOUGH = 1.5
"""Seconds behind which the matmul rate is not measured again: wide products take long, and spread less."""
ROWS = 8192


def matmul_rate(width: int, like: Tensor, clock: Callable[[], float]) -> float:
    """Measured operations a second of (8192, width) @ (width, 4 width), the largest product of a block."""
    left = like.new_ones(ROWS, width)
    right = like.new_ones(4 * width, width)
    best, start, repeats = float("inf"), clock(), 0
    while repeats < LEAST or (repeats < REPEATS and clock() - start < ENOUGH):
        began, repeats = clock(), repeats + 1
        for _ in range(4):
            torch.nn.functional.linear(left, right)
        best = min(best, (clock() - began) / 4)
    return 2.0 * ROWS * width * 4 * width / best
