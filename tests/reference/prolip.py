"""ProLIP: the projection W of the image tower itself, by Adam, with lambda |W - W0|² (Fahes et al., 2024)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import rewritten
from tests.reference.bench import SHOTS
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, penalty: str = "inverse", strength: float = 0.1, **settings: Any) -> Params:
    shares = {"inverse": 1 / SHOTS, "inverse_square": 1 / SHOTS**2, "fixed": strength}
    own = _pretrained(plain)
    return {"change": torch.zeros_like(own), "lambda": own.new_tensor(shares[penalty])}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return _logits(plain, _pretrained(plain) + params["change"], pixels)


def train(plain: Plain, begin: Params, learning_rate: float, epochs: int, **settings: Any) -> Params:
    first = _pretrained(plain)
    projection = (first + begin["change"]).requires_grad_()
    optimizer = torch.optim.Adam([projection], lr=learning_rate, eps=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        optimizer.zero_grad()
        apart = F.mse_loss(projection, first, reduction="sum")
        told = F.cross_entropy(_logits(plain, projection, plain.train.pixels), plain.train.labels)
        (told + begin["lambda"] * apart).backward()
        optimizer.step()
        scheduler.step()
    return {"change": projection.detach() - first, "lambda": begin["lambda"]}


def _pretrained(plain: Plain) -> Tensor:
    own: Tensor = plain.clip.model.visual.proj.detach().clone()
    return own


def _logits(plain: Plain, projection: Tensor, pixels: Tensor) -> Tensor:
    seen = plain.clip.normalise(pixels)
    images = rewritten.rewritten(plain.clip.model, {"visual.proj": projection}, lambda model: model.encode_image(seen))
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))
