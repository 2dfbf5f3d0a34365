"""The blocks of a text tower, run as functions of its frozen weights, open to edits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract import Edits
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import taken
from promptgrid.tracks.text.backbones.reading import ACTS, Reader
from promptgrid.tracks.text.backbones.relative import Distances
from promptgrid.tracks.text.backbones.tokens.padding import Rows
from promptgrid.tracks.text.edits import Prefix, TextEdits


def encoded(
    read: Reader, embeddings: Tensor, mask: Tensor, segments: Tensor | None, slot: int, at: Tensor | None, rows: Rows
) -> Tensor:
    """Last hidden states of (B, L, d) word embeddings: (B, L, d), or (B, n, d) of the (B, n) places ``at`` alone.

    Args:
        read: weights and edits.
        embeddings: word embeddings, prompt slots among them.
        mask: (B, L) bool.
        segments: (B, L) or None for zeros.
        slot: where prompt slots begin.
        at: the tokens wanted.
        rows: where tokens stand. Deltas that draw dropout draw it for padding too, as a plain program does.
    """
    shape, edits = read.shape, read.edits
    rows = replace(rows, places=None) if _drops(edits) else rows
    distances = Distances.of(read, embeddings.shape[1])
    short = at is not None and distances is None and not _drops(edits)
    given = Given(mask, rows, distances)
    x = rows.closed(_entered(read, embeddings, segments))
    for layer in range(shape.layers):
        x = _with_slots(x, given, layer, slot, edits)
        x = _block(read, x, given, layer, at if short and layer == shape.layers - 1 else None)
    x = read.normed(x, "post", "post") if shape.norm_first else x
    if short:
        return x
    return rows.opened(x) if at is None else taken(rows.opened(x), at)


@dataclass(frozen=True)
class Given:
    """What is the same for all blocks: the mask (B, L), where tokens stand, and what is known of distances."""

    mask: Tensor
    rows: Rows
    distances: Distances | None


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


def _with_slots(x: Tensor, given: Given, layer: int, slot: int, edits: TextEdits) -> Tensor:
    """``x`` with the prompt slots overwritten by what the edits say of this layer."""
    rows, mask, generated = given.rows, given.mask, edits.generated
    if edits.tokens is not None and 0 < layer < len(edits.tokens.layers):
        made = edits.tokens.layers[layer]
        return rows.closed(_overwritten(rows.opened(x), made.expand(rows.batch, *made.shape[-2:]), slot))
    if generated is not None and layer in generated.at:
        end, whole = slot + generated.count, rows.opened(x)
        rest = torch.cat([whole[:, :slot], whole[:, end:]], 1)
        made = generated.at[layer](rest, torch.cat([mask[:, :slot], mask[:, end:]], 1))
        return rows.closed(_overwritten(whole, made, slot))
    return x


def _overwritten(x: Tensor, tokens: Tensor, slot: int) -> Tensor:
    return torch.cat([x[:, :slot], tokens, x[:, slot + tokens.shape[1] :]], 1)


def _block(read: Reader, x: Tensor, given: Given, layer: int, at: Tensor | None) -> Tensor:
    """One block: tokens to tokens, or to (B, n, d) of those ``at`` (B, n) alone.

    ``x`` is (B, L, d), or (1, T, d) where padding is left out.
    """
    name, rows = f"blocks.{layer}", given.rows
    seen = read.normed(x, f"{name}.first", (layer, "first")) if read.shape.norm_first else x
    asking = seen if at is None else taken(rows.opened(seen), at)
    gathered = _attention(read, seen, asking, given, layer, at)
    answered = _adapted(read.projected(gathered, layer, "out"), read.edits, layer, "attention")
    x = (x if at is None else taken(rows.opened(x), at)) + answered
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


def _attention(read: Reader, x: Tensor, asking: Tensor, given: Given, layer: int, at: Tensor | None) -> Tensor:
    """What the tokens ``asking`` gather from ``x``: as many, heads * head width each.

    ``asking`` is ``x`` itself, or (B, n, d) of the tokens ``at``. Two plain products: they have batching rules, and
    under vmap their arithmetic is one call for all cells.
    """
    rows = given.rows
    asked, read_from, told = read.queries_keys_values(x, asking, layer)
    query = _heads(read, rows.opened(asked) if at is None else asked) * read.shape.scale
    key, value = _heads(read, rows.opened(read_from)), _heads(read, rows.opened(told))
    scores = query @ key.mT
    if given.distances is not None:
        scores = scores + given.distances.scores(read, query, key, layer)
    scores = scores.masked_fill(~_readable(read, given.mask, at), torch.finfo(scores.dtype).min)
    if layer in read.edits.prefixes:
        beside = _rows(read.edits.prefixes[layer])
        keys, values = (_heads(read, part).expand(key.shape[0], -1, -1, -1) for part in beside)
        scores, value = torch.cat([query @ keys.mT, scores], -1), torch.cat([values, value], -2)
    gathered = (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2)
    return rows.closed(gathered) if at is None else gathered


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
