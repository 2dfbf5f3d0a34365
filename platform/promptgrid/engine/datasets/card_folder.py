"""Datasets that lie in one folder, each a card in YAML and one file of examples."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused, nearest
from promptgrid.spec.checked import checked
from promptgrid.spec.reading import read_yaml


class CardFolder(DatasetFamily):
    """The datasets of a folder and the folders in it: ``NAME.yaml`` is the card, ``NAME.<ending>`` holds the examples.

    Listing reads cards only.

    Attributes:
        ending: of the files of examples, with the dot.
        card_type: what a card may say.
    """

    ending: ClassVar[str]
    card_type: ClassVar[type[DatasetCard]] = DatasetCard

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def opened(self, card: DatasetCard, path: Path) -> Dataset:
        """The dataset of ``card`` whose examples are in ``path``, which is there.

        Raises:
            Refused: the file is not the one that the card was written for, or is damaged.
        """

    def listing(self) -> list[DatasetCard]:
        return [self._card(path) for path in self._paths().values()]

    def knows(self, dataset: str) -> bool:
        return dataset in self._paths()

    def open(self, dataset: str) -> Dataset:
        paths = self._paths()
        if dataset not in paths:
            raise Refused(f"unknown dataset {dataset!r}", hint=nearest(dataset, paths))
        file = paths[dataset].with_suffix(self.ending)
        if not file.is_file():
            raise Refused("no such file", where=str(file), expected=f"the examples of the card {dataset}.yaml")
        return self.opened(self._card(paths[dataset]), file)

    def unseen(self, dataset: str) -> Dataset:
        return self.open(dataset)

    def _paths(self) -> dict[str, Path]:
        found = [*self.folder.glob("*.yaml"), *self.folder.glob("*/*.yaml")]
        return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}

    def _card(self, path: Path) -> DatasetCard:
        return _read_card(path, self.card_type, stamp_of(path))


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change: a file with another stamp is read again."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _read_card(path: Path, kind: type[DatasetCard], stamp: tuple[int, int]) -> DatasetCard:
    card = checked(kind, str(path), {**read_yaml(path), "bundled": True})
    if card.name != path.stem:
        raise Refused("name: the card is called otherwise than its file", where=str(path), got=card.name,
                      expected=path.stem)  # fmt: skip
    return card
