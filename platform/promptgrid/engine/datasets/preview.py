"""The facts of an opened dataset, for people who want to see what a name or a path would become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.split_names import SPLITS
from promptgrid.engine.datasets.files import FilesDataset


def facts_of(
    dataset: Dataset, address: str, own: Mapping[str, Any], unread: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Names, licence, template, classes with counts by split, what is left out and why.

    Args:
        dataset: opened.
        address: as a suite names it.
        own: what the wing says of its examples.
        unread: (path, why) of examples that cannot be read.
    """
    card = dataset.card
    counts = {split: Counter(dataset.labels[i] for i in rows) for split, rows in dataset.splits.items()}
    left_out = list(dataset.left_out) if isinstance(dataset, FilesDataset) else []
    return {
        "address": address,
        "name": card.name,
        "title": card.title,
        "licence": card.licence,
        "template": card.template,
        "sha256": card.sha256,
        "splits": {split: card.splits[split] for split in SPLITS if split in card.splits},
        "classes": [
            {"label": label, "name": name} | {split: counts[split][label] for split in SPLITS if split in counts}
            for label, name in enumerate(card.classes)
        ],
        **own,
        "left_out": [{"path": path, "why": why} for path, why in left_out],
        "unreadable": [{"path": path, "why": why} for path, why in unread],
        "notes": list(dataset.notes),
    }
