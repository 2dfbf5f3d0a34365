"""A backbone to try methods on: two small transformers with fixed random weights, no download and no open_clip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.backbone import Backbone, TowerShape
from promptgrid.contract.edits import Edits, Part, TokenPlan
from promptgrid.contract.randomness import stream

WORDS, SOS, EOT = 997, 998, 999
LONGEST = 77
PARTS: tuple[Part, ...] = ("q", "k", "v", "out")


class PracticeBackbone(Backbone):
    """Everything a backbone can offer, small enough that a method's conformance test takes a second.

    Words are embedded by a hash of their letters; blocks are pre-norm attention of one head. Its features mean
    nothing: it tells whether a method keeps the contract, never how good it is.
    """

    def __init__(self) -> None:
        self.id = self.digest = "practice"
        self.width, self.image_size, self.patch_size, self.logit_scale = 16, 16, 8, 30.0
        self.text, self.vision = TowerShape(12, 3), TowerShape(20, 3)
        self.offers = frozenset({"features", "text_tokens", "text_blocks", "vision_blocks"})
        text, vision = self.text.width, self.vision.width
        self._table, self._text_places = _draw("table", EOT + 1, text), _draw("text places", LONGEST, text)
        self._patch, self._class = _draw("patch", vision, 3 * self.patch_size**2), _draw("class", 1, vision)
        self._image_places = _draw("image places", 1 + (self.image_size // self.patch_size) ** 2, vision)
        self._text_blocks = _draw("text blocks", self.text.layers, len(PARTS), text, text)
        self._image_blocks = _draw("image blocks", self.vision.layers, len(PARTS), vision, vision)
        self._text_out, self._image_out = _draw("text out", self.width, text), _draw("image out", self.width, vision)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        rows = [[SOS, *map(_word, re.findall(r"\w+|[^\w\s]", text)), EOT] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return self._table[tokens]

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        length = int(ends.max()) + 1
        x = embeddings[:, :length] + self._text_places[:length]
        hidden = torch.full((length, length), -torch.inf).triu(1)
        for layer, weights in enumerate(self._text_blocks):
            x = _block(_overwritten(x, edits, layer, 1), weights, layer, hidden, edits)
        return F.linear(x[torch.arange(x.shape[0]), ends], self._text_out)

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenize(texts)
        return self.encode_text(self.embed_tokens(tokens), tokens.argmax(-1))

    def patches(self, pixels: Tensor) -> Tensor:
        cut = F.unfold(pixels.float() / 255.0 - 0.5, self.patch_size, stride=self.patch_size)
        return F.linear(cut.mT, self._patch)

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        x = torch.cat([self._class.expand(patches.shape[0], 1, -1), patches], 1) + self._image_places
        plan = edits.tokens if edits is not None else None
        if plan is not None and plan.before_norm:
            x = _inserted(x, plan)
        x = F.layer_norm(x, x.shape[-1:])
        if plan is not None and not plan.before_norm:
            x = _inserted(x, plan)
        start = x.shape[1] - plan.count if plan is not None and plan.place == "end" else 1
        for layer, weights in enumerate(self._image_blocks):
            x = _block(_overwritten(x, edits, layer, start), weights, layer, None, edits)
        return F.linear(x[:, 0], self._image_out)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return self.encode_patches(self.patches(pixels))


def _draw(name: str, *shape: int) -> Tensor:
    drawn: Tensor = torch.randn(*shape, generator=stream("practice", name)) * shape[-1] ** -0.5
    return drawn


def _word(word: str) -> int:
    return 1 + int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:4], "big") % (WORDS - 1)


def _block(x: Tensor, weights: Tensor, layer: int, hidden: Tensor | None, edits: Edits | None) -> Tensor:
    """One residual attention block on (N, L, width)."""
    normal = F.layer_norm(x, x.shape[-1:])
    q, k, v = (_project(normal, weights[i], (layer, PARTS[i]), edits) for i in range(3))
    affinity = q @ k.mT / x.shape[-1] ** 0.5
    mixed = (affinity if hidden is None else affinity + hidden).softmax(-1) @ v
    return x + _project(mixed, weights[3], (layer, "out"), edits)


def _project(x: Tensor, weight: Tensor, place: tuple[int, Part], edits: Edits | None) -> Tensor:
    y = F.linear(x, weight)
    return y + edits.deltas[place](x, edits.seed) if edits is not None and place in edits.deltas else y


def _inserted(x: Tensor, plan: TokenPlan) -> Tensor:
    tokens = plan.layers[0].expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :1], tokens, x[:, 1:]] if plan.place == "after_class" else [x, tokens], dim=1)


def _overwritten(x: Tensor, edits: Edits | None, layer: int, start: int) -> Tensor:
    plan = edits.tokens if edits is not None else None
    if plan is None or not 0 < layer < len(plan.layers):
        return x
    tokens = plan.layers[layer].expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :start], tokens, x[:, start + plan.count :]], dim=1)
