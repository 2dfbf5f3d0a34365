"""A text tower as methods see it: frozen tensors, an architecture and a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import Edits
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import Piece, TextBackbone, Tokens, Weights
from promptgrid.tracks.text.backbones.blocks import admitted, encoded
from promptgrid.tracks.text.backbones.reading import ACTS, PACKED, Reader
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.backbones.tokens.padding import Rows
from promptgrid.tracks.text.backbones.tokens.tokenizing import Tokenizer

WORD = "embeddings.word"
DECODER = "mask.decoder"
HEAD = ("mask.dense.weight", "mask.dense.bias", "mask.norm.weight", "mask.norm.bias", "mask.bias")


def offers(names: Mapping[str, object], mask_token: bool) -> frozenset[str]:
    """What a tower with tensors of these names offers."""
    fills = mask_token and all(name in names for name in HEAD)
    return frozenset({"features", "tokens", "blocks", "weights", *(["mask"] if fills else [])})


class Transformer(TextBackbone):
    """BERT, RoBERTa, DeBERTa, GPT-2 or a T5 encoder.

    Args:
        backbone: its id.
        digest: of the whole model.
        shape: its architecture.
        tensors: by the names of :mod:`promptgrid.tracks.text.backbones.names`, float32, on one device.
        tokenizer: of its texts.
        preprocessing: plain values of the contract.
    """

    def __init__(
        self,
        backbone: str,
        digest: str,
        shape: Shape,
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer,
        preprocessing: Mapping[str, object],
    ) -> None:
        self.id, self.digest, self.preprocessing = backbone, digest, preprocessing
        self.shape, self.tokenizer, self.special = shape, tokenizer, tokenizer.special
        self.width, self.layers, self.heads = shape.width, shape.layers, shape.heads
        self.most_tokens, self.vocabulary = shape.most, shape.vocabulary
        self._frozen, self._packed = _packed(tensors, shape.layers)
        self.offers = offers(self._frozen, self.special.mask is not None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._frozen[WORD].device

    def double(self) -> Transformer:
        """The same tower in float64, for exactness checks."""
        tensors = {name: tensor.double() for name, tensor in self._frozen.items()}
        return type(self)(self.id, self.digest, self.shape, tensors, self.tokenizer, self.preprocessing)

    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None = None, most: int | None = None) -> Tokens:
        return self._here(self.tokenizer.tokenize(texts, pairs, most))

    def tokenize_template(self, pieces: Sequence[Piece], most: int | None = None) -> Tokens:
        return self._here(self.tokenizer.template(pieces, most))

    def words(self, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        return self.tokenizer.words(texts)

    def weights(self) -> dict[str, Tensor]:
        return dict(self._frozen)

    def embed(self, ids: Tensor, weights: Weights | None = None) -> Tensor:
        return (weights or self._frozen).get(WORD, self._frozen[WORD])[ids]

    def encode(
        self,
        embeddings: Tensor,
        mask: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        self._refuse_long(embeddings)
        return encoded(self._reader(edits, weights), embeddings, mask, segments, self.first_slot, None, self.rows(mask))

    def encode_at(
        self,
        embeddings: Tensor,
        mask: Tensor,
        at: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        self._refuse_long(embeddings)
        return encoded(self._reader(edits, weights), embeddings, mask, segments, self.first_slot, at, self.rows(mask))

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        pooling = self.preprocessing["pooling"]
        if pooling == "cls":
            return hidden[:, 0]
        if pooling == "last":
            last = (mask.sum(-1) - 1).clamp(min=0)
            return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1])).squeeze(1)
        share = mask.to(hidden.dtype).unsqueeze(-1)
        return (hidden * share).sum(1) / share.sum(1).clamp(min=1e-9)

    def decoder_input(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        read = self._reader(None, self._filling(weights))
        x = ACTS[self.shape.mask_act](read.linear(hidden, "mask.dense"))
        return F.layer_norm(x, (self.width,), read["mask.norm.weight"], read["mask.norm.bias"], self.shape.eps)

    def decoder_rows(self, ids: Tensor, weights: Weights | None = None) -> tuple[Tensor, Tensor]:
        read = self._reader(None, self._filling(weights))
        return read[self._decoder][ids], read["mask.bias"][ids]

    def fill(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        read = self._reader(None, self._filling(weights))
        x = self.decoder_input(hidden, weights)
        if self._decoder not in read.own:
            return F.linear(x, read[self._decoder], read["mask.bias"])
        rows = x.flatten(0, -2) @ read[self._decoder].mT
        return rows.reshape(*x.shape[:-1], rows.shape[-1]) + read["mask.bias"]

    def fill_words(self, hidden: Tensor, ids: Tensor, weights: Weights | None = None) -> Tensor:
        rows, bias = self.decoder_rows(ids, weights)
        return self.decoder_input(hidden, weights) @ rows.mT + bias

    def rows(self, mask: Tensor) -> Rows:
        """Where the tokens of (B, L) stand; padding is left out where that is possible and worth it."""
        return Rows.of(mask)

    @cached_property
    def _decoder(self) -> str:
        """The decoder's rows: those of the word embeddings unless the model has its own."""
        return DECODER if DECODER in self._frozen else WORD

    def _filling(self, weights: Weights | None) -> Weights | None:
        if "mask" not in self.offers:
            raise Refused("this tower does not fill masks", where=self.id)
        return weights

    def _reader(self, edits: Edits | None, weights: Weights | None) -> Reader:
        own = weights or {}
        if unknown := [name for name in own if name not in self._frozen]:
            raise Refused("no such weight", where=self.id, got=unknown[0])
        return Reader(self.shape, self._frozen, self._packed, own, admitted(edits, self.id))

    def _refuse_long(self, embeddings: Tensor) -> None:
        if embeddings.shape[1] > self.most_tokens:
            raise Refused("too long a sequence", where=self.id, got=f"{embeddings.shape[1]} tokens",
                          expected=f"at most {self.most_tokens}")  # fmt: skip

    def _here(self, tokens: Tokens) -> Tokens:
        def moved(x: Tensor) -> Tensor:
            return x.to(self.device)

        segments = None if tokens.segments is None else moved(tokens.segments)
        places = {name: moved(value) for name, value in tokens.places.items()}
        return Tokens(moved(tokens.ids), moved(tokens.mask), segments, places)


def _packed(
    tensors: Mapping[str, Tensor], layers: int
) -> tuple[dict[str, Tensor], dict[int, tuple[Tensor, Tensor | None]]]:
    """The frozen tensors, and of each layer queries, keys and values as one projection; the single ones are views."""
    frozen = {name: tensor.detach() for name, tensor in tensors.items()}
    packed: dict[int, tuple[Tensor, Tensor | None]] = {}
    for layer in range(layers):
        joined: list[Tensor | None] = []
        for kind in ("weight", "bias"):
            names = [f"blocks.{layer}.{part}.{kind}" for part in PACKED]
            if names[0] not in frozen:
                joined.append(None)
                continue
            whole = torch.cat([frozen[name] for name in names])
            frozen.update(zip(names, whole.chunk(3), strict=True))
            joined.append(whole)
        assert joined[0] is not None
        packed[layer] = joined[0], joined[1]
    return frozen, packed
