"""Frozen image features: computed once per (backbone, dataset split, views), memory-mapped by everybody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Cache, Dataset
from promptgrid.contract.dataset import DamagedExample
from promptgrid.contract.track import Arrays
from promptgrid.spec import canonical_json, digest
from promptgrid.tracks.image.data.pixels import PIXELS, read_what_can_be
from promptgrid.tracks.image.data.views import AUGMENTATION, ImageViews, read_views

CHUNK = 64
WHOLE_SPLIT = 20_000
VIEWS_A_BLOCK, IMAGES_A_BLOCK = 10, 4096
"""Views of few images are computed and kept ten at a time, of very many one at a time."""

Alive = Callable[[], None]


def quietly() -> None:
    """Tells nobody."""


class DamagedData(DamagedExample):
    """An image that this cell needs is damaged."""


class _Unkept(Exception):
    """Features without those of images that the system could not read just now: for this pack, not for the cache."""

    def __init__(self, arrays: Arrays, unread: dict[int, OSError]) -> None:
        super().__init__("not to be kept")
        self.arrays = arrays
        self.unread = unread


@dataclass(frozen=True)
class FeatureTable:
    """Features by dataset index, memory-mapped, with the images that could not be read."""

    rows: dict[int, int]
    features: npt.NDArray[np.float32]
    damaged: dict[int, str]
    unread: dict[int, OSError] = field(default_factory=dict)

    def take(self, indices: Sequence[int]) -> Tensor:
        """(N, width) features of ``indices``, copied out of the map.

        Raises:
            DamagedData: one of them is damaged; the message names the file.
            OSError: one of them could not be read.
        """
        for index in indices:
            if index in self.unread:
                raise self.unread[index]
            if index in self.damaged:
                raise DamagedData(self.damaged[index])
        return torch.from_numpy(self.features[[self.rows[index] for index in indices]])


def feature_table(
    dataset: Dataset, split: str, wanted: Sequence[int], backbone: Backbone, cache: Cache, alive: Alive = quietly
) -> FeatureTable:
    """Features of a whole split, or of ``wanted`` alone where the split is too large to be worth it.

    ``alive`` is called after each few images.
    """
    whole = dataset.splits[split]
    indices = list(whole) if len(whole) <= WHOLE_SPLIT else sorted(set(wanted))
    unread: dict[int, OSError] = {}
    try:
        arrays = cache.get(_name(dataset, indices, backbone, {}), lambda: _compute(dataset, indices, backbone, alive))
    except _Unkept as found:
        arrays, unread = found.arrays, found.unread
    damaged = json.loads(arrays["damaged"].tobytes().decode())
    return FeatureTable(
        rows={index: row for row, index in enumerate(indices)},
        features=arrays["features"],
        damaged={int(index): why for index, why in damaged.items()},
        unread=unread,
    )


def view_features(
    dataset: Dataset,
    indices: Sequence[int],
    views: ImageViews,
    first: int,
    last: int,
    backbone: Backbone,
    cache: Cache,
    alive: Alive = quietly,
) -> Tensor:
    """(V, N, width) features of views ``first`` to ``last`` (not included) of ``indices``.

    They are kept in blocks of a few views each, which all methods, cells and sources share. ``alive`` is called after
    each few images.

    Raises:
        OSError: an image cannot be read.
    """
    each = max(1, min(VIEWS_A_BLOCK, IMAGES_A_BLOCK // max(1, len(indices))))
    most = last if views.count == "online" else int(views.count)
    blocks = []
    for begin in range(first // each * each, last, each):
        end = begin + each if views.count == "online" else min(begin + each, most)
        what = {"augmentation": AUGMENTATION, "views": [views.named(number) for number in range(begin, end)]}
        block = cache.get(
            _name(dataset, indices, backbone, what), partial(_see, dataset, indices, views, begin, end, backbone, alive)
        )
        blocks.append(torch.from_numpy(block["features"][max(first - begin, 0) : last - begin].copy()))
    return torch.cat(blocks)


def _name(dataset: Dataset, indices: Sequence[int], backbone: Backbone, how: dict[str, Any]) -> str:
    """A cache name: all that makes the numbers (data, images, model, transform, views, precision), and a title."""
    about = f"{dataset.card.name} through {backbone.id}, {len(indices)} images"
    return canonical_json(
        {
            "about": f"{about}, {len(how['views'])} views" if how else about,
            "dataset": dataset.card.sha256,
            "images": digest(list(indices)),
            "backbone": backbone.digest,
            "transform": [PIXELS, backbone.preprocessing.plain()],
            "precision": "fp32",
            "version": 2,
        }
        | how
    )


def _compute(dataset: Dataset, indices: Sequence[int], backbone: Backbone, alive: Alive) -> Arrays:
    """Features and what is damaged for good. Raises _Unkept where the system could not read something."""
    features = np.zeros((len(indices), backbone.width), dtype=np.float32)
    damaged: dict[int, str] = {}
    unread: dict[int, OSError] = {}
    for start in range(0, len(indices), CHUNK):
        chunk = indices[start : start + CHUNK]
        pixels, broken = read_what_can_be(dataset, chunk, backbone.preprocessing)
        unread |= {index: error for index, error in broken.items() if error.errno is not None}
        damaged |= {index: str(error) for index, error in broken.items() if error.errno is None}
        features[start : start + len(chunk)] = backbone.encode_pixels(pixels).cpu().numpy()
        alive()
    text = json.dumps({str(index): why for index, why in damaged.items()}).encode()
    arrays: Arrays = {"features": features, "damaged": np.frombuffer(text, dtype=np.uint8).copy()}
    if unread:
        raise _Unkept(arrays, unread)
    return arrays


def _see(
    dataset: Dataset, indices: Sequence[int], views: ImageViews, first: int, last: int, backbone: Backbone, alive: Alive
) -> Arrays:
    features = np.zeros((last - first, len(indices), backbone.width), dtype=np.float32)
    for start in range(0, len(indices), CHUNK // 4):
        part = slice(start, start + CHUNK // 4)
        pixels = read_views(dataset, indices[part], views, first, last, backbone.preprocessing)
        seen = torch.cat([backbone.encode_pixels(chunk) for chunk in torch.split(pixels.flatten(0, 1), CHUNK)])
        features[:, part] = seen.view(*pixels.shape[:2], -1).cpu().numpy()
        alive()
    return {"features": features}
