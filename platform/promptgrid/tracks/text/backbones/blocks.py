"""The blocks of a text tower, run as functions of its frozen weights, open to edits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract import Edits
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import taken
from promptgrid.tracks.text.backbones.reading import ACTS, Reader
from promptgrid.tracks.text.backbones.relative import Distances
from promptgrid.tracks.text.edits import Prefix, TextEdits


def encoded(
    read: Reader, embeddings: Tensor, mask: Tensor, segments: Tensor | None, slot: int, at: Tensor | None
) -> Tensor:
    """Last hidden states of (B, L, d) word embeddings: (B, L, d), or (B, n, d) of the (B, n) places ``at`` alone.

    Args:
        read: weights and edits.
        embeddings: word embeddings, prompt slots among them.
        mask: (B, L) bool.
        segments: (B, L) or None for zeros.
        slot: where prompt slots begin.
        at: the tokens wanted.
    """
    shape, edits = read.shape, read.edits
    distances = Distances.of(read, embeddings.shape[1])
    short = at is not None and distances is None and not _drops(edits)
    x = _entered(read, embeddings, segments)
    for layer in range(shape.layers):
        x = _with_slots(x, mask, layer, slot, edits)
        x = _block(read, x, mask, layer, distances, at if short and layer == shape.layers - 1 else None)
    if at is not None and not short:
        x = taken(x, at)
    return read.normed(x, "post", "post") if shape.norm_first else x


def admitted(edits: Edits | None, where: str) -> TextEdits:
    """Edits as a text tower reads them; no edits where None.

    Raises:
        Refused: side paths, tokens apart, or tokens of an image tower.
    """
    if edits is None:
        return TextEdits()
    own = edits if isinstance(edits, TextEdits) else TextEdits(**vars(edits))
    for name in ("sides", "apart"):
        if getattr(own, name):
            raise Refused(f"edits of an image tower: {name}", where=where)
    if own.tokens is not None and own.tokens.place != "text":
        raise Refused("prompt tokens of an image tower", where=where, got=own.tokens.place, expected="text")
    if own.generated is not None and own.tokens is not None:
        raise Refused("prompt slots are either given or generated, not both", where=where)
    return own


def _drops(edits: TextEdits) -> bool:
    """Whether deltas draw dropout, which they draw for all tokens."""
    return edits.seed is not None and any(delta.rate > 0 for delta in edits.deltas.values())


def _entered(read: Reader, embeddings: Tensor, segments: Tensor | None) -> Tensor:
    """What enters the first block: positions, segments and the embedding norm put on word embeddings."""
    shape, x = read.shape, embeddings
    if shape.position_offset is not None:
        first = shape.position_offset
        x = x + read["embeddings.position"][first : first + x.shape[1]]
    if shape.segments:
        table = read["embeddings.segment"]
        x = x + (table[0] if segments is None else table[segments])
    return x if shape.norm_first else read.normed(x, "pre", "pre")


def _with_slots(x: Tensor, mask: Tensor, layer: int, slot: int, edits: TextEdits) -> Tensor:
    """``x`` with the prompt slots overwritten by what the edits say of this layer."""
    if edits.tokens is not None and 0 < layer < len(edits.tokens.layers):
        made = edits.tokens.layers[layer]
        return _overwritten(x, made.expand(x.shape[0], *made.shape[-2:]), slot)
    generated = edits.generated
    if generated is not None and layer in generated.at:
        end = slot + generated.count
        rest = torch.cat([x[:, :slot], x[:, end:]], 1)
        return _overwritten(x, generated.at[layer](rest, torch.cat([mask[:, :slot], mask[:, end:]], 1)), slot)
    return x


def _overwritten(x: Tensor, tokens: Tensor, slot: int) -> Tensor:
    return torch.cat([x[:, :slot], tokens, x[:, slot + tokens.shape[1] :]], 1)


def _block(read: Reader, x: Tensor, mask: Tensor, layer: int, distances: Distances | None, at: Tensor | None) -> Tensor:
    """One block: (B, L, d) to (B, L, d), or to (B, n, d) of the tokens ``at`` (B, n)."""
    name = f"blocks.{layer}"
    given = read.normed(x, f"{name}.first", (layer, "first")) if read.shape.norm_first else x
    asking = given if at is None else taken(given, at)
    gathered = _attention(read, given, asking, mask, layer, distances, at)
    answered = _adapted(read.projected(gathered, layer, "out"), read.edits, layer, "attention")
    x = (x if at is None else taken(x, at)) + answered
    if read.shape.norm_first:
        return x + _mlp(read, read.normed(x, f"{name}.second", (layer, "second")), layer)
    x = read.normed(x, f"{name}.first", (layer, "first"))
    return read.normed(x + _mlp(read, x, layer), f"{name}.second", (layer, "second"))


def _mlp(read: Reader, x: Tensor, layer: int) -> Tensor:
    hidden = ACTS[read.shape.act](read.projected(x, layer, "fc"))
    if read.shape.gated:
        hidden = hidden * read.linear(x, f"blocks.{layer}.gate")
    return _adapted(read.projected(hidden, layer, "proj"), read.edits, layer, "mlp")


def _adapted(x: Tensor, edits: TextEdits, layer: int, sublayer: Literal["attention", "mlp"]) -> Tensor:
    return edits.adapters[layer, sublayer](x) if (layer, sublayer) in edits.adapters else x


def _attention(
    read: Reader, x: Tensor, asking: Tensor, mask: Tensor, layer: int, distances: Distances | None, at: Tensor | None
) -> Tensor:
    """What the tokens ``asking`` (B, n, d) gather from ``x`` (B, L, d): (B, n, heads * head width).

    Two plain products: they have batching rules, and under vmap their arithmetic is one call for all cells.
    """
    query, key, value = (_heads(read, part) for part in read.queries_keys_values(x, asking, layer))
    query = query * read.shape.scale
    scores = query @ key.mT
    if distances is not None:
        scores = scores + distances.scores(read, query, key, layer)
    scores = scores.masked_fill(~_readable(read, mask, at), torch.finfo(scores.dtype).min)
    if layer in read.edits.prefixes:
        rows = _rows(read.edits.prefixes[layer])
        keys, values = (_heads(read, part).expand(x.shape[0], -1, -1, -1) for part in rows)
        scores, value = torch.cat([query @ keys.mT, scores], -1), torch.cat([values, value], -2)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2)


def _readable(read: Reader, mask: Tensor, at: Tensor | None) -> Tensor:
    """(B, 1, 1 or n, L) bool: which tokens a query reads."""
    keys = mask[:, None, None, :]
    if not read.shape.causal:
        return keys
    places = torch.arange(mask.shape[1], device=mask.device)
    rows = places if at is None else at[:, None]
    return keys & (places <= rows.unsqueeze(-1))


def _heads(read: Reader, x: Tensor) -> Tensor:
    """(B, L, heads * width) to (B, heads, L, width)."""
    return x.reshape(*x.shape[:2], read.shape.heads, read.shape.head_width).transpose(1, 2)


def _rows(prefix: Prefix) -> tuple[Tensor, Tensor]:
    """Keys and values with a row axis."""
    keys, values = prefix.keys, prefix.values
    return (keys, values) if keys.dim() == 3 else (keys.unsqueeze(0), values.unsqueeze(0))
