"""Frozen image features: computed once per (backbone, dataset split, views), memory-mapped by everybody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Cache, Dataset
from promptgrid.contract.track import Arrays
from promptgrid.engine.feature_tables import (
    CHUNK,
    Alive,
    FeatureTable,
    Floats,
    in_blocks,
    kept_table,
    quietly,
    whole_or_wanted,
)
from promptgrid.spec import canonical_json, digest
from promptgrid.tracks.image.data.pixels import PIXELS, read_what_can_be
from promptgrid.tracks.image.data.views import AUGMENTATION, ImageViews, read_views

VIEWS_A_BLOCK, IMAGES_A_BLOCK = 10, 4096
"""Views of few images are computed and kept ten at a time, of very many one at a time."""


def feature_table(
    dataset: Dataset, split: str, wanted: Sequence[int], backbone: Backbone, cache: Cache, alive: Alive = quietly
) -> FeatureTable:
    """Features of a whole split, or of ``wanted`` alone where the split is too large to be worth it.

    ``alive`` is called after each few images.
    """
    indices = whole_or_wanted(dataset.splits[split], wanted)

    def encode(chunk: Sequence[int]) -> tuple[Floats, Mapping[int, OSError]]:
        pixels, broken = read_what_can_be(dataset, chunk, backbone.preprocessing)
        return backbone.encode_pixels(pixels).cpu().numpy(), broken

    return kept_table(indices, _name(dataset, indices, backbone, {}), backbone.width, encode, cache, alive)


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

    def block(begin: int, end: int) -> Arrays:
        what = {"augmentation": AUGMENTATION, "views": [views.named(number) for number in range(begin, end)]}
        see = partial(_see, dataset, indices, views, begin, end, backbone, alive)
        return cache.get(_name(dataset, indices, backbone, what), see)

    return in_blocks(first, last, each, None if views.count == "online" else int(views.count), block)


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
