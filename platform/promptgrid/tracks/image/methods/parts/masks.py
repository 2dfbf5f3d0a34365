"""Masks on the weights of a tower's blocks, learned through real numbers that are as many as the weights."""

from __future__ import annotations

from torch import Tensor

from promptgrid.contract.clip import Params
from promptgrid.contract.edits import Part

QKV: tuple[Part, ...] = ("q", "k", "v")


def mask_shapes(masked: str, width: int) -> dict[str, tuple[int, int]]:
    """Shapes of the real numbers of a block: of its ``attention``, of its ``mlp``, or of ``all``."""
    attention = {"qkv": (3 * width, width), "out": (width, width)}
    mlp = {"fc": (4 * width, width), "proj": (width, 4 * width)}
    return {"attention": attention, "mlp": mlp, "all": attention | mlp}[masked]


def masks(params: Params, threshold: float) -> dict[tuple[int, Part], Tensor]:
    """By block and projection 1 where the real number is above ``threshold``, else 0, with gradient 1 everywhere.

    Args:
        params: (layers, outputs, inputs) real numbers, by the names of :func:`mask_shapes`.
        threshold: in their unit.
    """
    found: dict[tuple[int, Part], Tensor] = {}
    for name, real in params.items():
        for layer, kept in enumerate((real > threshold).to(real) + (real - real.detach())):
            own = zip(QKV, kept.chunk(3), strict=True) if name == "qkv" else [(name, kept)]
            found |= {(layer, part): mask for part, mask in own}  # type: ignore[misc]
    return found
