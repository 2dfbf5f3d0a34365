"""What a step of a graph method is expected to take."""

from __future__ import annotations

from collections.abc import Mapping

from promptgrid.contract.method import Method
from promptgrid.engine.planning.packing import Room
from promptgrid.tracks.graph.datasets.graph import MOST

ACTIVATIONS = 12
"""Numbers kept a node and layer for the way back, in widths."""


def forward_flops(sizes: Mapping[str, int], examples: int) -> float:
    """Multiply-adds, doubled, of passing ``examples`` through the tower once."""
    return 2.0 * sizes["numbers"] * MOST * examples


def step_flops(method: Method, sizes: Mapping[str, int], batch: int) -> float:
    """Of one training step; a method says by ``passes`` how often it passes the tower forward in one."""
    if "graph" not in method.needs:
        return 2.0 * batch * sizes["width"]
    return float(getattr(method, "passes", 3)) * forward_flops(sizes, batch)


def step_seconds(method: Method, sizes: Mapping[str, int], batch: int, room: Room) -> float:
    """Seconds of arithmetic of one step; small layers reach a quarter of what a core can do."""
    return step_flops(method, sizes, batch) / (room.flops_a_second / 4)


def memory_mb(method: Method, sizes: Mapping[str, int], batch: int) -> tuple[float, float]:
    """MB of a cell, and of what a pack holds once."""
    numbers = batch * MOST * sizes["width"] * sizes["layers"] * ACTIVATIONS if "graph" in method.needs else batch
    return max(1.0, 4e-6 * numbers), 4e-6 * sizes["numbers"]
