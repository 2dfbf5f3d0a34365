"""GOPro: CoCoOp with a shift from the tokens of all layers, and losses between three views (Singha et al., 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.restore import watched
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    """The words' embeddings; maps as torch's Linear; the batch norm 1 and 0."""
    visual = plain.clip.model.visual
    depth, inside = len(visual.transformer.resblocks), visual.conv1.out_channels
    assert drawn["style_weight"].shape[::2] == (depth, inside)
    for name, inputs in (("style_weight", inside), ("layers", depth), ("project_weight", visual.output_dim)):
        assert 0.5 * inputs**-0.5 < float(drawn[name].abs().max()) <= inputs**-0.5
    norms = {"norm_weight": torch.ones_like, "norm_bias": torch.zeros_like}
    known = {name: fill(drawn[name]) for name, fill in norms.items()}
    return drawn | known | {"context": plain.clip.words("a photo of a")}


def seen(plain: Plain, params: Params, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Unit features (B, D) and each image's own unit texts (B, C, D)."""
    kept: list[Tensor] = []
    with torch.no_grad(), watched(plain.clip.model.visual.transformer.resblocks, kept):
        units = F.normalize(plain.clip.image(pixels), dim=-1)
    texts = []
    for row in range(len(pixels)):
        shift = torch.zeros_like(params["context"][0])
        for layer, tokens in enumerate(kept):
            mean = tokens[row].mean(0)
            deviation = torch.sqrt((((tokens[row] - mean) ** 2).sum(0) + 2.3e-8) / len(tokens[row]))
            style = params["style_weight"][layer] @ torch.stack([mean, deviation]).mean(0) + params["style_bias"][layer]
            content = params["content_weight"][layer] @ mean + params["content_bias"][layer]
            shift = shift + params["layers"][layer] * torch.stack([style, content]).mean(0)
        encoded = plain.clip.encode(*coop.prompts(plain, params["context"] + shift))
        texts.append(F.normalize(encoded, dim=-1))
    return units, torch.stack(texts)


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    units, texts = seen(plain, params, pixels)
    return plain.clip.scale * torch.stack([own @ unit for unit, own in zip(units, texts, strict=True)])


def apart(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss, image by image, the other view among everything but the image itself."""
    rows, total = torch.cat([one, other]), one.new_zeros(())
    scores = (F.normalize(rows, dim=-1) @ F.normalize(rows, dim=-1).T) / temperature
    for place in range(len(rows)):
        others = [other for other in range(len(rows)) if other != place]
        right = others.index((place + len(one)) % len(rows))
        total = total - scores[place][others].log_softmax(0)[right]
    return total / len(rows)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    contrast: float,
    temperature: float,
    **settings: Any,
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        views = plain.beside(chosen, seed)
        (unit, own), (moco_unit, moco), (_, augmix) = (
            seen(plain, params, pixels) for pixels in (plain.train.pixels[chosen], views[:, 0], views[:, 1])
        )
        scores = plain.clip.scale * torch.stack([texts @ image for image, texts in zip(unit, own, strict=True)])
        one, other = (
            F.batch_norm(
                each @ params["project_weight"].T, None, None, params["norm_weight"], params["norm_bias"], True
            )
            for each in (unit, moco_unit)
        )
        same = F.mse_loss(own, moco) + F.mse_loss(own, augmix)
        return F.cross_entropy(scores, plain.train.labels[chosen]) + same + contrast * apart(one, other, temperature)

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
