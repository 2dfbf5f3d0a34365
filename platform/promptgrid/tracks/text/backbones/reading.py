"""Frozen weights as a program reads them: with what stands in for them, and with what edits say about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import NormPlace, NormShift, Part
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.edits import TextEdits

ACTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}
PACKED: tuple[Part, ...] = ("q", "k", "v")


@dataclass(frozen=True)
class Reader:
    """The weights of one call.

    Attributes:
        shape: of the tower.
        frozen: all tensors by name.
        packed: (3 * inner heads, d) of each layer: queries, keys and values under each other, and their biases.
        own: tensors in place of frozen ones.
        edits: what a method changes.
    """

    shape: Shape
    frozen: Mapping[str, Tensor]
    packed: Mapping[int, tuple[Tensor, Tensor | None]]
    own: Mapping[str, Tensor] = field(default_factory=dict)
    edits: TextEdits = field(default_factory=TextEdits)

    def __getitem__(self, name: str) -> Tensor:
        return self.own[name] if name in self.own else self.frozen[name]

    def get(self, name: str) -> Tensor | None:
        """The same, None where the tower has no such part."""
        return self.own.get(name, self.frozen.get(name))

    def linear(self, x: Tensor, name: str, factor: Tensor | None = None) -> Tensor:
        """(..., inputs) behind the projection ``name``: (..., outputs); its weight times ``factor``, if any."""
        weight, bias = self[f"{name}.weight"], self.get(f"{name}.bias")
        if factor is None and f"{name}.weight" not in self.own:
            return F.linear(x, weight, bias)
        changed = weight if factor is None else weight * factor
        rows = x.flatten(0, -2) @ changed.mT  # flat: under vmap one product for each cell
        grown = rows.reshape(*x.shape[:-1], rows.shape[-1])
        return grown if bias is None else grown + bias

    def projected(self, x: Tensor, layer: int, part: Part) -> Tensor:
        """``x`` (..., inputs) behind a projection of a block and its edits: (..., outputs)."""
        return self._edited(self.linear(x, f"blocks.{layer}.{part}", self._factor(layer, part)), x, layer, part)

    def queries_keys_values(self, x: Tensor, asking: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of tokens (..., L, d); queries of ``asking`` alone, which is ``x`` itself or some of its tokens."""
        if any(self._changed(layer, part) for part in PACKED):
            return (
                self.projected(asking, layer, "q"),
                self.projected(x, layer, "k"),
                self.projected(x, layer, "v"),
            )
        weight, bias = self.packed[layer]
        if asking is x:
            query, key, value = F.linear(x, weight, bias).chunk(3, dim=-1)
        else:
            one = weight.shape[0] // 3
            first, rest = (None, None) if bias is None else (bias[:one], bias[one:])
            query = F.linear(asking, weight[:one], first)
            key, value = F.linear(x, weight[one:], rest).chunk(2, dim=-1)
        return (
            self._edited(query, asking, layer, "q"),
            self._edited(key, x, layer, "k"),
            self._edited(value, x, layer, "v"),
        )

    def normed(self, x: Tensor, name: str, place: NormPlace) -> Tensor:
        """``x`` (..., d) behind the norm ``name``."""
        shape, shift = self.shape, self.edits.norms.get(place)
        weight, bias = self[f"{name}.weight"], self.get(f"{name}.bias")
        if shift is not None:
            weight, bias = _shifted(weight, bias, shift)
        if shape.norm == "rms":
            normal = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + shape.eps) * weight
            return normal if bias is None else normal + bias
        return F.layer_norm(x, (shape.width,), weight, bias, shape.eps)

    def _factor(self, layer: int, part: Part) -> Tensor | None:
        return self.edits.weights.get((layer, part))

    def _changed(self, layer: int, part: Part) -> bool:
        name = f"blocks.{layer}.{part}"
        return (layer, part) in self.edits.weights or f"{name}.weight" in self.own or f"{name}.bias" in self.own

    def _edited(self, y: Tensor, x: Tensor, layer: int, part: Part) -> Tensor:
        edits, place = self.edits, (layer, part)
        if place in edits.deltas:
            y = y + edits.deltas[place](x, edits.seed)
        return y + edits.biases[place] if place in edits.biases else y


def _shifted(weight: Tensor, bias: Tensor | None, shift: NormShift) -> tuple[Tensor, Tensor | None]:
    if bias is not None:
        return shift.of(weight, bias)
    return weight if shift.weight is None else weight + shift.weight, shift.bias
