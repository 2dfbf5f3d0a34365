"""Which tensors a tower of a shape has, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.backbones.tower import DECODER, HEAD, WORD

Sizes = dict[str, tuple[int, ...]]


def sizes(shape: Shape, biased: bool) -> Sizes:
    """The tensors that must be there; ``biased`` where projections have biases."""
    d, joined = shape.width, shape.heads * shape.head_width
    found: Sizes = {WORD: (shape.vocabulary, d)}
    if shape.position_offset is not None:
        found["embeddings.position"] = (shape.most + shape.position_offset, d)
    if shape.segments:
        found["embeddings.segment"] = (shape.segments, d)
    if shape.relative == "bias":
        found["relative.bias"] = (shape.buckets, shape.heads)
    if shape.relative == "disentangled":
        found["relative.table"] = (2 * (shape.buckets or shape.farthest), d)
    found |= _norm("post" if shape.norm_first else "pre", shape)
    projections = {"q": (joined, d), "k": (joined, d), "v": (joined, d), "out": (d, joined), "fc": (shape.inner, d),
                   "proj": (d, shape.inner)}  # fmt: skip
    if shape.gated:
        projections["gate"] = (shape.inner, d)
    for layer in range(shape.layers):
        for part, size in projections.items():
            found[f"blocks.{layer}.{part}.weight"] = size
            if biased:
                found[f"blocks.{layer}.{part}.bias"] = size[:1]
        if shape.relative == "disentangled" and not shape.shared_keys:
            if shape.content_to_position:
                found[f"blocks.{layer}.position_k.weight"] = (joined, d)
            if shape.position_to_content:
                found[f"blocks.{layer}.position_q.weight"] = (joined, d)
        found |= _norm(f"blocks.{layer}.first", shape) | _norm(f"blocks.{layer}.second", shape)
    return found


def fitted(tensors: Mapping[str, Tensor], shape: Shape, where: str) -> dict[str, Tensor]:
    """The tensors of a tower of ``shape``, with its mask head if it is whole, and nothing else.

    Raises:
        Refused: one is missing, is of another size, or holds NaN or infinity.
    """
    wanted = sizes(shape, biased=shape.relative != "bias")
    d, vocabulary = shape.width, shape.vocabulary
    head: Sizes = dict(zip(HEAD, [(d, d), (d,), (d,), (d,), (vocabulary,)], strict=True))
    if all(name in tensors for name in head):
        wanted |= head
        if DECODER in tensors and not torch.equal(tensors[DECODER], tensors[WORD]):
            wanted[DECODER] = (vocabulary, d)
    if missing := [name for name in wanted if name not in tensors]:
        raise Refused(f"{len(missing)} tensors of the model are missing", where=where, got=missing[0])
    optional = [name for name in tensors if name.startswith(("relative.norm", "blocks")) and name not in wanted]
    found = {name: tensors[name] for name in [*wanted, *(name for name in optional if _extra(name))]}
    for name, size in wanted.items():
        if tuple(found[name].shape) != size:
            raise Refused(f"a tensor does not fit config.json: {name}", where=where, got=tuple(found[name].shape),
                          expected=str(size))  # fmt: skip
    if broken := next((name for name, value in found.items() if not bool(torch.isfinite(value).all())), None):
        raise Refused(f"the weights hold NaN or infinity in {broken}", where=where)
    return found


def _norm(name: str, shape: Shape) -> Sizes:
    found: Sizes = {f"{name}.weight": (shape.width,)}
    return found | ({f"{name}.bias": (shape.width,)} if shape.norm == "layer" else {})


def _extra(name: str) -> bool:
    """What only some models of a kind have: the norm of DeBERTa's distances, biases of their projections."""
    return name.startswith("relative.norm") or name.endswith((".position_k.bias", ".position_q.bias"))
