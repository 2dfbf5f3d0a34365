"""Assets at hand: what a method needs besides its support images, looked up for one cell."""

from __future__ import annotations

from typing import Any

import torch

from promptgrid.contract.assets import Pairs, Second
from promptgrid.contract.clip import Method, Split
from promptgrid.tracks.image.data.tables import ImageTables


def assets_of(method: Method, split: Split, data: ImageTables) -> dict[str, Any]:
    """What a task is given for the assets of ``method``, by name; for methods that need none, nothing.

    Raises:
        DamagedData: an image of the pool cannot be read.
        FileNotFoundError: one of them is gone.
    """
    found: dict[str, Any] = {}
    dataset, needed = data.opened.dataset, method.assets
    if "unlabelled" in needed:
        found["seen"] = len(split.classes)
        found["unlabelled"] = data.given(data.table_of(data.backbone, "train", split.unlabelled))
        if data.inside_image_tower:
            found["unlabelled_pixels"] = data.pool_pixels(split.unlabelled)
    if "domain_labels" in needed:
        found["domains"] = tuple(dataset.domain_labels[index] for index in split.train)
    if "second_backbone" in needed:
        found["second"] = Second(
            support=data.second_features("train", split.train),
            unlabelled=data.second_features("train", split.unlabelled) if "unlabelled" in needed else None,
        )
    if "image_text_pairs" in needed:
        found["pairs"] = _pairs(data)
    return found


def _pairs(data: ImageTables) -> Pairs:
    """Every dataset of the pool has its features in the same tables that its own cells use."""
    if data.looking.pairs is None:
        raise ValueError("this pack's data has no image-text pairs")
    pool = data.looking.pairs()
    tables = [data.table_of(data.backbone, "train", indices, dataset) for dataset, indices in pool.parts]
    said = pool.captions()
    captions = tuple(dict.fromkeys(said))
    place = {caption: position for position, caption in enumerate(captions)}
    which = torch.tensor([place[caption] for caption in said], device=data.device)
    return Pairs(data.given(torch.cat(tables)), captions, which)
