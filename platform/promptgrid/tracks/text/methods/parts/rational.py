"""A learned activation: a quotient of polynomials."""

from __future__ import annotations

import torch
from torch import Tensor

GELU_TOP = (-0.001359, 0.5, 0.408385, 0.10138, 0.004338, -0.000834)
GELU_BOTTOM = (0.000002, -0.202763, 0.000001, 0.001667)
"""Coefficients, by rising power, whose quotient is near GELU on -4 .. 4: least squares; off by .0025 at most."""


def gelu_start() -> Tensor:
    """(10,) coefficients: a_0 .. a_5, b_1 .. b_4."""
    return torch.tensor([*GELU_TOP, *GELU_BOTTOM])


def rational(x: Tensor, coefficients: Tensor) -> Tensor:
    """(a_0 + a_1 x + .. + a_5 x⁵) / (1 + |b_1 x + .. + b_4 x⁴|), number by number (Molina et al., ICLR 2020)."""
    tops = len(GELU_TOP)
    top = torch.zeros_like(x)
    for power in reversed(range(tops)):
        top = top * x + coefficients[power]
    bottom = torch.zeros_like(x)
    for power in reversed(range(tops, len(coefficients))):
        bottom = (bottom + coefficients[power]) * x
    return top / (1.0 + bottom.abs())
