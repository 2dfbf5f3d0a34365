"""A small world of graphs: a ring of communities with features of their own, and a tower nobody trained."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from promptgrid.tracks.graph.backbone import GraphBackbone, Shape
from promptgrid.tracks.graph.datasets.graph import Graph, GraphDataset, Source, both_ways

CLASSES = ("one", "two", "three")
WIDE, SIZE = 6, 30


@cache
def dataset() -> GraphDataset:
    """Thirty nodes a class, linked within their class and now and then beyond it."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), SIZE)
    edges = [(a, b) for a in range(90) for b in range(a) if rng.random() < (0.15 if labels[a] == labels[b] else 0.01)]
    features = torch.from_numpy(rng.normal(0, 1, (90, WIDE)).astype(np.float32) + 1.5 * np.eye(3, WIDE)[labels]).float()
    spoken = dict(zip(CLASSES, torch.eye(3, WIDE), strict=True))
    source = Source("world", "world", Graph(features, both_ways(edges)), labels.tolist(), CLASSES, spoken=spoken)
    return source.dataset()


def tower(kind: str, text: int = WIDE) -> GraphBackbone:
    """A small random tower of two layers."""
    shape = Shape(kind, WIDE, 8, 2, text)  # type: ignore[arg-type]
    return GraphBackbone(kind, "0" * 64, shape, shape.drawn("world", kind))
