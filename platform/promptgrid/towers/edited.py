"""Frozen norms and projections with what a method's edits say about them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from promptgrid.contract.clip import Edits
from promptgrid.contract.edits import NormPlace, Part
from promptgrid.engine.training import halves

Frozen = tuple[Tensor, Tensor]
"""Weight (outputs, inputs) and bias (outputs,) of a projection."""


def normed(norm: nn.Module, x: Tensor, place: NormPlace, edits: Edits | None) -> Tensor:
    """``x`` (..., width) behind the LayerNorm that stands at ``place``."""
    if edits is None or place not in edits.norms:
        frozen: Tensor = norm(x)
        return frozen
    if not isinstance(norm, nn.LayerNorm):
        raise TypeError(f"there is no LayerNorm at {place!r} to be changed")
    weight, bias = edits.norms[place].of(norm.weight, norm.bias)
    return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps).to(x.dtype)


def projected(x: Tensor, frozen: Frozen, place: tuple[int, Part], edits: Edits | None) -> Tensor:
    """``x`` (..., inputs) behind the projection that stands at ``place``: (..., outputs)."""
    y = weighted(x, frozen, place, edits)
    if edits is None:
        return y
    if place in edits.deltas:
        y = y + edits.deltas[place](x, edits.seed)
    return y + edits.biases[place] if place in edits.biases else y


def weighted(x: Tensor, frozen: Frozen, place: tuple[int, Part], edits: Edits | None) -> Tensor:
    """The same without deltas and biases."""
    weight, bias = frozen
    if edits is None or place not in edits.weights:
        return F.linear(x, halves.frozen(weight), halves.frozen(bias))
    rows = x.flatten(0, -2) @ (weight * edits.weights[place]).mT  # flat: under vmap one product for each cell
    return rows.view(*x.shape[:-1], -1) + bias
