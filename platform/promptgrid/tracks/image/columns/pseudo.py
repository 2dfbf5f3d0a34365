"""Column ``pseudo``: which images of a batch are of the unlabelled pool."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Pseudo(ColumnSource):
    """(B,) true for images of the pool, whose labels are the method's own or -1."""

    name = "pseudo"
    needs = frozenset({"unlabelled"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column | None:
        if drawn.labelled is None:
            return None
        return Table(torch.arange(len(drawn.indices), device=data.device) >= drawn.labelled)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> None:
        return None
