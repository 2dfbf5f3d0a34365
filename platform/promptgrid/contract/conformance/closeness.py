"""When two answers are one."""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.contract.method import Params

TOLERANCE = 1e-5


def assert_close(found: Tensor, wanted: Tensor, message: str) -> None:
    """Within ``TOLERANCE`` of the largest number of ``wanted``, at least 1."""
    gap = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1.0))
    assert gap <= TOLERANCE, f"{message} (by {gap:.2g})"


def same_bits(one: Params, other: Params) -> bool:
    """Whether two sets of parameters are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
