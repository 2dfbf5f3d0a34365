"""BAR for CLIP: the image shrunk amid sigmoid(W), focal loss, one-sided estimates (Tsai et al., 2020; BlackVIP)."""

from __future__ import annotations

import torch
from tests.reference.answers import one_sided
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: object) -> Params:
    size = plain.clip.model.visual.image_size[0]
    assert drawn["program"].shape == (3, size, size)
    assert 0.9 < float(drawn["program"].std()) < 1.1
    return drawn


def logits(plain: Plain, params: Params, pixels: Tensor, inner: int, **settings: object) -> Tensor:
    size = pixels.shape[-1]
    small = int(round(inner * size / 224) / 2) * 2
    image = pixels.to(plain.clip.dtype) / 255.0
    if small != size:
        image = F.interpolate(image, (small, small), mode="bicubic", antialias=True).clamp(0.0, 1.0)
    canvas = torch.sigmoid(params["program"]).repeat(len(pixels), 1, 1, 1)
    first = (size - small) // 2
    canvas[:, :, first : first + small, first : first + small] = image
    mean, std = (torch.tensor(list(x)).view(3, 1, 1).to(canvas) for x in (plain.clip.mean, plain.clip.std))
    images = plain.clip.model.encode_image((canvas - mean) / std)
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))


def train(
    plain: Plain,
    begin: Params,
    inner: int,
    focus: float,
    learning_rate: float,
    last_rate: float,
    radius: float,
    estimates: int,
    **settings: object,
) -> Params:
    def loss(params: Params, chosen: Tensor) -> Tensor:
        told = logits(plain, params, plain.train.pixels[chosen], inner).log_softmax(1)
        own = told[torch.arange(len(chosen)), plain.train.labels[chosen]]
        return -((1.0 - own.exp()) ** focus * own).mean()

    with torch.no_grad():
        return one_sided(plain, begin, ["program"], loss, learning_rate, last_rate, radius, estimates)
