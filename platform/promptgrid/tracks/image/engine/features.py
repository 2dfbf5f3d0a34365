"""Frozen image features: computed once per (backbone, dataset split), memory-mapped by everybody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract import Backbone, Cache, Dataset
from promptgrid.contract.track import Arrays
from promptgrid.spec import canonical_json, digest
from promptgrid.tracks.image.engine.pixels import PREPROCESSING, read_pixels

CHUNK = 256
WHOLE_SPLIT = 20_000


class DamagedData(OSError):
    """An image that this cell needs cannot be read."""


@dataclass(frozen=True)
class FeatureTable:
    """Features by dataset index, with the images that could not be read."""

    rows: dict[int, int]
    features: Tensor
    damaged: dict[int, str]

    def take(self, indices: Sequence[int]) -> Tensor:
        """(N, width) features of ``indices``.

        Raises:
            DamagedData: one of them could not be read; the message names the file.
            FileNotFoundError: one of them is gone.
        """
        for index in indices:
            if index in self.damaged:
                kind, _, why = self.damaged[index].partition(": ")
                raise (FileNotFoundError if kind == "FileNotFoundError" else DamagedData)(why)
        return self.features[torch.tensor([self.rows[index] for index in indices])]


def feature_table(
    dataset: Dataset,
    split: str,
    wanted: Sequence[int],
    backbone: Backbone,
    cache: Cache,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureTable:
    """Features of a whole split, or of ``wanted`` alone where the split is too large to be worth it.

    The cache name holds all that makes the numbers: data digest, images, weights digest, transform, precision.
    """
    whole = dataset.splits[split]
    indices = list(whole) if len(whole) <= WHOLE_SPLIT else sorted(set(wanted))
    name = canonical_json(
        {
            "dataset": dataset.card.sha256,
            "images": digest(indices),
            "backbone": backbone.digest,
            "transform": [PREPROCESSING, backbone.image_size],
            "precision": "fp32",
            "version": 1,
        }
    )
    arrays = cache.get(name, lambda: _compute(dataset, indices, backbone, progress))
    damaged = json.loads(arrays["damaged"].tobytes().decode())
    return FeatureTable(
        rows={index: row for row, index in enumerate(indices)},
        features=torch.from_numpy(np.array(arrays["features"])),
        damaged={int(index): why for index, why in damaged.items()},
    )


def _compute(
    dataset: Dataset, indices: Sequence[int], backbone: Backbone, progress: Callable[[int, int], None]
) -> Arrays:
    features = np.zeros((len(indices), backbone.width), dtype=np.float32)
    damaged: dict[int, str] = {}
    for start in range(0, len(indices), CHUNK):
        chunk = indices[start : start + CHUNK]
        pixels, broken = read_pixels(dataset, chunk, backbone.image_size)
        damaged |= broken
        features[start : start + len(chunk)] = backbone.encode_pixels(pixels).cpu().numpy()
        progress(start + len(chunk), len(indices))
    text = json.dumps({str(index): why for index, why in damaged.items()}).encode()
    return {"features": features, "damaged": np.frombuffer(text, dtype=np.uint8).copy()}
