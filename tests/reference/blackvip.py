"""BlackVIP: a decoder of torch's own modules paints a prompt from a second backbone's features (Oh et al., 2023).

The second backbone is the first one again.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.answers import spsa_gc
from tests.reference.task import Params, Plain
from tests.reference.vp_spsa import SPSA
from torch import Tensor, nn
from torch.nn import functional as F

RUNNING = ("mean", "variance")


def decoder(channels: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for grown, mixed in ((64, 64), (64, 32), (32, 32), (32, 16)):
        parts += [nn.ConvTranspose2d(channels, grown, 2, 2, groups=min(channels, grown))]
        parts += [nn.ConvTranspose2d(grown, mixed, 1, bias=False), nn.BatchNorm2d(mixed), nn.GELU()]
        channels = mixed
    return nn.Sequential(*parts, nn.ConvTranspose2d(channels, 3, 2, 2, bias=False))


def wide(plain: Plain) -> int:
    return -(-plain.clip.model.visual.image_size[0] // 32)


def load(plain: Plain, params: Params, training: bool) -> nn.Sequential:
    body = decoder(len(params["grow0"])).to(params["grow0"].dtype).train(training).requires_grad_(False)
    for stage in range(4):
        grow, mix, norm = body[4 * stage], body[4 * stage + 1], body[4 * stage + 2]
        grow.weight, grow.bias = (nn.Parameter(params[f"{name}{stage}"]) for name in ("grow", "grow_bias"))
        mix.weight = nn.Parameter(params[f"mix{stage}"][:, :, None, None])
        norm.weight, norm.bias = (nn.Parameter(params[f"{name}{stage}"]) for name in ("scale", "shift"))
        norm.running_mean, norm.running_var = (params[f"{name}{stage}"].clone() for name in RUNNING)
    body[-1].weight = nn.Parameter(params["paint"])
    return body


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    body, trigger = decoder(len(drawn["grow0"])), drawn["trigger"]
    assert len(trigger) == len(drawn["grow0"]) * wide(plain) ** 2 - plain.clip.text(["a"]).shape[1]
    assert 0 <= float(trigger.min()) <= 0.01
    assert 0.09 <= float(trigger.max()) <= 0.1
    for stage in range(4):
        for name, place in (("grow", 4 * stage), ("mix", 4 * stage + 1)):
            fan = body[place].weight.shape[1] * body[place].weight[0, 0].numel()
            assert 0.8 < float(drawn[f"{name}{stage}"].abs().max()) * fan**0.5 <= 1.0
    return drawn


def prompted(plain: Plain, body: nn.Sequential, params: Params, pixels: Tensor, strength: float) -> Tensor:
    z, x = plain.clip.image(pixels), plain.clip.normalise(pixels)
    cube = torch.cat([z, params["trigger"].repeat(len(z), 1)], dim=1).reshape(len(z), -1, wide(plain), wide(plain))
    prompt = F.interpolate(body(cube), x.shape[-2:], mode="bicubic", antialias=True)
    black, white = plain.clip.normalise(torch.tensor([0, 255]).view(2, 1, 1, 1).expand(2, 3, 1, 1))
    return torch.minimum(torch.maximum(x + strength * prompt, black), white)


def answers(plain: Plain, body: nn.Sequential, params: Params, pixels: Tensor, strength: float) -> Tensor:
    images = plain.clip.model.encode_image(prompted(plain, body, params, pixels, strength))
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))


def logits(plain: Plain, params: Params, pixels: Tensor, strength: float, **settings: Any) -> Tensor:
    return answers(plain, load(plain, params, training=False), params, pixels, strength)


def train(plain: Plain, begin: Params, strength: float, **settings: Any) -> Params:
    names = [name for name in begin if not name.startswith(RUNNING)]

    def loss(params: Params, chosen: Tensor) -> Tensor:
        body = load(plain, params, training=True)
        found = answers(plain, body, params, plain.train.pixels[chosen], strength)
        for stage in range(4):
            norm = body[4 * stage + 2]
            params[f"mean{stage}"], params[f"variance{stage}"] = norm.running_mean, norm.running_var
        return F.cross_entropy(found, plain.train.labels[chosen])

    with torch.no_grad():
        return spsa_gc(plain, begin, names, loss, **{name: settings[name] for name in SPSA})
