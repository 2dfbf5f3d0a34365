"""CTP + TFT, reading 1: contexts by image and class, and features guided by the texts they resemble."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import sgd
from tests.reference.restore import watched
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    """The words' embeddings; the key map as torch's Linear, the others 0."""
    bound = drawn["key"].shape[1] ** -0.5
    assert 0.9 * bound < float(drawn["key"].abs().max()) <= bound
    zeros = {name: torch.zeros_like(drawn[name]) for name in ("shift", "guide")}
    return drawn | zeros | {"context": plain.clip.words("a photo of a")}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    clip = plain.clip
    seen: list[Tensor] = []
    with torch.no_grad(), watched(clip.model.visual.transformer.resblocks[-1:], seen):
        unit = F.normalize(clip.image(pixels), dim=-1)
        fixed = clip.classes_in(plain.template, plain.classes)
    length = len(params["context"])
    filler = " ".join(["X"] * length)
    embeddings, ends = clip.embedded([f"{filler} {said(name)}." for name in plain.classes])
    rows = []
    for image, patches in zip(unit, seen[0][:, 1:], strict=True):
        attention = torch.softmax(fixed @ (patches @ params["key"].T).T / fixed.shape[1] ** 0.5, dim=-1)
        contexts = params["context"] + (attention @ patches @ params["shift"].T).unsqueeze(1)
        texts = clip.encode(torch.cat([embeddings[:, :1], contexts, embeddings[:, 1 + length :]], dim=1), ends)
        guide = torch.softmax(clip.scale * fixed @ image, dim=0) @ fixed
        rows.append(clip.cosine_logits((image + params["guide"] @ guide).unsqueeze(0), texts)[0])
    return torch.stack(rows)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
