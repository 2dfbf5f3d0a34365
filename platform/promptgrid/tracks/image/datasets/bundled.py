"""Tasks that come with the package: a Parquet file of WebP images and a card each."""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from promptgrid.contract.assets import NO_DESCRIPTIONS, Descriptions
from promptgrid.contract.clip import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused, nearest
from promptgrid.spec.checked import make_card
from promptgrid.spec.parquet import read_parquet
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.image.datasets.decoding import decode
from promptgrid.tracks.image.datasets.descriptions import read_descriptions

if TYPE_CHECKING:
    from PIL.Image import Image

TASKS = Path(__file__).parent.parent / "bundled" / "tasks"
COLUMNS = ("image", "label", "split", "domain", "item")
SPLITS = ("train", "val", "test")


class BundledDataset(Dataset):
    """A bundled task. ``domains[i]`` and ``items[i]`` say which style image ``i`` is drawn in and what it shows.

    ``described`` is the file with the sentences about its classes, if there is one.
    """

    def __init__(self, card: DatasetCard, table: pa.Table, where: str, described: Path | None = None) -> None:
        self.card = card
        self._described = described
        self.where = where
        self.images: pa.ChunkedArray = table["image"]
        self.labels: list[int] = table["label"].to_pylist()
        self.domains: list[str] = table["domain"].to_pylist()
        self.items: list[str] = table["item"].to_pylist()
        self.splits = {}
        for index, split in enumerate(table["split"].to_pylist()):
            self.splits.setdefault(split, []).append(index)
        self._refuse_disagreement()

    @cached_property
    def descriptions(self) -> Descriptions:
        if self._described is None or not self._described.is_file():
            return NO_DESCRIPTIONS
        return read_descriptions(self._described, self.card.classes)

    @property
    def domain_labels(self) -> list[str]:
        return self.domains

    def read(self, index: int) -> Image:
        return decode(self.images[index].as_py(), f"{self.where}[{index}]")

    def example_name(self, index: int) -> str:
        return "/".join(filter(None, (self.domains[index], self.items[index])))

    def _refuse_disagreement(self) -> None:
        counts = {name: len(rows) for name, rows in self.splits.items()}
        expected = {name: count for name, count in self.card.splits.items() if count}
        if counts != expected or not counts.keys() <= set(SPLITS):
            raise Refused("splits differ from the card's", where=self.where, got=counts, expected=str(expected))
        if set(self.labels) != set(range(len(self.card.classes))):
            every = f"every label from 0 to {len(self.card.classes) - 1}"
            raise Refused(
                "labels differ from the card's", where=self.where, got=sorted(set(self.labels)), expected=every
            )


class Bundled(DatasetFamily):
    """The tasks in one folder: ``NAME.yaml`` is the card, ``NAME.parquet`` the images with label, split, domain, item.

    Listing reads cards only. The Parquet file is read and compared with the card's sha256 once per process.
    ``../descriptions/NAME.yaml`` says what its classes look like.
    """

    name = "bundled"

    def __init__(self, folder: Path = TASKS) -> None:
        self.folder = folder

    def listing(self) -> list[DatasetCard]:
        return [self._card(path.stem) for path in sorted(self.folder.glob("*.yaml"))]

    def knows(self, dataset: str) -> bool:
        return dataset in {path.stem for path in self.folder.glob("*.yaml")}

    def open(self, dataset: str) -> Dataset:
        if not self.knows(dataset):
            known = [path.stem for path in self.folder.glob("*.yaml")]
            raise Refused(f"unknown dataset {dataset!r}", hint=nearest(dataset, known))
        card = self._card(dataset)
        path = self.folder / f"{dataset}.parquet"
        if not path.is_file():
            raise Refused("no such file", where=str(path), expected=f"the images of the card {dataset}.yaml")
        described = self.folder.parent / "descriptions" / f"{dataset}.yaml"
        return BundledDataset(card, _table(path, card.sha256, _stamp(path)), str(path), described)

    def _card(self, name: str) -> DatasetCard:
        path = self.folder / f"{name}.yaml"
        return _read_card(path, _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _read_card(path: Path, stamp: tuple[int, int]) -> DatasetCard:
    card = make_card(str(path), {**read_yaml(path), "bundled": True})
    if card.name != path.stem:
        raise Refused(
            "name: the card is called otherwise than its file", where=str(path), got=card.name, expected=path.stem
        )
    return card


@lru_cache(maxsize=64)
def _table(path: Path, sha256: str, stamp: tuple[int, int]) -> pa.Table:
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise Refused(
            "sha256 differs from the card's: the file was damaged or changed",
            where=str(path),
            got=found,
            expected=sha256,
        )
    try:
        return read_parquet(raw, COLUMNS)
    except (pa.ArrowException, OSError) as error:
        raise Refused(
            f"not the expected Parquet columns: {error}", where=str(path), expected=", ".join(COLUMNS)
        ) from error
