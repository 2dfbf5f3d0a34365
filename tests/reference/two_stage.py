"""2SFS: the LayerNorms of both towers, then a classifier that starts at the tuned texts (Farina et al., CVPR 2025)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tests.reference import ln_tuning, rewritten
from tests.reference.clip import said
from tests.reference.descent import by_iteration, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

NORMS = ["vision_weights", "vision_biases", "text_weights", "text_biases"]


def start(plain: Plain, drawn: Params, texts: str = "photo", **settings: Any) -> Params:
    norms = ln_tuning.start(plain, drawn, towers="both")
    with torch.no_grad():
        rows = _texts(plain, norms, texts)
    return norms | {"classifier": rows, "names": drawn["names"], "stage": drawn["stage"]}


def logits(plain: Plain, params: Params, pixels: Tensor, texts: str = "photo", **settings: Any) -> Tensor:
    """By the rows where the second stage is behind, else by the texts."""
    rows = params["classifier"] if float(params["stage"]) else _texts(plain, params, texts)
    return plain.clip.cosine_logits(_images(plain, params, pixels), rows)


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, texts: str, **settings: Any
) -> Params:
    def first(params: Params, chosen: Tensor, seed: int) -> Tensor:
        images = _images(plain, params, plain.train.pixels[chosen])
        scores = plain.clip.cosine_logits(images, _texts(plain, params, texts))
        return F.cross_entropy(scores, plain.train.labels[chosen])

    params, leaves = leaves_of(begin, NORMS)
    optimizer = torch.optim.AdamW(leaves, lr=learning_rate, weight_decay=weight_decay)
    tuned = by_iteration(plain, params, leaves, optimizer, first, 1e-6)
    with torch.no_grad():
        images = _images(plain, tuned, plain.train.pixels)
        tuned = tuned | {"classifier": _texts(plain, tuned, texts)}

    def second(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = plain.clip.cosine_logits(images[chosen], params["classifier"])
        return F.cross_entropy(scores, plain.train.labels[chosen])

    params, leaves = leaves_of(tuned, ["classifier"])
    optimizer = torch.optim.AdamW(leaves, lr=learning_rate, weight_decay=weight_decay)
    later = replace(plain, batches=plain.later)
    return by_iteration(later, params, leaves, optimizer, second, 1e-6) | {"stage": torch.ones_like(begin["stage"])}


def _images(plain: Plain, params: Params, pixels: Tensor) -> Tensor:
    seen = plain.clip.normalise(pixels)
    return rewritten.rewritten(plain.clip.model, _changed(plain, params), lambda model: model.encode_image(seen))


def _texts(plain: Plain, params: Params, texts: str) -> Tensor:
    template = plain.template if texts == "dataset" else "a photo of a {}."
    tokens = plain.clip.tokenizer([template.format(said(name)) for name in plain.classes])
    found = rewritten.rewritten(plain.clip.model, _changed(plain, params), lambda model: model.encode_text(tokens))
    return F.normalize(found, dim=-1)


def _changed(plain: Plain, params: Params) -> Params:
    return ln_tuning.changed(plain, {name: params[name] for name in NORMS})
