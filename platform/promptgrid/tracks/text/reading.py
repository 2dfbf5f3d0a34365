"""From the columns of a batch to what a text tower reads, with learned tokens in front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from promptgrid.contract.edits import Edits
from promptgrid.contract.task import Batch
from promptgrid.tracks.text.backbone import TextBackbone

Weights = Mapping[str, Tensor]


class Text(NamedTuple):
    """Ids (B, L), mask (B, L), segments (B, L) or None, and where the mask token stands, (B,) or None."""

    ids: Tensor
    mask: Tensor
    segments: Tensor | None
    at: Tensor | None


def bare(batch: Batch) -> Text:
    """The texts of a batch as they are."""
    return Text(batch["tokens"], batch["attention"], batch.columns.get("segments"), None)


def templated(batch: Batch) -> Text:
    """The texts of a batch in the task's template."""
    return Text(batch["templated"], batch["templated_attention"], None, batch["mask_at"])


@dataclass(frozen=True)
class Sequence:
    """What enters the first block.

    Attributes:
        embeddings: (B, L, d).
        mask: (B, L) False at padding.
        own: (B, L) False at padding and at learned tokens: what is pooled.
        segments: (B, L), or None.
        at: (B,) where the mask token stands, or None.
    """

    embeddings: Tensor
    mask: Tensor
    own: Tensor
    segments: Tensor | None
    at: Tensor | None


def sequence(
    backbone: TextBackbone,
    text: Text,
    prompt: Tensor | None = None,
    *,
    embeddings: Tensor | None = None,
    weights: Weights | None = None,
) -> Sequence:
    """``text`` with the learned tokens ``prompt``, (n, d) or (B, n, d), in the tower's prompt slots.

    Args:
        backbone: the tower.
        text: B texts.
        prompt: learned tokens; None enters none.
        embeddings: (B, L, d) in the place of the tower's word embeddings.
        weights: in the place of frozen ones.
    """
    words = backbone.embed(text.ids, weights) if embeddings is None else embeddings
    if prompt is None:
        return Sequence(words, text.mask, text.mask, text.segments, text.at)
    wide, mask = backbone.with_prompt(words, text.mask, prompt)
    count, first = prompt.shape[-2], backbone.first_slot
    return Sequence(
        wide,
        mask,
        _opened(text.mask, first, count),
        None if text.segments is None else _opened(text.segments, first, count),
        None if text.at is None else text.at + count,
    )


def pooled(backbone: TextBackbone, given: Sequence, edits: Edits | None, weights: Weights | None = None) -> Tensor:
    """(B, d) the tower's own pooling over the text's tokens; what stands at learned tokens is left out."""
    hidden = backbone.encode(given.embeddings, given.mask, edits, segments=given.segments, weights=weights)
    return backbone.pool(hidden, given.own)


def at_mask(backbone: TextBackbone, given: Sequence, edits: Edits | None, weights: Weights | None = None) -> Tensor:
    """(B, d) the last hidden state at the mask."""
    if given.at is None:
        raise ValueError("these texts are in no template: they have no mask")
    where = given.at.unsqueeze(-1)
    found = backbone.encode_at(given.embeddings, given.mask, where, edits, segments=given.segments, weights=weights)
    return found[:, 0]


def written(embeddings: Tensor, at: Tensor, vectors: Tensor) -> Tensor:
    """(B, L, d) with ``vectors``, (n, d), (1, d) or (B, n, d), in places ``at`` (B, n)."""
    where = at.unsqueeze(-1).expand(*at.shape, embeddings.shape[-1])
    return embeddings.scatter(1, where, vectors.to(embeddings.dtype).expand_as(where))


def _opened(row: Tensor, first: int, count: int) -> Tensor:
    """(B, L) with ``count`` zeros before place ``first``."""
    return torch.cat([row[:, :first], row.new_zeros(row.shape[0], count), row[:, first:]], 1)
