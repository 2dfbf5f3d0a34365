"""One row of numbers an example, looked up once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptgrid.contract.columns import Column, ColumnSource, Table, Views


class Row(ColumnSource):
    """A row of numbers; a subclass names it."""

    def training(self, data: Any, drawn: Sequence[int]) -> Column | None:
        return Views.still(data.rows(self.name, tuple(drawn)))

    def scoring(self, data: Any, split: str, indices: Sequence[int]) -> Table | None:
        return Table(data.rows(self.name, tuple(indices)))


class Own(Row):
    """(B, d) the node's own features; of a graph the mean of its nodes'."""

    name = "own"
    needs = frozenset({"own"})


class Smoothed(Row):
    """(B, d) features after two steps of propagation over the whole graph."""

    name = "smoothed"
    needs = frozenset({"smoothed"})


class Features(Row):
    """(B, width) what the frozen tower makes of each example."""

    name = "features"
    needs = frozenset({"features"})
