"""KAPT, reading 1: key words and computed tokens of descriptions in the prompt, a patch head on the image."""

from __future__ import annotations

import string
from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import sgd
from tests.reference.restore import watched
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

SMALL_WORDS = (
    "a an and are as at be by for from has have in into is it its like looks made of on one or out over some such "
    "than that the their them they this through to under up very which with without"
)
"""What is no key word: our choice, as the paper's text has not been at hand; see the card."""


def start(plain: Plain, drawn: Params, reduction: int = 16, **settings: Any) -> Params:
    """The words' embeddings; linear layers as torch starts them, the head's value map 0."""
    width = plain.clip.model.visual.output_dim
    assert drawn["down_weight"].shape == (max(1, width // reduction), width)
    for name in ("down_weight", "up_weight", "key"):
        bound = drawn[name].shape[1] ** -0.5
        assert 0.9 * bound < float(drawn[name].abs().max()) <= bound
    return drawn | {"context": plain.clip.words("a photo of a"), "value": torch.zeros_like(drawn["key"])}


def told_of(name: str, sentences: tuple[str, ...], count: int) -> str:
    """The name and its key words."""
    found: list[str] = []
    letters = str.maketrans(dict.fromkeys(string.punctuation + string.digits, " "))
    own = name.lower().translate(letters).split()
    for word in " ".join(sentences).lower().translate(letters).split():
        if word not in SMALL_WORDS.split() and word not in own and word not in found and len(word) > 1:
            found.append(word)
    return f"{name}, {' '.join(found[:count])}" if found[:count] else name


def texts(plain: Plain, params: Params, tokens: int, key_words: int) -> Tensor:
    clip = plain.clip
    names = [said(name) for name in plain.classes]
    with torch.no_grad():
        units = [F.normalize(clip.text(plain.said[name]), dim=-1).mean(0) for name in plain.classes]
        told = F.normalize(torch.stack(units), dim=-1)
    hidden = F.relu(told @ params["down_weight"].T + params["down_bias"])
    computed = (hidden @ params["up_weight"].T + params["up_bias"]).view(len(names), tokens, -1)
    length = len(params["context"]) + tokens
    filler = " ".join(["X"] * length)
    extended = [told_of(name, plain.said[own], key_words) for name, own in zip(names, plain.classes, strict=True)]
    embeddings, ends = clip.embedded([f"{filler} {name}." for name in extended])
    shared = params["context"].expand(len(names), -1, -1)
    return clip.encode(torch.cat([embeddings[:, :1], shared, computed, embeddings[:, 1 + length :]], dim=1), ends)


def logits(
    plain: Plain, params: Params, pixels: Tensor, tokens: int = 4, key_words: int = 6, **settings: Any
) -> Tensor:
    clip = plain.clip
    seen: list[Tensor] = []
    with torch.no_grad(), watched(clip.model.visual.transformer.resblocks[-1:], seen):
        features = clip.image(pixels)
        query = F.normalize(clip.classes_in(plain.template, plain.classes).mean(0), dim=-1)
    patches = seen[0][:, 1:]
    keys = patches @ params["key"].T
    weights = torch.softmax(keys @ query / query.shape[0] ** 0.5, dim=1)
    values = (weights.unsqueeze(-1) * (patches @ params["value"].T)).sum(1)
    return clip.cosine_logits(features + values, texts(plain, params, tokens, key_words))


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    tokens: int = 4,
    key_words: int = 6,
    **settings: Any,
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = logits(plain, params, plain.train.pixels[chosen], tokens, key_words)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
