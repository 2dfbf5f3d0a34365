"""Column ``pixels``: images as floats, for methods that change them."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Pixels(ColumnSource):
    """(B, 3, size, size) floats, normalised as ``Backbone.encode_image`` reads them."""

    name = "pixels"
    needs = frozenset({"pixels", "logits"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column:
        return data.looked_at(drawn, data.backbone.normalised)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> Table:
        return Table(data.pixels(split, tuple(indices)), data.backbone.normalised)
