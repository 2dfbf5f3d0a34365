"""Column ``features``: what the frozen tower makes of each image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from promptgrid.contract.columns import Column, ColumnSource, Table, Views
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Features(ColumnSource):
    """(B, width) features, not normalised, of the view that a step looks at; for a black box they have no columns."""

    name = "features"

    def training(self, data: ImageTables, drawn: Drawn) -> Column:
        if drawn.views.count:
            return Views(partial(data.view_features, drawn))
        return Views.still(data.features("train", drawn.indices))

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> Table:
        return Table(data.features(split, indices))
