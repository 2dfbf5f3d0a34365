"""The graphs themselves, part by part, for methods that need ``graph``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptgrid.contract.columns import Column, ColumnSource, Table


class Around(ColumnSource):
    """A part of what lies around an example; a subclass names it."""

    needs = frozenset({"graph"})

    def training(self, data: Any, drawn: Sequence[int]) -> Column | None:
        found = data.around(self.name, tuple(drawn), True)
        return None if found is None else Table(*found)

    def scoring(self, data: Any, split: str, indices: Sequence[int]) -> Table | None:
        found = data.around(self.name, tuple(indices), False)
        return None if found is None else Table(*found)


class X(Around):
    """(B, M, d) features of the nodes of each example, its own node first; zeros at padding."""

    name = "x"


class Links(Around):
    """(B, E, 2) source and target of each directed link; -1 at padding."""

    name = "links"


class There(Around):
    """(B, M) False at padding."""

    name = "there"


class Kinds(Around):
    """(B, E, 2) categories of links, of graphs that have them."""

    name = "kinds"
