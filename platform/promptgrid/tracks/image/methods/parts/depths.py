"""One shift of a context from what an image shows at every depth of its tower: style and content of each layer."""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.contract.clip import Params
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.tracks.image.methods.parts.starts import linear

TINY = 2.3e-8
"""What is added to a sum of squares ahead of its root."""


def depths(rng: torch.Generator, vision: TowerShape, width: int) -> Params:
    """Linear maps of style and content of each layer to ``width``, and the weights of the layers.

    They start as torch's Linear; a bias of the weights would add one number to all of a token, which norms cancel.
    """
    params: Params = {}
    for name in ("style", "content"):
        maps = [linear(rng, vision.width, width) for _ in range(vision.layers)]
        params[f"{name}_weight"], params[f"{name}_bias"] = map(torch.stack, zip(*maps, strict=True))
    return params | {"layers": linear(rng, vision.layers, 1)[0][0]}


def shift(params: Params, tokens: Tensor) -> Tensor:
    """(b, L, T, vision width) tokens behind all L blocks to (b, text width)."""
    mean = tokens.mean(2)
    squares = (tokens - mean.unsqueeze(2)).square().sum(2) + TINY
    seen = {"style": (mean + (squares / tokens.shape[2]).sqrt()) / 2, "content": mean}
    told = [
        torch.einsum("bli,loi->blo", each, params[f"{name}_weight"]) + params[f"{name}_bias"]
        for name, each in seen.items()
    ]
    return torch.einsum("blo,l->bo", sum(told) / 2, params["layers"])
