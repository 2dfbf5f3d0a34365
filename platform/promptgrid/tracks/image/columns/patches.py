"""Column ``patches``: patch embeddings, for methods that work inside the image tower."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.contract.clip.black_box import PATCHES
from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Patches(ColumnSource):
    """(B, P, vision width) patch embeddings, without CLS and positions."""

    name = "patches"
    needs = PATCHES

    def training(self, data: ImageTables, drawn: Drawn) -> Column:
        return data.looked_at(drawn, data.backbone.patches, kept=True)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> Table:
        return Table(data.pixels(split, tuple(indices)), data.backbone.patches)
