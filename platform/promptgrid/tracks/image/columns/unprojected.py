"""Column ``unprojected``: what the image tower makes of each image, ahead of its projection into the joint space."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Unprojected(ColumnSource):
    """(B, vision width) class tokens behind the last norm, of the view that a step looks at; worked out once."""

    name = "unprojected"
    needs = frozenset({"unprojected"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column:
        return data.looked_at(drawn, data.backbone.unprojected, kept=True)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> Table:
        return Table(data.pixels(split, tuple(indices)), data.backbone.unprojected)
