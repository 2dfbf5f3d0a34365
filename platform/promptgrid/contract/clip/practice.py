"""A backbone to try methods on: two small transformers with fixed random weights, no download and no open_clip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip.backbone import Backbone, TowerShape
from promptgrid.contract.clip.preprocessing import Preprocessing
from promptgrid.contract.edits import Edits, NormPlace, NormShift, Part, Sublayer, TokenPlan
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch

WORDS, SOS, EOT = 997, 998, 999
LONGEST = 77
PARTS: tuple[Part, ...] = ("q", "k", "v", "out", "fc", "proj")
NOTHING, FROZEN = Edits(), NormShift()


class PracticeBackbone(Backbone):
    """Everything a backbone can offer, small enough that a method's conformance test takes a second.

    Words are embedded by a hash of their letters; blocks are pre-norm, with attention of one head. Its features mean
    nothing: it tells whether a method keeps the contract, never how good it is.
    """

    def __init__(self) -> None:
        self.id = self.digest = "practice"
        self.width, self.image_size, self.patch_size, self.logit_scale = 16, 16, 8, 30.0
        self.preprocessing = Preprocessing.square(self.image_size)
        self.text, self.vision = TowerShape(12, 3), TowerShape(20, 3)
        inside = {"text_tokens", "text_blocks", "vision_blocks", "unprojected", "tokens", "blocks", "weights"}
        self.offers = frozenset({"features", "pixels", "logits"} | inside)
        text, vision = self.text.width, self.vision.width
        self._table, self._text_places = _draw("table", EOT + 1, text), _draw("text places", LONGEST, text)
        self._patch, self._class = _draw("patch", vision, 3 * self.patch_size**2), _draw("class", 1, vision)
        self._image_places = _draw("image places", 1 + (self.image_size // self.patch_size) ** 2, vision)
        self._text_blocks = [_weights("text", text, layer) for layer in range(self.text.layers)]
        self._image_blocks = [_weights("image", vision, layer) for layer in range(self.vision.layers)]
        self._text_out, self._image_out = _draw("text out", self.width, text), _draw("image out", self.width, vision)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        rows = [[SOS, *map(_word, re.findall(r"\w+|[^\w\s]", text)), EOT] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return self._table[tokens]

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        behind = self.text_ends(embeddings, ends, edits, [self.text.layers - 1])[:, 0]
        return F.linear(_norm(behind, "post", edits or NOTHING), self._text_out)

    def text_ends(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        length = int(ends.max()) + 1
        x = embeddings[:, :length] + self._text_places[:length]
        hidden, rows = torch.full((length, length), -torch.inf).triu(1), torch.arange(x.shape[0])
        seen = [each[rows, ends] for each in _behind(x, self._text_blocks, 1, hidden, edits or NOTHING)]
        return torch.stack([seen[layer] for layer in layers], dim=1)

    def project_text(self, tokens: Tensor) -> Tensor:
        return F.linear(_norm(tokens, "post", NOTHING), self._text_out)

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenize(texts)
        return self.encode_text(self.embed_tokens(tokens), tokens.argmax(-1))

    @property
    def pixel_range(self) -> Tensor:
        return torch.tensor([-0.5, 0.5]).view(2, 1, 1, 1).expand(2, 3, 1, 1)

    def normalised(self, pixels: Tensor) -> Tensor:
        return pixels.float() / 255.0 - 0.5

    def encode_image(self, pixels: Tensor) -> Tensor:
        cut = F.unfold(pixels, self.patch_size, stride=self.patch_size)
        return self.encode_patches(F.linear(cut.mT, self._patch))

    def patches(self, pixels: Tensor) -> Tensor:
        cut = F.unfold(self.normalised(pixels), self.patch_size, stride=self.patch_size)
        return F.linear(cut.mT, self._patch)

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        behind = self.image_tokens(patches, edits, [self.vision.layers - 1])[:, 0, 0]
        return F.linear(_norm(behind, "post", edits or NOTHING), self._image_out)

    def image_tokens(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        x = torch.cat([self._class.expand(patches.shape[0], 1, -1), patches], 1) + self._image_places
        plan = edits.tokens if edits is not None else None
        if plan is not None and plan.before_norm:
            x = _inserted(x, plan)
        x = _norm(x, "pre", edits or NOTHING)
        if plan is not None and not plan.before_norm:
            x = _inserted(x, plan)
        start = x.shape[1] - plan.count if plan is not None and plan.place == "end" else 1
        seen = [x, *_behind(x, self._image_blocks, start, None, edits or NOTHING)]
        return torch.stack([seen[1 + layer] for layer in layers], dim=1)

    def unprojected(self, pixels: Tensor) -> Tensor:
        behind = self.image_tokens(self.patches(pixels), None, [self.vision.layers - 1])[:, 0, 0]
        return _norm(behind, "post", NOTHING)

    def project_image(self, tokens: Tensor) -> Tensor:
        return F.linear(_norm(tokens, "post", NOTHING), self._image_out)

    @property
    def image_tokens_tower(self) -> PracticeTokens:
        return PracticeTokens(self._class, self._image_places, self._image_blocks, self._image_out.mT)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return self.encode_patches(self.patches(pixels))


class PracticeTokens:
    """The image tower as methods on any tower of tokens see it: it reads ``patches`` and gives class tokens."""

    prompt_place: Literal["end"] = "end"

    def __init__(self, first: Tensor, places: Tensor, blocks: Sequence[Sequence[Tensor]], projection: Tensor) -> None:
        self.projection = projection
        self._first, self._places, self._blocks = first, places, blocks
        self.width, self.layers = first.shape[-1], len(blocks)
        self.mlp_width = 4 * self.width
        inside: list[NormPlace] = [(layer, which) for layer in range(self.layers) for which in ("first", "second")]
        self.norms: tuple[NormPlace, ...] = ("pre", *inside, "post")

    def weights(self) -> dict[str, Tensor]:
        """All tensors, by name."""
        own = {f"{layer}.{part}": each for layer, block in enumerate(self._blocks)
               for part, each in zip(PARTS, block, strict=True)}  # fmt: skip
        return {"class": self._first, "places": self._places, **own}

    def features(self, batch: Batch, edits: Edits | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """(B, width) class tokens behind the last norm, or the mean of them and of tokens that are ``pooled``."""
        own, plan, patches = (
            self.weights() | dict(weights or {}),
            edits.tokens if edits is not None else None,
            batch["patches"],
        )
        blocks = [[own[f"{layer}.{part}"] for part in PARTS] for layer in range(self.layers)]
        x = torch.cat([own["class"].expand(patches.shape[0], 1, -1), patches], 1) + own["places"]
        x = _norm(x, "pre", edits or NOTHING)
        x = x if plan is None else _inserted(x, plan)
        start = x.shape[1] - plan.count if plan is not None and plan.place == "end" else 1
        *_, last = _behind(x, blocks, start, None, edits or NOTHING)
        if plan is not None and plan.pooled:
            read = torch.cat([last[:, :1], last[:, start : start + plan.count]], dim=1)
            return _norm(read, "post", edits or NOTHING).mean(1)
        return _norm(last[:, 0], "post", edits or NOTHING)


def _draw(name: str, *shape: int) -> Tensor:
    drawn: Tensor = torch.randn(*shape, generator=stream("practice", name)) * shape[-1] ** -0.5
    return drawn


def _weights(tower: str, width: int, layer: int) -> list[Tensor]:
    """The weights of one block, in the order of ``PARTS``; its MLP is four times as wide, as in CLIP."""
    inputs = {"proj": 4 * width}
    return [
        _draw(f"{tower} {layer} {part}", 4 * width if part == "fc" else width, inputs.get(part, width))
        for part in PARTS
    ]


def _behind(
    x: Tensor, blocks: Sequence[Sequence[Tensor]], start: int, hidden: Tensor | None, edits: Edits
) -> Iterator[Tensor]:
    """All tokens behind each block."""
    for layer, weights in enumerate(blocks):
        x = _block(_overwritten(x, edits, layer, start), weights, layer, hidden, edits)
        yield x


def _word(word: str) -> int:
    return 1 + int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:4], "big") % (WORDS - 1)


def _block(x: Tensor, weights: Sequence[Tensor], layer: int, hidden: Tensor | None, edits: Edits) -> Tensor:
    """One residual block on (N, L, width)."""
    given = _norm(x, (layer, "first"), edits)
    q, k, v = (_project(given, weights[i], (layer, PARTS[i]), edits) for i in range(3))
    mixed = _attention(q, k, v, hidden)
    if layer in edits.apart:
        beside = _norm(edits.apart[layer].tokens, (layer, "first"), edits)
        share = edits.apart[layer].share
        mixed = share * _attention(q, beside @ weights[1].mT, beside @ weights[2].mT, None) + (1.0 - share) * mixed
    answered = _adapted(_project(mixed, weights[3], (layer, "out"), edits), (layer, "attention"), edits)
    x = x + (edits.sides[layer](given, answered) if layer in edits.sides else answered)
    wide = _project(_norm(x, (layer, "second"), edits), weights[4], (layer, "fc"), edits).tanh()
    behind = x + _adapted(_project(wide, weights[5], (layer, "proj"), edits), (layer, "mlp"), edits)
    return behind + edits.parallel[layer](x) if layer in edits.parallel else behind


def _adapted(x: Tensor, place: tuple[int, Sublayer], edits: Edits) -> Tensor:
    return edits.adapters[place](x) if place in edits.adapters else x


def _attention(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None) -> Tensor:
    affinity = q @ k.mT / q.shape[-1] ** 0.5
    mixed: Tensor = (affinity if hidden is None else affinity + hidden).softmax(-1) @ v
    return mixed


def _project(x: Tensor, weight: Tensor, place: tuple[int, Part], edits: Edits) -> Tensor:
    y = F.linear(x, weight * edits.weights[place] if place in edits.weights else weight, edits.biases.get(place))
    return y + edits.deltas[place](x, edits.seed) if place in edits.deltas else y


def _norm(x: Tensor, place: NormPlace, edits: Edits) -> Tensor:
    """A LayerNorm of weight 1 and bias 0, and what edits add to them."""
    width = x.shape[-1]
    weight, bias = edits.norms.get(place, FROZEN).of(x.new_ones(width), x.new_zeros(width))
    return F.layer_norm(x, (width,), weight, bias)


def _inserted(x: Tensor, plan: TokenPlan) -> Tensor:
    tokens = plan.layers[0].expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :1], tokens, x[:, 1:]] if plan.place == "after_class" else [x, tokens], dim=1)


def _overwritten(x: Tensor, edits: Edits, layer: int, start: int) -> Tensor:
    plan = edits.tokens
    if plan is None or not 0 < layer < len(plan.layers):
        return x
    tokens = plan.layers[layer].expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :start], tokens, x[:, start + plan.count :]], dim=1)
