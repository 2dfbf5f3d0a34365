"""From dataset images to uint8 pixels of a backbone's size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from promptgrid.contract import Backbone, Dataset

PREPROCESSING = "rgb, short side to size (bicubic), centre crop"
CHUNK = 64
KEPT_BYTES = 2**28
"""Patch embeddings that are kept for a program; where there are more, each step computes its own."""


def centre_crop(image: Image, size: int) -> Tensor:
    """(3, size, size) uint8: CLIP's test transform without the normalisation, which the backbone does."""
    width, height = image.size
    if (width, height) != (size, size):
        scale = size / min(width, height)
        wide, high = max(size, round(width * scale)), max(size, round(height * scale))
        image = image.resize((wide, high), Resampling.BICUBIC)
        left, top = (wide - size) // 2, (high - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1)


def read_pixels(dataset: Dataset, indices: Sequence[int], size: int) -> Tensor:
    """Pixels (N, 3, size, size) uint8 of ``indices``.

    Raises:
        OSError: one of them cannot be read.
    """
    pixels, unread = read_what_can_be(dataset, indices, size)
    for error in unread.values():
        raise error
    return pixels


def read_what_can_be(dataset: Dataset, indices: Sequence[int], size: int) -> tuple[Tensor, dict[int, OSError]]:
    """Pixels as :func:`read_pixels`, and why some of ``indices`` cannot be read; these are black."""
    pixels = torch.zeros(len(indices), 3, size, size, dtype=torch.uint8)
    unread: dict[int, OSError] = {}
    for row, index in enumerate(indices):
        try:
            pixels[row] = centre_crop(dataset.read(index), size)
        except OSError as error:
            unread[index] = error
    return pixels, unread


def shown(backbone: Backbone, needs: frozenset[str], pixels: Tensor | None) -> dict[str, Tensor]:
    """The fields of a batch that show images (B, 3, size, size) uint8 to a method that needs this; none to others."""
    found: dict[str, Tensor] = {}
    if pixels is not None and "vision_blocks" in needs:
        found["patches"] = backbone.patches(pixels)
    if pixels is not None and {"pixels", "logits"} & needs:
        found["pixels"] = backbone.normalised(pixels)
    return found


class Pictures:
    """Images that are shown at many steps: their patch embeddings are computed once, where they fit ``KEPT_BYTES``.

    Args:
        pixels: (R, 3, size, size) uint8.
    """

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels
        self._patches: Tensor | None = None
        self._too_many = False

    def shown(self, backbone: Backbone, needs: frozenset[str], rows: Tensor) -> dict[str, Tensor]:
        """As :func:`shown` of the images ``rows`` (N,)."""
        patches = self._kept(backbone) if "vision_blocks" in needs else None
        if patches is None:
            return shown(backbone, needs, self._of(rows))
        rest = needs - {"vision_blocks"}
        found = {"patches": patches.index_select(0, rows.to(patches.device))}
        return found | shown(backbone, rest, self._of(rows)) if rest & {"pixels", "logits"} else found

    def _of(self, rows: Tensor) -> Tensor:
        return self.pixels.index_select(0, rows.to(self.pixels.device))

    def _kept(self, backbone: Backbone) -> Tensor | None:
        """(R, P, width), each row the same to the bit as when it is computed with others."""
        if self._patches is None and not self._too_many:
            first = backbone.patches(self.pixels[:CHUNK])
            self._too_many = first.nbytes / len(first) * len(self.pixels) > KEPT_BYTES
            if not self._too_many:
                parts = torch.split(self.pixels, CHUNK)[1:]
                self._patches = torch.cat([first, *(backbone.patches(part) for part in parts)])
        return self._patches
