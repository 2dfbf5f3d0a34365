"""FPL: a text context learned once, from few labels, or none, and from frozen CLIP's own guesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.tracks.image.methods.grip import GRIP


@dataclass(frozen=True)
class FPL(GRIP):
    """FPL: CoOp on the few labels and on the 16 images a class that frozen CLIP is surest of.

    Source: as GRIP.
    As GRIP's first round, with K = ``confident`` = 16. Learns 16 x 512 = 8,192 numbers on ViT-B/16.
    Deviations: those of GRIP.
    """

    name: ClassVar[str] = "fpl"
    rounds: int = 1
