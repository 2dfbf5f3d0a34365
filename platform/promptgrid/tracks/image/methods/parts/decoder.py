"""BlackVIP's decoder: four stages that double an image's sides, and a last one that paints (``DecoderManual``)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Params
from promptgrid.tracks.image.methods.parts.starts import uniform

STAGES = ((64, 64), (64, 32), (32, 32), (32, 16))
"""Channels of each stage: behind its grouped, growing convolution, and behind its mixing one."""
GROWTH = 2 ** (len(STAGES) + 1)
"""How many times as wide as the input the painted image is."""
MOMENTUM, EPSILON = 0.1, 1e-5
RUNNING = frozenset(f"{what}{stage}" for what in ("mean", "variance") for stage in range(len(STAGES)))
"""Names of the running statistics."""


def decoder(rng: torch.Generator, channels: int) -> Params:
    """The start of a decoder of (B, ``channels``, h, h), as torch starts transposed convolutions and BatchNorm."""
    params: Params = {}
    for stage, (grown, mixed) in enumerate(STAGES):
        groups = _groups(channels, grown)
        bound = (grown // groups * 4) ** -0.5
        params[f"grow{stage}"] = uniform(rng, bound, channels, grown // groups, 2, 2)
        params[f"grow_bias{stage}"] = uniform(rng, bound, grown)
        params[f"mix{stage}"] = uniform(rng, mixed**-0.5, grown, mixed)
        params |= {f"scale{stage}": torch.ones(mixed), f"shift{stage}": torch.zeros(mixed)}
        params |= {f"mean{stage}": torch.zeros(mixed), f"variance{stage}": torch.ones(mixed)}
        channels = mixed
    return params | {"paint": uniform(rng, (3 * 4) ** -0.5, channels, 3, 2, 2)}


def painted(params: Params, x: Tensor, training: bool) -> tuple[Tensor, Params]:
    """(B, channels, h, h) to (B, 3, 32 h, 32 h), and what the running statistics become.

    Where it is ``training``, BatchNorm takes the batch's own statistics, and the running ones move by a tenth.
    """
    running: Params = {}
    for stage, (grown, _) in enumerate(STAGES):
        x = _grown(x, params[f"grow{stage}"], _groups(x.shape[1], grown)) + params[f"grow_bias{stage}"].view(-1, 1, 1)
        x = torch.einsum("bchw,co->bohw", x, params[f"mix{stage}"])
        mean, variance = params[f"mean{stage}"], params[f"variance{stage}"]
        if training:
            count = x.shape[0] * x.shape[2] * x.shape[3]
            seen, spread = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            running[f"mean{stage}"] = torch.lerp(mean, seen, MOMENTUM)
            running[f"variance{stage}"] = torch.lerp(variance, spread * (count / (count - 1)), MOMENTUM)
            mean, variance = seen, spread
        size = params[f"scale{stage}"] * (variance + EPSILON).rsqrt()
        x = F.gelu((x - mean.view(-1, 1, 1)) * size.view(-1, 1, 1) + params[f"shift{stage}"].view(-1, 1, 1))
    return _grown(x, params["paint"], 1), running


def _groups(channels: int, grown: int) -> int:
    """Groups of a growing convolution: one for each channel, of at most 64."""
    return min(channels, grown)


def _grown(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """A transposed convolution of 2 x 2 with stride 2, as a product: every pixel becomes four of its own.

    ``x`` (B, c, h, w), ``weight`` (c, o / groups, 2, 2) as torch has it; (B, o, 2 h, 2 w).
    """
    batch, channels, high, wide = x.shape
    parts = x.reshape(batch, groups, channels // groups, high, wide)
    own = weight.reshape(groups, channels // groups, -1, 2, 2)
    four = torch.einsum("bgchw,gcouv->bgohuwv", parts, own)
    return four.reshape(batch, -1, 2 * high, 2 * wide)
