"""Augmented views of pictures, made where the pictures lie, afresh at every step.

Student and teacher see the same view ("a consistent teacher", Beyer et al., 2022), so the teacher stays right however
strong the augmentation is. A share of the views is the picture as the evaluation prepares it.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

VIEW_SIZE = 48
TEACHER_SIZE = 112
PLAIN_SHARE = 0.25  # views that are the unchanged picture


def decode(images: Sequence[bytes]) -> Tensor:
    """WebP bytes to uint8 pictures (n, 3, 64, 64)."""
    arrays = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def resize(pixels: Tensor, size: int) -> Tensor:
    """uint8 or [0, 1] float pictures to [0, 1] float of this size, bicubic with antialiasing."""
    images = pixels.float().div(255) if pixels.dtype == torch.uint8 else pixels
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp_(0, 1)


def resample(images: Tensor, size: int) -> Tensor:
    """What `resize` makes of float pictures (n, 3, h, h), by two matrix products: many times quicker on a device."""
    weights = _taps(images.shape[-1], size, images.device)
    return (weights @ images @ weights.T).clamp_(0, 1)


@functools.cache
def _taps(before: int, after: int, device: torch.device) -> Tensor:
    """The (after, before) matrix of the antialiased bicubic filter along one side."""
    impulses = torch.eye(before)[None, None]
    return F.interpolate(impulses, size=(after, before), mode="bicubic", antialias=True)[0, 0].to(device)


def view(pixels: Tensor, rng: Generator, upright: Tensor) -> Tensor:
    """One view in [0, 1] of each uint8 picture (n, 3, h, w): augmented, or as it is for a quarter of them."""
    return torch.where(_chance(len(pixels), PLAIN_SHARE, rng), pixels.float() / 255, augment(pixels, rng, upright))


def augment(pixels: Tensor, rng: Generator, upright: Tensor) -> Tensor:
    """uint8 pictures (n, 3, h, w) to changed ones in [0, 1], same size.

    Some turned to their negative, another ground, grey, or coarse; all moved, scaled and turned a little;
    those not `upright` (n,) are mirrored now and then.
    """
    images = pixels.float().div_(255)
    images = _recolour(images, rng)
    images = _move(images, rng, upright)
    return _coarsen(images, rng).clamp_(0, 1)


def _chance(n: int, p: float, rng: Generator) -> Tensor:
    return (torch.rand(n, generator=rng, device=rng.device) < p).view(n, 1, 1, 1)


def _recolour(images: Tensor, rng: Generator) -> Tensor:
    n = len(images)
    images = torch.where(_chance(n, 0.2, rng), images.mean(1, keepdim=True), images)
    images = torch.where(_chance(n, 0.25, rng), 1 - images, images)
    dark = images[:, :, ::63, ::63].mean((1, 2, 3), keepdim=True) < 0.5
    ground = torch.rand(n, 3, 1, 1, generator=rng, device=rng.device)
    tinted = torch.where(dark, 1 - (1 - images) * (1 - ground * 0.6), images * (0.4 + 0.6 * ground))
    images = torch.where(_chance(n, 0.25, rng), tinted, images)
    contrast = 0.6 + 0.5 * torch.rand(n, 1, 1, 1, generator=rng, device=rng.device)
    middle = torch.rand(n, 1, 1, 1, generator=rng, device=rng.device)
    return torch.where(_chance(n, 0.3, rng), middle + (images - middle) * contrast, images)


def _move(images: Tensor, rng: Generator, upright: Tensor) -> Tensor:
    n = len(images)
    angle = torch.randn(n, generator=rng, device=rng.device) * math.radians(7)
    scale = torch.exp(torch.empty(n, device=rng.device).uniform_(math.log(0.75), math.log(1.5), generator=rng))
    stretch = torch.exp(torch.randn(n, generator=rng, device=rng.device) * 0.08)
    mirror = 1.0 - 2.0 * ((torch.rand(n, generator=rng, device=rng.device) < 0.3) & ~upright).float()
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = torch.empty(2, n, device=rng.device).uniform_(-0.15, 0.15, generator=rng)
    top = torch.stack([cos * stretch * mirror, -sin, shift[0]], 1)
    bottom = torch.stack([sin * mirror, cos / stretch, shift[1]], 1)
    grid = F.affine_grid(torch.stack([top, bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _coarsen(images: Tensor, rng: Generator) -> Tensor:
    rows = torch.nonzero(torch.rand(len(images), generator=rng, device=rng.device) < 0.15).flatten()
    if len(rows):
        size = int(torch.randint(8, 33, (1,), generator=rng, device=rng.device))
        small = F.interpolate(images[rows], size=(size, size), mode="area")
        images = images.clone()
        images[rows] = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return images
