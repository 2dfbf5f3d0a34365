"""Graphs as a tower sees them: padded nodes and links of several examples, and what runs along the links."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract.task import Batch

NONE = -1
"""What stands in links beyond the last one of an example."""


@dataclass(frozen=True)
class Seen:
    """B examples of at most M nodes and E directed links.

    Attributes:
        x: (B, M, d) features of the nodes, zeros at padding; a node task's own node is the first.
        links: (B, E, 2) source and target, places in M; ``NONE`` at padding.
        there: (B, M) False at padding.
        kinds: (B, E, 2) categories of links; None where they have none.
        strengths: (B, E) what is sent along each link is multiplied by it; None for ones.
    """

    x: Tensor
    links: Tensor
    there: Tensor
    kinds: Tensor | None = None
    strengths: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch) -> Seen:
        """The graphs of a batch, as they are."""
        return cls(batch.x, batch.links, batch.there, batch.kinds if "kinds" in batch else None)

    def but(self, x: Tensor) -> Seen:
        """The same graphs with other features; padding stays zero."""
        return replace(self, x=x * self.there.unsqueeze(-1))

    @property
    def real(self) -> Tensor:
        """(B, E) how strong each link is, 0 at padding."""
        real = (self.links[..., 0] >= 0).to(self.x.dtype)
        return real if self.strengths is None else real * self.strengths

    def sent(self, states: Tensor) -> Tensor:
        """(B, E, d) of ``states`` (B, M, d), those of each link's source."""
        return states.gather(1, _wide(self.links[..., 0], states.shape[-1]))

    def received(self, messages: Tensor) -> Tensor:
        """(B, M, d) sums of ``messages`` (B, E, d) at each link's target, times the strength of the link."""
        strong = messages * self.real.unsqueeze(-1)
        base = strong.new_zeros(strong.shape[0], self.there.shape[1], strong.shape[-1])
        return base.scatter_add(1, _wide(self.links[..., 1], strong.shape[-1]), strong)

    def summed(self, states: Tensor) -> Tensor:
        """(B, M, d) sums over each node's neighbours."""
        return self.received(self.sent(states))

    @property
    def degrees(self) -> Tensor:
        """(B, M, 1) strengths that each node receives in all."""
        return self.received(self.real.new_ones(*self.links.shape[:2], 1))

    def walks(self, steps: int) -> Tensor:
        """(B, M, steps): how likely a random walk from each node is back after 1, 2, ... steps.

        Source: Dwivedi et al., ICLR 2022 (random-walk positional encodings).
        """
        size = self.there.shape[1]
        at = torch.eye(size, dtype=self.x.dtype, device=self.x.device).expand(len(self.x), size, size)
        leaving, own = 1.0 / self.degrees.clamp(min=1.0), at
        found = []
        for _ in range(steps):
            at = self.summed(at * leaving)
            found.append((at * own).sum(-1))
        return torch.stack(found, dim=-1)

    def mean(self, states: Tensor) -> Tensor:
        """(B, d) means of ``states`` over the nodes that are there."""
        there = self.there.unsqueeze(-1).to(states.dtype)
        return (states * there).sum(1) / there.sum(1).clamp(min=1.0)


def _wide(index: Tensor, width: int) -> Tensor:
    return index.clamp(min=0).unsqueeze(-1).expand(*index.shape, width)
