"""A tiny random BERT with a masked-word head, and a tokenizer of its own: a text tower for tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Edits
from promptgrid.tracks.text.backbone import Piece, SpecialIds, TextBackbone, Tokens, Weights
from promptgrid.tracks.text.edits import TextEdits

PAD, BEGIN, END, MASK = range(4)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [
    *("it", "was", ".", "?", "the", "of", "film", "plot", "good", "bad", "great", "fun", "dull", "slow", "fine"),
    *("poor", "very", "not", "person", "country", "location", "date", "and", "physics", "biology", "cells", "stars"),
    *("genes", "matter", "field", "study", "is", "related", "to", ":", "cause", "effect", "part"),
]
PLACES = {word: at for at, word in enumerate([*LETTERS, *WORDS], start=4)}
VOCABULARY = 4 + len(PLACES)
WIDTH, LAYERS, HEADS, MLP, MOST = 32, 2, 4, 64, 96


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """The tower's tensors, float64."""
    rng = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=rng, dtype=torch.float64) * columns**-0.5

    def vector(size: int, around: float = 0.0) -> Tensor:
        return around + 0.1 * torch.randn(size, generator=rng, dtype=torch.float64)

    own = {
        "embeddings.word": matrix(VOCABULARY, WIDTH),
        "embeddings.position": 0.3 * matrix(MOST, WIDTH),
        "embeddings.segment": 0.3 * matrix(2, WIDTH),
        "mask.dense.weight": matrix(WIDTH, WIDTH),
        "mask.dense.bias": vector(WIDTH),
        "mask.bias": vector(VOCABULARY),
    }
    norms = ["pre", "mask.norm"]
    for layer in range(LAYERS):
        norms += [f"blocks.{layer}.first", f"blocks.{layer}.second"]
        for part, (rows, columns) in {"fc": (MLP, WIDTH), "proj": (WIDTH, MLP)}.items():
            own[f"blocks.{layer}.{part}.weight"] = matrix(rows, columns)
            own[f"blocks.{layer}.{part}.bias"] = vector(rows)
        for part in ("q", "k", "v", "out"):
            own[f"blocks.{layer}.{part}.weight"] = matrix(WIDTH, WIDTH)
            own[f"blocks.{layer}.{part}.bias"] = vector(WIDTH)
    for name in norms:
        own[f"{name}.weight"], own[f"{name}.bias"] = vector(WIDTH, 1.0), vector(WIDTH)
    return own


def spelled(text: str) -> list[int]:
    """Ids of the words of a text; a word that is unknown is spelled letter by letter."""
    found: list[int] = []
    for word in text.lower().replace(".", " . ").replace("?", " ? ").replace(":", " : ").split():
        found += [PLACES[word]] if word in PLACES else [PLACES[letter] for letter in word if letter in PLACES]
    return found


class TinyBert(TextBackbone):
    """BERT of two layers, 32 wide, with post-norms, GELU and a tied decoder."""

    id, digest = "tiny", "0" * 64
    width, layers, heads, most_tokens, vocabulary = WIDTH, LAYERS, HEADS, MOST, VOCABULARY
    special = SpecialIds(PAD, BEGIN, END, MASK)
    offers = frozenset({"features", "tokens", "blocks", "weights", "mask"})
    preprocessing = {"lower_case": True, "most_tokens": MOST, "pooling": "mean"}  # noqa: RUF012  # of the contract

    def __init__(self, seed: int = 0) -> None:
        self.frozen = random_weights(seed)

    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None = None, most: int | None = None) -> Tokens:
        rows = [spelled(text) for text in texts]
        if pairs is not None:
            rows = [[*row, END, *spelled(pair)] for row, pair in zip(rows, pairs, strict=True)]
        return Tokens(*_padded([[BEGIN, *row, END] for row in rows]))

    def tokenize_template(self, pieces: Sequence[Piece], most: int | None = None) -> Tokens:
        count = max((len(piece.text) for piece in pieces if not isinstance(piece.text, str)), default=1)
        rows: list[list[int]] = [[BEGIN] for _ in range(count)]
        places: dict[str, list[list[int]]] = {}
        for piece in pieces:
            for at, row in enumerate(rows):
                said = piece.text if isinstance(piece.text, str) else piece.text[at]
                own = [MASK] * piece.masks + [PAD] * piece.slots + spelled(said)
                name = "mask" if piece.masks else piece.name
                if name:
                    stands = places.setdefault(name, [[] for _ in range(count)])
                    stands[at] += range(len(row), len(row) + len(own))
                row += own
        ids, mask = _padded([[*row, END] for row in rows])
        return Tokens(ids, mask, None, {name: torch.tensor(own) for name, own in places.items()})

    def words(self, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(spelled(text)) for text in texts)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.frozen)

    def embed(self, ids: Tensor, weights: Weights | None = None) -> Tensor:
        return self._of(weights)["embeddings.word"][ids]

    def encode(
        self,
        embeddings: Tensor,
        mask: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        own, inside = self._of(weights), edits if isinstance(edits, TextEdits) else TextEdits(**vars(edits or Edits()))
        rows = torch.zeros(mask.shape, dtype=torch.int64) if segments is None else segments
        x = embeddings + own["embeddings.position"][: embeddings.shape[1]] + own["embeddings.segment"][rows]
        x = _norm(own, inside, "pre", "pre", x)
        for layer in range(LAYERS):
            x = self._slots(x, mask, layer, inside)
            x = self._block(own, inside, x, mask, layer)
        return x

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        share = mask.to(hidden.dtype).unsqueeze(-1)
        return (hidden * share).sum(1) / share.sum(1)

    def fill(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        own = self._of(weights)
        return self.decoder_input(hidden, weights) @ own["embeddings.word"].mT + own["mask.bias"]

    def fill_words(self, hidden: Tensor, ids: Tensor, weights: Weights | None = None) -> Tensor:
        rows, biases = self.decoder_rows(ids, weights)
        return self.decoder_input(hidden, weights) @ rows.mT + biases

    def decoder_input(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        own = self._of(weights)
        x = F.gelu(F.linear(hidden, own["mask.dense.weight"], own["mask.dense.bias"]))
        return _norm(own, TextEdits(), "mask.norm", "mask.norm", x)

    def decoder_rows(self, ids: Tensor, weights: Weights | None = None) -> tuple[Tensor, Tensor]:
        own = self._of(weights)
        return own["embeddings.word"][ids], own["mask.bias"][ids]

    def _of(self, weights: Weights | None) -> dict[str, Tensor]:
        return {**self.frozen, **(weights or {})}

    def _slots(self, x: Tensor, mask: Tensor, layer: int, edits: TextEdits) -> Tensor:
        if edits.tokens is not None and 0 < layer < len(edits.tokens.layers):
            own = edits.tokens.layers[layer].expand(x.shape[0], -1, -1)
            return torch.cat([x[:, :1], own, x[:, 1 + own.shape[1] :]], 1)
        if edits.generated is not None and layer in edits.generated.at:
            behind = 1 + edits.generated.count
            text = torch.cat([x[:, :1], x[:, behind:]], 1)
            there = torch.cat([mask[:, :1], mask[:, behind:]], 1)
            return torch.cat([x[:, :1], edits.generated.at[layer](text, there), x[:, behind:]], 1)
        return x

    def _block(self, own: dict[str, Tensor], edits: TextEdits, x: Tensor, mask: Tensor, layer: int) -> Tensor:
        def project(part: str, given: Tensor) -> Tensor:
            found = F.linear(given, own[f"blocks.{layer}.{part}.weight"], own[f"blocks.{layer}.{part}.bias"])
            if (layer, part) in edits.biases:
                found = found + edits.biases[layer, part]
            return found + edits.deltas[layer, part](given, edits.seed) if (layer, part) in edits.deltas else found

        q, k, v = (project(part, x) for part in ("q", "k", "v"))
        open_ = mask
        if layer in edits.prefixes:
            prefix = edits.prefixes[layer]
            k = torch.cat([prefix.keys.expand(x.shape[0], -1, -1), k], 1)
            v = torch.cat([prefix.values.expand(x.shape[0], -1, -1), v], 1)
            open_ = torch.cat([mask.new_ones(mask.shape[0], prefix.keys.shape[-2]), mask], 1)
        q, k, v = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in (q, k, v))
        scores = q @ k.mT / (WIDTH // HEADS) ** 0.5
        scores = scores.masked_fill(~open_[:, None, None], float("-inf"))
        answered = project("out", (scores.softmax(-1) @ v).transpose(1, 2).flatten(-2))
        if (layer, "attention") in edits.adapters:
            answered = edits.adapters[layer, "attention"](answered)
        x = _norm(own, edits, (layer, "first"), f"blocks.{layer}.first", x + answered)
        grown = project("proj", F.gelu(project("fc", x)))
        if (layer, "mlp") in edits.adapters:
            grown = edits.adapters[layer, "mlp"](grown)
        return _norm(own, edits, (layer, "second"), f"blocks.{layer}.second", x + grown)


def _norm(own: dict[str, Tensor], edits: TextEdits, place: object, name: str, x: Tensor) -> Tensor:
    weight, bias = own[f"{name}.weight"], own[f"{name}.bias"]
    shift = dict(edits.norms).get(place)  # type: ignore[call-overload]  # the mask head's norm is no NormPlace
    weight, bias = (weight, bias) if shift is None else shift.of(weight, bias)
    return F.layer_norm(x, (WIDTH,), weight, bias, 1e-12)


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    ids = torch.tensor(list(zip_longest(*rows, fillvalue=PAD))).mT.contiguous()
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]
