"""All-in-One: a small graph of learned tokens is inserted into each example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, glorot
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class AllInOne(HeadedGraph):
    """All-in-One: k learned tokens, linked to each other and to the nodes that they resemble, stand beside the nodes.

    Source: Sun et al., section 3.4.
    Two tokens are linked where sigmoid(p p') >= ``inner`` .3, a token and a node where sigmoid(p x') >= ``cross``, in
    both directions; ``tokens`` k 10, from Glorot's uniform. Adam 5e-3, 200 steps. Learns k d numbers and a head of
    C x (width + 1).
    Deviations: ``cross`` is .5, not .1, which features of length 1 would always pass; the head learns beside the
    tokens, where the original alternates; the mean of the readout is over the tokens too, as in the original.
    """

    name: ClassVar[str] = "all_in_one"
    paper: ClassVar[str] = "Sun et al., KDD 2023, arXiv:2307.01504"

    tokens: int = 10
    inner: Number = knob(0.3, low=0.0, high=1.0)
    cross: Number = knob(0.5, low=0.0, high=1.0)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tokens": 1, "inner": 1.0, "cross": 1.0}

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {"tokens": glorot(rng, self.tokens, task.tower.inputs)}

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        own = params["tokens"]
        count, (examples, size) = len(own), seen.there.shape
        tokens = own.expand(examples, *own.shape)
        like = torch.sigmoid(seen.x @ own.mT) >= self.cross
        among = (torch.sigmoid(own @ own.mT) >= self.inner) & ~torch.eye(count, dtype=torch.bool, device=own.device)
        pairs = _pairs(size, count, own.device)
        crossing = (like & seen.there.unsqueeze(-1)).flatten(1)
        strengths = torch.cat([seen.real, crossing, crossing, among.flatten().expand(examples, -1)], dim=1)
        links = torch.cat([seen.links, pairs.expand(examples, *pairs.shape)], dim=1)
        there = torch.cat([seen.there, torch.ones_like(tokens[..., 0], dtype=torch.bool)], dim=1)
        return replace(seen, x=torch.cat([seen.x, tokens], dim=1), links=links, there=there, kinds=_kinds(seen, pairs),
                       strengths=strengths)  # fmt: skip


def _pairs(size: int, count: int, device: torch.device) -> Tensor:
    """(2 size count + count², 2): node to token, token to node, token to token."""
    nodes, tokens = torch.arange(size, device=device), size + torch.arange(count, device=device)
    crossed = torch.cartesian_prod(nodes, tokens)
    return torch.cat([crossed, crossed.flip(1), torch.cartesian_prod(tokens, tokens).reshape(-1, 2)])


def _kinds(seen: Seen, pairs: Tensor) -> Tensor | None:
    """Links of tokens are of the first kind."""
    if seen.kinds is None:
        return None
    return torch.cat([seen.kinds, torch.zeros_like(pairs).expand(len(seen.kinds), *pairs.shape)], dim=1)
