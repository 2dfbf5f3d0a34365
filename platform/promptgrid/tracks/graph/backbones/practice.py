"""A tower to try methods on: a small GIN with fixed random weights that lies among texts."""

from __future__ import annotations

from promptgrid.tracks.graph.backbone import GraphBackbone, Shape

SHAPE = Shape("gin", inputs=6, width=8, layers=2, text=6)


def practice_tower(shape: Shape = SHAPE) -> GraphBackbone:
    """Its answers mean nothing: it tells whether a method keeps the contract, never how good it is."""
    return GraphBackbone("practice", "0" * 64, shape, shape.drawn("practice"))
