"""Assets at hand: what a method needs besides its support images, looked up for one cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from promptgrid.contract import Backbone, Method, Split
from promptgrid.contract.assets import Pairs, Second
from promptgrid.tracks.image.data.features import feature_table
from promptgrid.tracks.image.data.pixels import read_pixels

if TYPE_CHECKING:
    from promptgrid.tracks.image.data.pack_data import Bench


def stocked(method: Method, split: Split, bench: Bench) -> dict[str, Any]:
    """The fields of a task that hold the assets of ``method``; of methods that need none, nothing.

    Raises:
        DamagedData: an image of the pool cannot be read.
        FileNotFoundError: one of them is gone.
    """
    found: dict[str, Any] = {}
    dataset, needed = bench.dataset, method.assets
    if "unlabelled" in needed:
        found["seen"] = len(split.classes)
        found["unlabelled"] = _features(bench, split.unlabelled, bench.backbone)
        if bench.inside_image_tower:
            found["unlabelled_pixels"] = read_pixels(dataset, split.unlabelled, bench.backbone.preprocessing)
    if "domain_labels" in needed:
        found["domains"] = tuple(dataset.domain_labels[index] for index in split.train)
    if "second_backbone" in needed:
        found["second"] = Second(
            support=_second(bench, split.train),
            unlabelled=_second(bench, split.unlabelled) if "unlabelled" in needed else None,
        )
    if "image_text_pairs" in needed:
        found["pairs"] = _pairs(bench)
    return found


def second_features(bench: Bench, split: str, indices: Sequence[int]) -> Tensor | None:
    """(N, second width) features of images of one split; None for methods that look through one backbone."""
    if bench.second is None:
        return None
    table = feature_table(bench.dataset, split, indices, bench.second, bench.cache, bench.alive)
    return table.take(indices).to(bench.device)


def _second(bench: Bench, indices: Sequence[int]) -> Tensor | None:
    return second_features(bench, "train", indices) if indices else None


def _features(bench: Bench, indices: Sequence[int], backbone: Backbone) -> Tensor:
    table = feature_table(bench.dataset, "train", indices, backbone, bench.cache, bench.alive)
    return bench.given(table.take(indices).to(bench.device))


def _pairs(bench: Bench) -> Pairs:
    """Every dataset of the pool has its features in the same tables that its own cells use."""
    if bench.pairs is None:
        raise ValueError("the bench of this method has no image-text pairs")
    pool = bench.pairs()
    tables = [
        feature_table(dataset, "train", indices, bench.backbone, bench.cache, bench.alive).take(indices)
        for dataset, indices in pool.parts
    ]
    said = pool.captions()
    captions = tuple(dict.fromkeys(said))
    place = {caption: position for position, caption in enumerate(captions)}
    which = torch.tensor([place[caption] for caption in said], device=bench.device)
    return Pairs(bench.given(torch.cat(tables).to(bench.device)), captions, which)
