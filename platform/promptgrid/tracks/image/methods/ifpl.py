"""IFPL: a text context learned from few labels, or none, and from pseudo-labels that are renewed round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.tracks.image.methods.grip import GRIP


@dataclass(frozen=True)
class IFPL(GRIP):
    """IFPL: ten rounds of CoOp, each on 16 pseudo-labelled images a class, which the round before has labelled.

    Source: as GRIP.
    As GRIP, with K = ``confident`` = 16 in every round. Learns 16 x 512 = 8,192 numbers on ViT-B/16.
    Deviations: those of GRIP.
    """

    name: ClassVar[str] = "ifpl"
