"""The fifteen kinds of ImageNet-C at five severities, drawn from a stream.

Source: Hendrycks and Dietterich, ICLR 2019; hendrycks/robustness e0377d4 (``make_imagenet_c.py``), whose constants
these are, for images of 224 x 224. The arithmetic is ours, on numpy, scipy and Pillow.
Deviations: the image is brought to 224 by its short side and cut (theirs: 256, then 224), and kept without another
JPEG; ``glass_blur`` looks each pixel up in its neighbourhood, where theirs swaps neighbours one by one; ``frost`` lays
ridges of a random height map on the image, where theirs has six photographs; ``elastic_transform`` interpolates once.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage

from promptgrid.contract.clip import Preprocessing
from promptgrid.tracks.image.data.pixels import prepared

VERSION = "the kinds of ImageNet-C, version 1"
SIDE, SEVERITIES = 224, (1, 2, 3, 4, 5)
Pixels = npt.NDArray[Any]
"""Floats, (224, 224, channels)."""
Rng = torch.Generator


def corrupted(image: Image.Image, kind: str, severity: int, rng: Rng) -> Image.Image:
    """``image`` as 224 x 224 RGB, corrupted; what is random comes from ``rng`` alone."""
    clean = prepared(image, Preprocessing.square(SIDE)).permute(1, 2, 0).numpy() / 255.0
    found = KINDS[kind](clean, severity - 1, rng)
    return Image.fromarray(np.rint(255.0 * np.clip(found, 0.0, 1.0)).astype(np.uint8))


def _normal(rng: Rng, *shape: int) -> Pixels:
    return torch.randn(shape, generator=rng, dtype=torch.float64).numpy()


def _uniform(rng: Rng, low: float, high: float, *shape: int) -> Pixels:
    return low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64).numpy()


def _gaussian_noise(x: Pixels, s: int, rng: Rng) -> Pixels:
    return x + (0.08, 0.12, 0.18, 0.26, 0.38)[s] * _normal(rng, *x.shape)


def _shot_noise(x: Pixels, s: int, rng: Rng) -> Pixels:
    rate = (60, 25, 12, 5, 3)[s]
    counted: Pixels = torch.poisson(torch.from_numpy(x * rate), generator=rng).numpy()
    return counted / rate


def _impulse_noise(x: Pixels, s: int, rng: Rng) -> Pixels:
    drawn, share = _uniform(rng, 0.0, 1.0, 2, *x.shape), (0.03, 0.06, 0.09, 0.17, 0.27)[s]
    return np.where(drawn[0] < share, drawn[1].round(), x)


def _defocus_blur(x: Pixels, s: int, rng: Rng) -> Pixels:
    radius, soft = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[s]
    reach = max(8, radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.float64)
    disk = ndimage.gaussian_filter(disk / disk.sum(), soft, radius=1 if radius <= 8 else 2, mode="mirror")
    return ndimage.convolve(x, disk[..., None], mode="mirror")


def _glass_blur(x: Pixels, s: int, rng: Rng) -> Pixels:
    sigma, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[s]
    x = ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest")
    for _ in range(times):
        moved = torch.randint(-reach, reach, (2, SIDE, SIDE), generator=rng).numpy() + np.indices((SIDE, SIDE))
        rows, columns = moved.clip(0, SIDE - 1)
        x = x[rows, columns]
    return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest")


def _smeared(x: Pixels, length: int, sigma: float, degrees: float) -> Pixels:
    """Mean along a line from each pixel on, weights half a Gaussian of ``sigma``; edges are held."""
    steps = np.arange(2 * length + 1)
    weights = np.exp(-(steps**2) / (2.0 * sigma**2))
    angle, places, found = np.deg2rad(degrees), np.arange(SIDE), np.zeros_like(x)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down, right = round(step * np.sin(angle)), round(step * np.cos(angle))
        found += weight * x[(places + down).clip(0, SIDE - 1)][:, (places + right).clip(0, SIDE - 1)]
    return found


def _motion_blur(x: Pixels, s: int, rng: Rng) -> Pixels:
    length, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[s]
    return _smeared(x, length, sigma, float(_uniform(rng, -45.0, 45.0)))


def _zoomed(x: Pixels, factor: float) -> Pixels:
    """The middle of ``x``, as large as the whole."""
    cut = int(np.ceil(SIDE / factor))
    first = (SIDE - cut) // 2
    large = ndimage.zoom(x[first : first + cut, first : first + cut], (factor, factor, 1), order=1)
    trim = (large.shape[0] - SIDE) // 2
    return large[trim : trim + SIDE, trim : trim + SIDE]


def _zoom_blur(x: Pixels, s: int, rng: Rng) -> Pixels:
    most, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[s]
    factors = np.arange(1.0, most, step)
    return (x + sum(_zoomed(x, factor) for factor in factors)) / (len(factors) + 1)


def _snow(x: Pixels, s: int, rng: Rng) -> Pixels:
    mean, spread, zoom, least, length, sigma, kept = (
        (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[s]
    flakes = _zoomed(mean + spread * _normal(rng, SIDE, SIDE, 1), zoom)
    flakes = np.where(flakes < least, 0.0, flakes).clip(0.0, 1.0)
    flakes = _smeared(flakes, length, sigma, float(_uniform(rng, -135.0, -45.0)))
    grey = x @ np.array([[0.299], [0.587], [0.114]])
    return np.asarray(kept * x + (1.0 - kept) * np.maximum(x, 1.5 * grey + 0.5) + flakes + np.rot90(flakes, 2))


def _heights(rng: Rng, decay: float) -> Pixels:
    """(224, 224) a height map in 0 .. 1 by the diamond-square rule on a torus of 256, noise falling by ``decay``."""
    size, step, rough = 256, 256, 100.0
    heights = np.zeros((size, size))
    while step >= 2:
        half, swing = step // 2, rough * rough
        grid = heights[::step, ::step]
        ahead = grid + np.roll(grid, -1, 0)
        middle = (ahead + np.roll(ahead, -1, 1)) / 4 + _uniform(rng, -swing, swing, *grid.shape)
        heights[half::step, half::step] = middle
        across = middle + np.roll(middle, 1, 0) + grid + np.roll(grid, -1, 1)
        heights[::step, half::step] = across / 4 + _uniform(rng, -swing, swing, *grid.shape)
        down = middle + np.roll(middle, 1, 1) + grid + np.roll(grid, -1, 0)
        heights[half::step, ::step] = down / 4 + _uniform(rng, -swing, swing, *grid.shape)
        step, rough = half, rough / decay
    heights -= heights.min()
    found: Pixels = (heights / heights.max())[:SIDE, :SIDE]
    return found


def _frost(x: Pixels, s: int, rng: Rng) -> Pixels:
    kept, laid = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[s]
    ridges = (1.0 - np.abs(2.0 * _heights(rng, 1.6) - 1.0)) ** 3
    return np.asarray(kept * x + laid * ridges[..., None] * np.array([0.75, 0.88, 1.0]))


def _fog(x: Pixels, s: int, rng: Rng) -> Pixels:
    dense, decay = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[s]
    most = x.max()
    return np.asarray((x + dense * _heights(rng, decay)[..., None]) * most / (most + dense))


def _brightness(x: Pixels, s: int, rng: Rng) -> Pixels:
    """The value of HSV is raised; hue and saturation stay."""
    value = x.max(-1, keepdims=True)
    raised = (value + (0.1, 0.2, 0.3, 0.4, 0.5)[s]).clip(0.0, 1.0)
    return np.asarray(np.where(value > 0.0, x / np.maximum(value, 1e-12) * raised, raised))


def _contrast(x: Pixels, s: int, rng: Rng) -> Pixels:
    mean = x.mean((0, 1), keepdims=True)
    return np.asarray((x - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[s] + mean)


def _elastic_transform(x: Pixels, s: int, rng: Rng) -> Pixels:
    strength, sigma, bend = (244.0 * np.array(own) for own in (
        (2.0, 2.0, 0.05, 0.07, 0.12), (0.7, 0.08, 0.01, 0.01, 0.01), (0.1, 0.2, 0.02, 0.02, 0.02)))  # fmt: skip
    middle, third = SIDE / 2, SIDE // 3
    corners = np.array([[middle + third] * 2, [middle + third, middle - third], [middle - third] * 2])
    moved = corners + _uniform(rng, -bend[s], bend[s], 3, 2)
    back = np.linalg.solve(np.c_[moved, np.ones(3)], corners)  # (3, 2): where a pixel comes from
    shifts = [ndimage.gaussian_filter(_uniform(rng, -1.0, 1.0, SIDE, SIDE), sigma[s], mode="reflect", truncate=3.0)
              for _ in range(2)]  # fmt: skip
    places = np.stack([*(np.indices((SIDE, SIDE)) + strength[s] * np.array(shifts)), np.ones((SIDE, SIDE))], -1) @ back
    rows, columns = places[..., 0], places[..., 1]
    return np.stack(
        [ndimage.map_coordinates(x[..., c], [rows, columns], order=1, mode="reflect") for c in range(3)], -1
    )


def _as_image(x: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(255.0 * x).astype(np.uint8))


def _pixelate(x: Pixels, s: int, rng: Rng) -> Pixels:
    few = int(SIDE * (0.6, 0.5, 0.4, 0.3, 0.25)[s])
    small = _as_image(x).resize((few, few), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255.0


def _jpeg_compression(x: Pixels, s: int, rng: Rng) -> Pixels:
    held = io.BytesIO()
    _as_image(x).save(held, "JPEG", quality=(25, 18, 15, 10, 7)[s])
    return np.asarray(Image.open(held).convert("RGB")) / 255.0


KINDS: dict[str, Callable[[Pixels, int, Rng], Pixels]] = {
    kind.__name__.removeprefix("_"): kind
    for kind in (
        _gaussian_noise, _shot_noise, _impulse_noise, _defocus_blur, _glass_blur, _motion_blur, _zoom_blur, _snow,
        _frost, _fog, _brightness, _contrast, _elastic_transform, _pixelate, _jpeg_compression,
    )
}  # fmt: skip
"""By name: (224, 224, 3) of 0 .. 1, a severity from 0, a stream, to as many; what lies outside 0 .. 1 is cut off."""
