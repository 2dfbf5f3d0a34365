"""PMT: which weights of the image tower are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from promptgrid.tracks.image.methods.amt import AMT


@dataclass(frozen=True)
class PMT(AMT):
    """PMT: learned masks on all weights of the image tower's blocks, by plain descent (R-PMT: ``regularised: true``).

    Source: Zheng et al., section 3; R-AMT 07f8d2c.
    AMT with masks on attention's projections and on both layers of the MLP. Learns 12 x 12 x 768² = 84,934,656 numbers
    on ViT-B/16.
    Deviations: as R-AMT, the case of class names too.
    """

    name: ClassVar[str] = "pmt"

    masked: Literal["attention", "mlp", "all"] = "all"
