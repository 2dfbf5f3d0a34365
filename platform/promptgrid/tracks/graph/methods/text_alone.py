"""Text alone: logistic regression on a node's own features, without the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.methods.parts.probed import Probed


@dataclass(frozen=True)
class TextAlone(Probed):
    """Text alone: logistic regression on the node's own features; of the bundled graphs what MiniLM makes of its text.

    Source: a control without a paper of its own: what a graph method has to beat.
    ``linear_probe``'s fit. Learns C x (d + 1) numbers; no link is looked at. Of whole graphs the mean of the nodes.
    Deviations: none, there is no original.
    """

    name: ClassVar[str] = "text_alone"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "control baseline"
    axes: ClassVar = Axes("classifier", "head", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"own"})
