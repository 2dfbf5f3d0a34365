"""Augmented views of the corpus, and what Lite0 says about each: computed once, read at every step.

Student and teacher see the same view ("a consistent teacher", Beyer et al., 2022), so the features stay right however
strong the augmentation is. View 0 of every picture is the picture as the evaluation prepares it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor, nn

from promptgrid.tracks.image.pretrain.teachers import LITE0_WIDTH, lite0_features

VIEW_SIZE = 48
TEACHER_SIZE = 112


def decode(images: Sequence[bytes]) -> Tensor:
    """WebP bytes to uint8 pictures (n, 3, 64, 64)."""
    arrays = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def resize(pixels: Tensor, size: int) -> Tensor:
    """uint8 or [0, 1] float pictures to [0, 1] float of this size, bicubic with antialiasing."""
    images = pixels.float().div(255) if pixels.dtype == torch.uint8 else pixels
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp_(0, 1)


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
    return (torch.rand(n, generator=rng) < p).view(n, 1, 1, 1)


def _recolour(images: Tensor, rng: Generator) -> Tensor:
    n = len(images)
    images = torch.where(_chance(n, 0.2, rng), images.mean(1, keepdim=True), images)
    images = torch.where(_chance(n, 0.25, rng), 1 - images, images)
    dark = images[:, :, ::63, ::63].mean((1, 2, 3), keepdim=True) < 0.5
    ground = torch.rand(n, 3, 1, 1, generator=rng)
    tinted = torch.where(dark, 1 - (1 - images) * (1 - ground * 0.6), images * (0.4 + 0.6 * ground))
    images = torch.where(_chance(n, 0.25, rng), tinted, images)
    contrast = 0.6 + 0.5 * torch.rand(n, 1, 1, 1, generator=rng)
    middle = torch.rand(n, 1, 1, 1, generator=rng)
    return torch.where(_chance(n, 0.3, rng), middle + (images - middle) * contrast, images)


def _move(images: Tensor, rng: Generator, upright: Tensor) -> Tensor:
    n = len(images)
    angle = torch.randn(n, generator=rng) * math.radians(7)
    scale = torch.exp(torch.empty(n).uniform_(math.log(0.75), math.log(1.5), generator=rng))
    stretch = torch.exp(torch.randn(n, generator=rng) * 0.08)
    mirror = 1.0 - 2.0 * ((torch.rand(n, generator=rng) < 0.3) & ~upright).float()
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = torch.empty(2, n).uniform_(-0.15, 0.15, generator=rng)
    top = torch.stack([cos * stretch * mirror, -sin, shift[0]], 1)
    bottom = torch.stack([sin * mirror, cos / stretch, shift[1]], 1)
    grid = F.affine_grid(torch.stack([top, bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _coarsen(images: Tensor, rng: Generator) -> Tensor:
    rows = torch.nonzero(torch.rand(len(images), generator=rng) < 0.15).flatten()
    if len(rows):
        size = int(torch.randint(8, 33, (1,), generator=rng))
        small = F.interpolate(images[rows], size=(size, size), mode="area")
        images = images.clone()
        images[rows] = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return images


@dataclass(frozen=True)
class Views:
    """`pixels` (n, views, 3, 48, 48) uint8 and `features` (n, views, 1280) float16, in the order of the pictures."""

    pixels: Tensor
    features: Tensor


def make_views(pictures: Tensor, upright: Tensor, count: int, teacher: nn.Module, seed: int) -> Views:
    """`count` views of every picture with Lite0's features; the same seed gives the same views."""
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.empty(len(pictures), count, 3, VIEW_SIZE, VIEW_SIZE, dtype=torch.uint8)
    features = torch.empty(len(pictures), count, LITE0_WIDTH, dtype=torch.float16)
    for start in range(0, len(pictures), 64):
        rows = slice(start, start + 64)
        for view in range(count):
            images = pictures[rows].float().div(255) if view == 0 else augment(pictures[rows], rng, upright[rows])
            pixels[rows, view] = (resize(images, VIEW_SIZE) * 255).round_().to(torch.uint8)
            large = (images * 255).round_().to(torch.uint8)
            features[rows, view] = lite0_features(teacher, large, TEACHER_SIZE).half()
    return Views(pixels, features)


def load_views(path: Path) -> Views:
    """Views from a file of `save_views`, mapped and not read at once."""
    stored = torch.load(path, mmap=True, weights_only=True)
    return Views(stored["pixels"], stored["features"])


def save_views(views: Views, path: Path) -> None:
    """Write views so that a torn file is never taken for a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save({"pixels": views.pixels, "features": views.features}, partial)
    partial.replace(path)
