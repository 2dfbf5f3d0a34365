"""Linear head: logistic regression on what the frozen graph tower makes of an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.methods.parts.probed import Probed
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class LinearHead(Probed):
    """Linear head: logistic regression on frozen features of a node with its surroundings, or of a graph.

    Source: the usual evaluation of pretrained graph networks (Velickovic et al., ICLR 2019, section 4).
    ``linear_probe``'s fit: L2 penalty, L-BFGS, C chosen on the few validation examples. Learns C x (width + 1) numbers.
    Deviations: C is searched over fifteen values.
    """

    name: ClassVar[str] = "linear_head"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "Velickovic et al., ICLR 2019, arXiv:1809.10341"
    axes: ClassVar = Axes("classifier", "head", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def width(self, task: GraphTask) -> int:
        return int(task.tower.width)
