"""Column ``domain``: which of several domains an image is of."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class Domain(ColumnSource):
    """(B,) positions in the sorted names of the domains that the training images have."""

    name = "domain"
    needs = frozenset({"domain_labels"})

    def training(self, data: ImageTables, drawn: Drawn) -> Column | None:
        if drawn.pooled:
            return None
        named = [data.opened.dataset.domain_labels[index] for index in drawn.indices]
        place = {name: position for position, name in enumerate(sorted(set(named)))}
        return Table(torch.tensor([place[name] for name in named], device=data.device))

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> None:
        return None
