"""Images as people hand them over (paths, folders, PIL images, arrays, tensors), read as the engine reads its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from promptgrid.tracks.image.datasets.decoding import SUFFIXES, as_rgb
from promptgrid.tracks.image.datasets.files import read_image

Pixels = npt.NDArray[Any]
Images = str | Path | Image.Image | Pixels | Tensor | Iterable["Images"]
"""One image or many. A path may be a folder: all images below it, by name."""
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Given:
    """One image: what to call it, and how to read it as RGB."""

    name: str
    read: Callable[[], Image.Image]


def given_images(images: Images) -> tuple[list[Given], bool]:
    """The images, and whether it is one image by itself that was given.

    Raises:
        FileNotFoundError: a path that leads nowhere.
        ValueError: an array that is no image.
        TypeError: something else.
    """
    if isinstance(images, str | Path):
        path = Path(images).expanduser()
        return (_below(path), False) if path.is_dir() else ([_file(path)], True)
    if isinstance(images, Image.Image):
        return [Given(getattr(images, "filename", "") or "image", partial(as_rgb, images, "image"))], True
    if isinstance(images, Tensor | np.ndarray):
        return _arrays(images)
    if not isinstance(images, Iterable):
        raise TypeError(f"no image: {type(images).__name__}; give a path, a folder, a PIL image, an array, a tensor, "
                        "or a list of them")  # fmt: skip
    several = [one for part in images for one in given_images(part)[0]]
    return [
        Given(f"image {at}" if one.name == "image" else one.name, one.read) for at, one in enumerate(several)
    ], False


def _file(path: Path) -> Given:
    if not path.exists():
        raise FileNotFoundError(f"no such image: {path}")
    return Given(str(path), partial(read_image, path))


def _below(folder: Path) -> list[Given]:
    found = sorted(
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    )
    return [_file(path) for path in found]


def _arrays(values: Tensor | Pixels) -> tuple[list[Given], bool]:
    """(H, W), (H, W, C) or (N, H, W, C) of an array, (H, W), (C, H, W) or (N, C, H, W) of a tensor."""
    first = isinstance(values, Tensor)
    whole = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    many = whole if whole.ndim == 4 else whole[None]
    rows = [_channels_last(one, first) for one in many]
    found = [
        Given("image" if len(rows) == 1 else f"image {at}", partial(_as_image, one)) for at, one in enumerate(rows)
    ]
    return found, whole.ndim < 4


def _channels_last(values: Pixels, first: bool) -> Pixels:
    if values.ndim == 2:
        return values[..., None]
    if values.ndim != 3:
        raise ValueError(f"no image: an array of shape {values.shape}; expected height, width and channels")
    ends = (0, -1) if first else (-1, 0)
    for axis in ends:
        if values.shape[axis] in CHANNELS:
            return np.moveaxis(values, axis, -1)
    raise ValueError(f"no image: an array of shape {values.shape} has no axis of 1, 3 or 4 channels")


def _as_image(values: Pixels) -> Image.Image:
    eight = _eight_bit(values)
    return as_rgb(Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight), "image")


def _eight_bit(values: Pixels) -> npt.NDArray[np.uint8]:
    """Whole numbers from 0 to 255, 16-bit ones (``uint16``) scaled, and floats from 0 to 1."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.uint16:
        return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if np.issubdtype(values.dtype, np.floating):
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(
                f"floats from {low:.3g} to {high:.3g}: give images as they are, from 0 to 1, not normalised"
            )
        return np.rint(values.astype(np.float64) * 255.0).astype(np.uint8)
    if not 0 <= low <= high <= 255:
        raise ValueError(f"numbers from {low:.0f} to {high:.0f}, expected 0 to 255")
    return values.astype(np.uint8)
