"""Telling two views of an image from those of the others: SimCLR's loss on projected features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Number, Params
from promptgrid.tracks.image.methods.parts.starts import linear

EPSILON = 1e-5
FAR = 1e9


def projector(rng: torch.Generator, width: int) -> Params:
    """A linear map of ``width``, as torch's Linear without its bias, and a batch norm behind it, which cancels one."""
    norm = {"norm_weight": torch.ones(width), "norm_bias": torch.zeros(width)}
    return {"project_weight": linear(rng, width, width)[0]} | norm


def contrast(params: Params, one: Tensor, other: Tensor, temperature: Number) -> Tensor:
    """SimCLR's loss between (B, D) features of two views, each behind the projector by itself."""
    return simclr(_projected(params, one), _projected(params, other), temperature)


def simclr(one: Tensor, other: Tensor, temperature: Number) -> Tensor:
    """The mean of both directions of NT-Xent (Chen et al., 2020): each row's other view among all other rows.

    Args:
        one: (B, D) of one view of each image.
        other: (B, D) of the other view.
        temperature: that cosines are divided by.
    """
    a, b = F.normalize(one, dim=-1), F.normalize(other, dim=-1)
    own = FAR * torch.eye(len(a), dtype=a.dtype, device=a.device)
    right = torch.arange(len(a), device=a.device)
    first, second = (
        F.cross_entropy(torch.cat([x @ y.mT / temperature, x @ x.mT / temperature - own], dim=1), right)
        for x, y in ((a, b), (b, a))
    )
    return (first + second) / 2


def _projected(params: Params, x: Tensor) -> Tensor:
    """(B, D) behind the linear map and the batch norm, which norms by the batch."""
    told = F.linear(x, params["project_weight"])
    centred = told - told.mean(0)
    unit = centred * (centred.square().mean(0) + EPSILON).rsqrt()
    return unit * params["norm_weight"] + params["norm_bias"]
