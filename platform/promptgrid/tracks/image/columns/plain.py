"""Column ``plain``: features of pool images without augmentation."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Plain(ColumnSource):
    """(B, width) features of the centre crop, on an unlabelled pool whose suite declares ``views``."""

    name = "plain"
    needs = frozenset({"unlabelled"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column | None:
        return Table(data.features("train", drawn.indices)) if drawn.pooled and drawn.views.count else None

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> None:
        return None
