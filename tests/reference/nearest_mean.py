"""Nearest class mean: cosine to the mean unit feature of each class's shots (Mensink et al., TPAMI 2013)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Plain
from torch import Tensor


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    with torch.no_grad():
        images = plain.clip.image(plain.train.pixels)
    unit = images / images.norm(dim=-1, keepdim=True)
    return {"means": torch.stack([unit[plain.train.labels == k].mean(0) for k in range(len(plain.classes))])}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), params["means"])
