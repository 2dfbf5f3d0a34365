"""Columns of relations: what only a text with two marked entities has."""

from __future__ import annotations

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.spec import Refused
from promptgrid.tracks.text.data.column_sources import TokenColumn


class EntityColumn(TokenColumn):
    """Where the slots around an entity stand, for methods that need ``relations``."""

    needs = frozenset({"relations"})
    beside = "templated"
    long = False

    def wanted(self, method: Method | type[Method]) -> bool:
        return bool(self.needs & method.needs) and super().wanted(method)

    def admit(self, method: Method, dataset: Dataset) -> None:
        first = dataset.read(0)
        if first.spans is None:
            raise Refused(
                f"method {method.name!r} reads relations, and this dataset marks no entities",
                where=dataset.card.name,
                hint="choose a dataset of relations, or leave the method out",
            )
