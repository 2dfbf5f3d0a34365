"""SGC: logistic regression on features that were propagated twice along the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.methods.parts.probed import Probed


@dataclass(frozen=True)
class SGC(Probed):
    """SGC: logistic regression on S² X, S the symmetrically normalised adjacency with self-loops; no tower is asked.

    Source: Wu et al., section 2.
    Two steps, over the whole graph. ``linear_probe``'s fit. Learns C x (d + 1) numbers. Of whole graphs the mean of the
    nodes.
    Deviations: C is chosen on the few validation nodes, where the original tunes weight decay.
    """

    name: ClassVar[str] = "sgc"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "Wu et al., ICML 2019, arXiv:1902.07153"
    axes: ClassVar = Axes("classifier", "head", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"smoothed"})
