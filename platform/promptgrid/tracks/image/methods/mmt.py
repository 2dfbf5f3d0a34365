"""MMT: which weights of the MLPs of the image tower are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from promptgrid.tracks.image.methods.amt import AMT


@dataclass(frozen=True)
class MMT(AMT):
    """MMT: learned masks on the MLPs of the image tower, by plain descent (R-MMT: ``regularised: true``).

    Source: Zheng et al., section 3; R-AMT 07f8d2c, whose code always masks attention too.
    AMT with masks on both layers of the MLP in the place of attention's. Learns 12 x 8 x 768² = 56,623,104 numbers on
    ViT-B/16.
    Deviations: as R-AMT, the case of class names too.
    """

    name: ClassVar[str] = "mmt"

    masked: Literal["attention", "mlp", "all"] = "mlp"
