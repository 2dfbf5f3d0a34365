"""From dataset images to the uint8 pixels that a backbone reads, by its own preprocessing."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL.Image import Image, Resampling
from PIL.Image import new as new_image
from torch import Tensor

from promptgrid.contract.clip import Dataset, Preprocessing

PIXELS = "rgb, then the evaluation transform of open_clip, version 1"
"""What of the code below names cells and features: raise it where a pixel changes."""
THUMBNAIL = 64
"""Pixels of the longer side of an image in a report."""


def prepared(image: Image, how: Preprocessing) -> Tensor:
    """(3, height, width) uint8: the model's own test transform without the normalisation, which the backbone does.

    The sizes are those of torchvision's ``Resize`` and ``CenterCrop`` and of open_clip's own for ``longest``.
    """
    if (image.height, image.width) != how.size:
        image = {"shortest": _shortest, "longest": _longest, "squash": _squashed}[how.resize_mode](image, how)
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1)


def thumbnail(image: Image) -> bytes:
    """``image`` as a small WebP, for a report."""
    small, out = image.convert("RGB"), io.BytesIO()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(out, "WEBP", quality=60, method=6)
    return out.getvalue()


RESAMPLING = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR}


def _squashed(image: Image, how: Preprocessing) -> Image:
    return image.resize(how.size[::-1], RESAMPLING[how.interpolation])


def _shortest(image: Image, how: Preprocessing) -> Image:
    """The shorter side to size, the longer one truncated to whole pixels, and the middle cut out."""
    high, wide = how.size
    if not how.is_square:  # open_clip scales these by another rule, always bicubic
        return _middle(_scaled(image, min(image.height / high, image.width / wide), Resampling.BICUBIC), how)
    short, long = sorted(image.size)
    longer = int(high * long / short)
    size = (high, longer) if image.width <= image.height else (longer, high)
    if image.size != size:
        image = image.resize(size, RESAMPLING[how.interpolation])
    return _middle(image, how)


def _longest(image: Image, how: Preprocessing) -> Image:
    """The longer side to size, the rest filled evenly on both sides."""
    high, wide = how.size
    ratio = max(image.height / high, image.width / wide)
    image = _scaled(image, ratio, RESAMPLING[how.interpolation])
    fill = how.fill if isinstance(how.fill, tuple) else (how.fill,) * 3
    room = new_image("RGB", (max(wide, image.width), max(high, image.height)), fill)
    room.paste(image, ((room.width - image.width) // 2, (room.height - image.height) // 2))
    return _middle(room, how)


def _scaled(image: Image, ratio: float, kind: Resampling) -> Image:
    size = max(1, round(image.width / ratio)), max(1, round(image.height / ratio))
    return image if image.size == size else image.resize(size, kind)


def _middle(image: Image, how: Preprocessing) -> Image:
    high, wide = how.size
    top, left = round((image.height - high) / 2.0), round((image.width - wide) / 2.0)
    return image.crop((left, top, left + wide, top + high))


def read_pixels(dataset: Dataset, indices: Sequence[int], how: Preprocessing) -> Tensor:
    """Pixels (N, 3, height, width) uint8 of ``indices``.

    Raises:
        OSError: one of them cannot be read.
    """
    pixels, unread = read_what_can_be(dataset, indices, how)
    for error in unread.values():
        raise error
    return pixels


def read_what_can_be(dataset: Dataset, indices: Sequence[int], how: Preprocessing) -> tuple[Tensor, dict[int, OSError]]:
    """Pixels as :func:`read_pixels`, and why some of ``indices`` cannot be read; these are black."""
    pixels = torch.zeros(len(indices), 3, *how.size, dtype=torch.uint8)
    unread: dict[int, OSError] = {}
    for row, index in enumerate(indices):
        try:
            pixels[row] = prepared(dataset.read(index), how)
        except OSError as error:
            unread[index] = error
    return pixels, unread
