"""VP: x + frame in normalised space, cross-entropy on the template's texts, SGD (Bahng et al., 2022)."""

from __future__ import annotations

import torch
from tests.reference.descent import by_epoch, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR

NAMES = ("up", "down", "left", "right")


def start(plain: Plain, drawn: Params, border: int = 30, **settings: object) -> Params:
    size = plain.clip.model.visual.image_size[0]
    wide = round(border * size / 224)
    flat, upright = (3, wide, size), (3, size - 2 * wide, wide)
    assert [tuple(drawn[name].shape) for name in NAMES] == [flat, flat, upright, upright]
    every = torch.cat([value.flatten() for value in drawn.values()])
    assert abs(float(every.mean())) < 0.1
    assert 0.9 < float(every.std()) < 1.1
    return drawn


def framed(plain: Plain, params: Params, pixels: Tensor) -> Tensor:
    x = plain.clip.normalise(pixels)
    frame, wide = torch.zeros_like(x[0]), params["up"].shape[1]
    frame[:, :wide], frame[:, -wide:] = params["up"], params["down"]
    frame[:, wide:-wide, :wide], frame[:, wide:-wide, -wide:] = params["left"], params["right"]
    return x + frame


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: object) -> Tensor:
    images = plain.clip.model.encode_image(framed(plain, params, pixels))
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))


def train(plain: Plain, begin: Params, learning_rate: float, epochs: int, **settings: object) -> Params:
    params, leaves = leaves_of(begin, NAMES)
    optimizer = torch.optim.SGD(leaves, lr=learning_rate, momentum=0.9)
    assert epochs < 10, "a tenth of the epochs would be warm-up"

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen]).backward()

    return by_epoch(plain, params, leaves, optimizer, CosineAnnealingLR(optimizer, epochs), backward)
