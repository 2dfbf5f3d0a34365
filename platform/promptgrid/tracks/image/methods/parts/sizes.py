"""Sizes that papers give in pixels of an image 224 wide, at the size of another backbone; and images resized."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

PUBLISHED = 224


def scaled(pixels: int, size: int) -> int:
    """``pixels`` of 224 in an image ``size`` wide, at least one; as they are where it is 224 wide."""
    return max(1, round(pixels * size / PUBLISHED))


def resized(images: Tensor, size: int) -> Tensor:
    """(..., from, from) images as (..., size, size), bicubic, antialiased where they shrink; the same at the same size.

    As two products with a matrix, which any number of leading axes and any transform may stand around.
    """
    if images.shape[-1] == size:
        return images
    rows = _resizing(images.shape[-1], size).to(images)
    return rows @ images @ rows.mT


@lru_cache(maxsize=64)
def _resizing(before: int, behind: int) -> Tensor:
    """(behind, before): what a column of pixels becomes, in float64: each unit column, resized."""
    units = torch.eye(before, dtype=torch.float64).view(1, 1, before, before)
    columns = F.interpolate(units, (behind, before), mode="bicubic", antialias=True)
    return columns[0, 0]
