"""Tasks that come with the package: a compressed file of JSON lines and a card each."""

from __future__ import annotations

import json
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from promptgrid.contract import Dataset
from promptgrid.contract.split_names import SPLITS
from promptgrid.engine.datasets.card_folder import CardFolder, stamp_of
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.text.datasets.building import pinned
from promptgrid.tracks.text.datasets.text import Text, TextCard, TextDataset

TASKS = Path(__file__).parent.parent / "bundled" / "datasets"


class Bundled(CardFolder):
    """The tasks in one folder and the folders in it: ``NAME.yaml`` is the card, ``NAME.jsonl.xz`` holds the texts.

    Listing reads cards only. Texts are read and compared with the card's sha256 once per process.
    """

    name = "bundled"
    ending = ".jsonl.xz"
    card_type = TextCard

    def __init__(self, folder: Path = TASKS) -> None:
        super().__init__(folder)

    def cards(self) -> list[TextCard]:
        """The cards of the tasks, by name."""
        return [cast(TextCard, card) for card in self.listing()]

    def opened(self, card: DatasetCard, path: Path) -> Dataset:
        return _open(path, stamp_of(path), cast(TextCard, card).model_dump_json())


@lru_cache(maxsize=64)
def _open(file: Path, stamp: tuple[int, int], written: str) -> TextDataset:
    """The texts in ``file`` as of ``stamp``, by the card ``written`` as JSON: equal cards open once."""
    card = TextCard.model_validate_json(written)
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
