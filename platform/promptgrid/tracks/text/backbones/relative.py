"""How scores of attention depend on the distance between two tokens: T5's bias and DeBERTa's disentangled parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Part
from promptgrid.tracks.text.backbones.reading import Reader
from promptgrid.tracks.text.backbones.shape import Shape


@dataclass(frozen=True)
class Distances:
    """What all layers know of distances in sequences of one length.

    Attributes:
        bias: (heads, L, L) that is added to the scores (T5).
        table: (2 * span, d) embeddings of distances (DeBERTa).
        rows: (L, L) int64, the row of ``table`` for the distance of a query from a key.
    """

    bias: Tensor | None = None
    table: Tensor | None = None
    rows: Tensor | None = None

    @classmethod
    def of(cls, read: Reader, length: int) -> Distances | None:
        """For sequences of ``length`` tokens; None for a tower that knows no distances."""
        shape = read.shape
        if shape.relative == "none":
            return None
        places = torch.arange(length, device=read["embeddings.word"].device)
        ahead = places - places.unsqueeze(-1)  # (query, key): how far the key stands behind the query
        if shape.relative == "bias":
            return cls(bias=read["relative.bias"][_bucket(ahead, shape)].permute(2, 0, 1))
        table = read["relative.table"]
        if read.get("relative.norm.weight") is not None:
            table = F.layer_norm(
                table, (shape.width,), read["relative.norm.weight"], read["relative.norm.bias"], shape.eps
            )
        span = table.shape[0] // 2
        back = -ahead if not shape.buckets else _log_bucket(-ahead, shape)
        return cls(table=table, rows=(back + span).clamp(0, 2 * span - 1))

    def scores(self, read: Reader, query: Tensor, key: Tensor, layer: int) -> Tensor:
        """(B or none, heads, L, L) to add to the scores of scaled queries and keys (B, heads, L, width)."""
        if self.bias is not None:
            return self.bias
        assert self.table is not None
        assert self.rows is not None
        shape, rows = read.shape, self.rows
        total = query.new_zeros(())
        if shape.content_to_position:
            far = query @ _projected(read, self.table, layer, "k").mT  # (B, heads, L, 2 span), by a query's distances
            total = total + far.gather(-1, rows.expand(*far.shape[:-1], rows.shape[-1]))
        if shape.position_to_content:
            asked = _projected(read, self.table, layer, "q") * shape.scale
            near = key @ asked.mT  # (B, heads, L, 2 span), by a key
            total = total + near.gather(-1, rows.mT.expand(*near.shape[:-1], rows.shape[0])).mT
        return total


def _projected(read: Reader, table: Tensor, layer: int, part: Part) -> Tensor:
    """The distances' keys or queries by head: (heads, 2 span, width)."""
    shared = read.shape.shared_keys
    rows = read.projected(table, layer, part) if shared else read.linear(table, f"blocks.{layer}.position_{part}")
    return rows.view(-1, read.shape.heads, read.shape.head_width).transpose(0, 1)


def _bucket(ahead: Tensor, shape: Shape) -> Tensor:
    """T5's buckets (Raffel et al., 2020): half for each direction; exact ones near by, then by the logarithm."""
    half = shape.buckets // 2
    exact, far = half // 2, ahead.abs()
    grown = torch.log(far.clamp(min=1) / exact) / math.log(shape.farthest / exact) * (half - exact)
    near = torch.where(far < exact, far, (exact + grown.to(far)).clamp(max=half - 1))
    return near + (ahead > 0) * half


def _log_bucket(back: Tensor, shape: Shape) -> Tensor:
    """DeBERTa v2's buckets (He et al., 2021): exact up to half of them, then by the logarithm; signed."""
    middle = shape.buckets // 2
    far = back.abs().clamp(min=middle - 1)
    grown = torch.ceil(torch.log(far / middle) / math.log((shape.farthest - 1) / middle) * (middle - 1)) + middle
    return torch.where(back.abs() <= middle, back, grown.to(back) * back.sign())
