"""A tower to try methods on: a small BERT with fixed random weights and a vocabulary of words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from promptgrid.contract.randomness import stream
from promptgrid.tracks.text.backbones.layout import Sizes, sizes
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.backbones.tokens.tokenizing import Tokenizer
from promptgrid.tracks.text.backbones.tower import HEAD, Transformer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, LAYERS, HEADS, INNER, MOST = 24, 2, 3, 48, 96


def practice_tower(words: Sequence[str]) -> Transformer:
    """A BERT of two layers that knows ``words``, reads pairs and fills masks.

    Its answers mean nothing: it tells whether a method keeps the contract, never how good it is.
    """
    shape = Shape(
        width=WIDTH, layers=LAYERS, heads=HEADS, head_width=WIDTH // HEADS, inner=INNER,
        vocabulary=len(SPECIAL) + len(words), most=MOST, act="gelu", segments=2, scale=(WIDTH // HEADS) ** -0.5,
    )  # fmt: skip
    return _made(shape, words, {name: _drawn(name, size) for name, size in _all_sizes(shape).items()})


def shaped_tower(shape: Shape, words: Sequence[str]) -> Transformer:
    """A tower of this ``shape`` whose weights are all zero and take no memory: what is learned on it can be counted."""
    return _made(shape, words, {name: torch.zeros(1).expand(size) for name, size in _all_sizes(shape).items()})


def _all_sizes(shape: Shape) -> Sizes:
    width = shape.width
    head: Sizes = dict(zip(HEAD, [(width, width), (width,), (width,), (width,), (shape.vocabulary,)], strict=True))
    return sizes(shape, biased=True) | head


def _made(shape: Shape, words: Sequence[str], tensors: dict[str, Tensor]) -> Transformer:
    preprocessing = {"lower_case": True, "most_tokens": shape.most, "pooling": "mean"}
    return Transformer("practice", "0" * 64, shape, tensors, _tokenizer(words, shape.most), preprocessing)


def _drawn(name: str, size: tuple[int, ...]) -> Tensor:
    """Matrices that keep the size of what they read, weights of norms around 1, small biases."""
    drawn: Tensor = torch.randn(size, generator=stream("practice", name))
    around, spread = (0.0, size[1] ** -0.5) if len(size) == 2 else (float(name.endswith("weight")), 0.1)
    return drawn.mul_(spread).add_(around)


def _tokenizer(words: Sequence[str], most: int) -> Tokenizer:
    from tokenizers import Tokenizer as Reader
    from tokenizers import models, normalizers, pre_tokenizers, processors

    places = {word: place for place, word in enumerate([*SPECIAL, *words])}
    reader = Reader(models.WordLevel(places, unk_token="[UNK]"))
    reader.normalizer = normalizers.Lowercase()
    reader.pre_tokenizer = pre_tokenizers.Whitespace()
    reader.add_special_tokens(list(SPECIAL))
    framed = [(token, places[token]) for token in ("[CLS]", "[SEP]")]
    reader.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", framed)
    return Tokenizer(reader.to_str(), places["[PAD]"], places["[MASK]"], most, most, True, "practice")
