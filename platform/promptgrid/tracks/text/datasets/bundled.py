"""Tasks that come with the package: a compressed file of JSON lines and a card each."""

from __future__ import annotations

import json
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS
from promptgrid.spec import DatasetCard, Refused, nearest
from promptgrid.spec.checked import checked
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.datasets.building import pinned
from promptgrid.tracks.text.datasets.text import Text, TextCard, TextDataset

TASKS = Path(__file__).parent.parent / "bundled" / "datasets"


class Bundled(DatasetFamily):
    """The tasks in one folder and the folders in it: ``NAME.yaml`` is the card, ``NAME.jsonl.xz`` holds the texts.

    Listing reads cards only. Texts are read and compared with the card's sha256 once per process.
    """

    name = "bundled"

    def __init__(self, folder: Path = TASKS) -> None:
        self.folder = folder

    def cards(self) -> list[TextCard]:
        """The cards of the tasks, by name."""
        return [_card(path, _stamp(path)) for path in self._paths().values()]

    def listing(self) -> list[DatasetCard]:
        return [*self.cards()]

    def knows(self, dataset: str) -> bool:
        return dataset in self._paths()

    def open(self, dataset: str) -> Dataset:
        paths = self._paths()
        if dataset not in paths:
            raise Refused(f"unknown dataset {dataset!r}", hint=nearest(dataset, paths))
        path = paths[dataset]
        texts = path.with_suffix(".jsonl.xz")
        if not texts.is_file():
            raise Refused("no such file", where=str(texts), expected=f"the texts of the card {path.name}")
        return _open(path, (_stamp(path), _stamp(texts)))

    def _paths(self) -> dict[str, Path]:
        found = [*self.folder.glob("*.yaml"), *self.folder.glob("*/*.yaml")]
        return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _card(path: Path, stamp: tuple[int, int]) -> TextCard:
    card = checked(TextCard, str(path), {**read_yaml(path), "bundled": True})
    if card.name != path.stem:
        raise Refused("name: the card is called otherwise than its file", where=str(path), got=card.name,
                      expected=path.stem)  # fmt: skip
    return card


@lru_cache(maxsize=64)
def _open(path: Path, stamps: tuple[tuple[int, int], tuple[int, int]]) -> TextDataset:
    card, file = _card(path, stamps[0]), path.with_suffix(".jsonl.xz")
    try:
        lines = lzma.decompress(file.read_bytes()).decode().split("\n")
        rows = [json.loads(line) for line in lines if line]
        texts = [_text(row) for row in rows]
        labels, items = [int(row["label"]) for row in rows], [str(row["item"]) for row in rows]
        splits: dict[str, list[int]] = {name: [] for name in SPLITS}
        for index, row in enumerate(rows):
            splits[row["split"]].append(index)
    except (lzma.LZMAError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"damaged: {error!r}", where=str(file), expected="lines of text, label, split, item") from error
    if any(not 0 <= label < len(card.classes) for label in labels):
        raise Refused("a label is none of the card's", where=str(file), expected=f"0 to {len(card.classes) - 1}")
    counts = {name: len(some) for name, some in splits.items() if some}
    if counts != {name: count for name, count in card.splits.items() if count}:
        raise Refused("splits differ from the card's", where=str(file), got=counts, expected=str(card.splits))
    facts = card.model_dump()
    return TextDataset(pinned(str(file), facts, texts, labels, splits), texts, labels, splits, names=items)


def _text(row: dict[str, Any]) -> Text:
    spans = row.get("spans")
    if spans is None:
        return Text(str(row["text"]), str(row.get("text_b", "")))
    (a, b), (c, d) = spans
    return Text(str(row["text"]), str(row.get("text_b", "")), ((int(a), int(b)), (int(c), int(d))))
