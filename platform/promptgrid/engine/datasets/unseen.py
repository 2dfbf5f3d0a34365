"""Datasets by what is published of them, for plans on a machine where they do not lie."""

from __future__ import annotations

from typing import Any, NoReturn

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS
from promptgrid.spec import DatasetCard


class UnseenDataset(Dataset):
    """Classes and counts of ``card`` with no example behind them: planned with, never run.

    Every class has as many examples as the others, but for one; examples of a split go through the classes in turn.
    """

    def __init__(self, card: DatasetCard) -> None:
        self.card = card
        self.splits = {}
        labels: list[int] = []
        for split in SPLITS:
            if count := card.splits.get(split, 0):
                self.splits[split] = list(range(len(labels), len(labels) + count))
                labels += [place % len(card.classes) for place in range(count)]
        self.labels = labels

    def read(self, index: int) -> NoReturn:
        raise RuntimeError(f"{self.card.name}: nothing was looked at, so example {index} cannot be read")


class UnseenDatasets(DatasetFamily):
    """What another family opens, by what is published of it: no folder is looked at."""

    def __init__(self, family: DatasetFamily) -> None:
        self._family = family
        self.name = family.name  # type: ignore[misc]  # a family for each family

    def listing(self) -> list[DatasetCard]:
        return self._family.listing()

    def knows(self, dataset: str) -> bool:
        return self._family.knows(dataset)

    def open(self, dataset: str) -> Dataset:
        return self._family.unseen(dataset)


def numbered(count: int) -> list[str]:
    """Names of ``count`` classes of which nothing but their number is known."""
    return [f"class {label}" for label in range(count)]


def facts_of_size(classes: int, splits: dict[str, int]) -> dict[str, Any]:
    """Facts of a card of so many classes by number, with splits of these sizes."""
    return {"classes": numbered(classes), "splits": {name: count for name, count in splits.items() if count}}
