"""Views that a method asks for beside the one an image is learned from: MoCo v3's, AugMix's, or the centre crop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import ImageEnhance, ImageFilter, ImageOps
from PIL.Image import Image, Resampling, Transform, fromarray, merge
from torch import Tensor

from promptgrid.contract.clip import Dataset, Preprocessing, stream
from promptgrid.tracks.image.data.pixels import prepared
from promptgrid.tracks.image.data.views import cropped

VERSION = "drawn from the seed of the step, version 1"
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.1
BLUR, AT = (0.1, 2.0), 224
"""Deviations of the blur in pixels, and the size of the images they are said of."""
CHAINS, LONGEST = 3, 3


@dataclass(frozen=True)
class Beside:
    """Views of the training images ``indices`` of ``dataset``, of each of ``kinds`` one at every step.

    A view depends on its dataset, kind and image and on the seed of the step: all cells that draw the same batches see
    the same views, and the next epoch brings new ones. ``centre`` depends on the image alone.
    """

    dataset: Dataset
    indices: tuple[int, ...]
    kinds: tuple[str, ...]
    how: Preprocessing

    def __call__(self, positions: Tensor, seed: int) -> Tensor:
        """(B, kinds, 3, height, width) uint8 of the images at ``positions`` (B,) among ``indices``.

        Raises:
            OSError: an image cannot be read.
        """
        rows = []
        for position in positions.tolist():
            index = self.indices[position]
            image = self.dataset.read(index)
            for kind in self.kinds:
                rng = stream("beside", self.dataset.card.sha256, kind, index, seed)
                rows.append(torch.from_numpy(np.array(RESTYLED[kind](image, self.how, rng), dtype=np.uint8)))
        return torch.stack(rows).permute(0, 3, 1, 2).reshape(len(positions), len(self.kinds), 3, *self.how.size)


def moco(image: Image, how: Preprocessing, rng: torch.Generator) -> Image:
    """MoCo v3's view without solarising: crop, flip, colour jitter (.8), grey (.2), blur (Chen et al., 2021, app. A).

    The four jitters come in a drawn order. The blur's deviation goes with the size of the view.
    """
    view = cropped(image, how, rng)
    jittered, grey = torch.rand(2, generator=rng).tolist()
    if jittered < 0.8:
        spans = torch.rand(4, generator=rng).tolist()
        for which in torch.randperm(4, generator=rng).tolist():
            view = _jittered(view, which, 2.0 * spans[which] - 1.0)
    if grey < 0.2:
        view = view.convert("L").convert("RGB")
    low, high = BLUR
    deviation = low + (high - low) * _uniform(rng)
    return view.filter(ImageFilter.GaussianBlur(deviation * how.side / AT))


def augmix(image: Image, how: Preprocessing, rng: torch.Generator) -> Image:
    """AugMix (Hendrycks et al., 2020) at severity 1: m view + (1 - m) sum_i w_i chain_i(view), the view a crop.

    Three chains of one to three operations each, w ~ Dirichlet(1, 1, 1), m ~ Beta(1, 1); whole grey levels.
    """
    view = cropped(image, how, rng)
    weights = -torch.rand(CHAINS, generator=rng, dtype=torch.float64).clamp_min(1e-300).log()
    weights, kept = weights / weights.sum(), _uniform(rng)
    mixed = np.zeros((*how.size, 3))
    for weight in weights.tolist():
        chain = view
        for _ in range(1 + int(torch.randint(LONGEST, (), generator=rng))):
            change = OPERATIONS[int(torch.randint(len(OPERATIONS), (), generator=rng))]
            chain = change(chain, 0.1 + 0.9 * _uniform(rng), -1.0 if _uniform(rng) < 0.5 else 1.0)
        mixed += weight * np.asarray(chain, dtype=np.float64)
    found = kept * np.asarray(view, dtype=np.float64) + (1.0 - kept) * mixed
    return fromarray(np.rint(found).astype(np.uint8))


def centre(image: Image, how: Preprocessing, rng: torch.Generator) -> Image:
    """The image as it is tested."""
    return fromarray(prepared(image, how).permute(1, 2, 0).numpy())


def _jittered(view: Image, which: int, way: float) -> Image:
    """One of brightness, contrast, saturation and hue moved by ``way`` (-1 .. 1) of its range."""
    if which == 0:
        return ImageEnhance.Brightness(view).enhance(1.0 + BRIGHTNESS * way)
    if which == 1:
        return ImageEnhance.Contrast(view).enhance(1.0 + CONTRAST * way)
    if which == 2:
        return ImageEnhance.Color(view).enhance(1.0 + SATURATION * way)
    hue, saturation, value = view.convert("HSV").split()
    turned = hue.point([(level + round(256 * HUE * way)) % 256 for level in range(256)])
    return merge("HSV", (turned, saturation, value)).convert("RGB")


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng, dtype=torch.float64))


def _whole(level: float, most: float) -> int:
    return math.floor(level * most / 10)


def _moved(view: Image, *matrix: float) -> Image:
    return view.transform(view.size, Transform.AFFINE, matrix, resample=Resampling.BILINEAR)


Operation = Callable[[Image, float, float], Image]
"""Of a view, a level in .1 .. 1 (severity 1 of 10) and a sign."""
OPERATIONS: tuple[Operation, ...] = (
    lambda view, level, sign: ImageOps.autocontrast(view),
    lambda view, level, sign: ImageOps.equalize(view),
    lambda view, level, sign: ImageOps.posterize(view, 4 - _whole(level, 4)),
    lambda view, level, sign: view.rotate(sign * _whole(level, 30), resample=Resampling.BILINEAR),
    lambda view, level, sign: ImageOps.solarize(view, 256 - _whole(level, 256)),
    lambda view, level, sign: _moved(view, 1, sign * level * 0.03, 0, 0, 1, 0),
    lambda view, level, sign: _moved(view, 1, 0, 0, sign * level * 0.03, 1, 0),
    lambda view, level, sign: _moved(view, 1, 0, sign * _whole(level, view.width / 3), 0, 1, 0),
    lambda view, level, sign: _moved(view, 1, 0, 0, 0, 1, sign * _whole(level, view.height / 3)),
)
"""Autocontrast, equalise, posterise, rotate, solarise, two shears, two translations."""
Restyle = Callable[[Image, Preprocessing, torch.Generator], Image]
RESTYLED: dict[str, Restyle] = {"moco": moco, "augmix": augmix, "centre": centre}
