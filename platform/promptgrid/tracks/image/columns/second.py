"""Column ``second``: features of a second frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class SecondFeatures(ColumnSource):
    """(B, second width) features, not normalised, of the centre crop whatever the view."""

    name = "second"
    needs = frozenset({"second_backbone"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column | None:
        return self.scoring(data, "train", drawn.indices)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> Table | None:
        found = data.second_features(split, indices)
        return None if found is None else Table(found)
