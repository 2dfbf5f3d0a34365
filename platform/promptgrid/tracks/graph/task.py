"""A task on graphs: what a method is told beside the columns of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.task import Task


@dataclass(frozen=True, eq=False)
class GraphTask(Task):
    """Classes of nodes, or of graphs, on one frozen :class:`promptgrid.tracks.graph.backbone.GraphBackbone`.

    Columns of its batches, each there when a method names what asks for it (B examples):

    ============ ================== ==========================================================================
    ``x``        (B, M, d) float32  with ``graph``: features of the nodes of each example, its own node first
    ``links``    (B, E, 2) int64    with ``graph``: source and target of each directed link, -1 at padding
    ``there``    (B, M) bool        with ``graph``: False at padding
    ``kinds``    (B, E, 2) int64    with ``graph``: categories of links, of graphs that have them
    ``own``      (B, d) float32     the node's own features; of a graph the mean of its nodes'
    ``smoothed`` (B, d) float32     the same after two steps of propagation over the whole graph (SGC)
    ``features`` (B, width) float32 what the frozen tower makes of the example
    ============ ================== ==========================================================================

    What ``given`` holds: ``support`` and ``validation``, with the column of these three that the method reads;
    ``examples``, the few labelled examples with their columns and ``labels``; ``spoken``, a class name to what a text
    encoder makes of a sentence about it; ``wide``, how wide the features of nodes are.
    """

    KEPT: ClassVar[frozenset[str]] = frozenset({"spoken", "wide"})

    @property
    def tower(self) -> Any:
        """The frozen backbone."""
        return self.backbone

    @property
    def class_texts(self) -> Tensor:
        """(C, text) of length 1: what a text encoder makes of a sentence about each class."""
        return torch.stack([self["spoken"][name] for name in self.classes])
