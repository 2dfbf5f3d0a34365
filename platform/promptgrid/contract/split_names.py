"""What people call their split folders."""

from __future__ import annotations

import re
from collections.abc import Iterable

from promptgrid.spec import Refused

SPLITS = ("train", "val", "test")
SYNONYMS = {
    "train": ("train", "training", "trainset", "train_set", "training_set"),
    "val": ("val", "valid", "validation", "validate", "dev", "development", "valset", "val_set", "validation_set"),
    "test": ("test", "testing", "testset", "test_set"),
}
_CANONICAL = {name: split for split, names in SYNONYMS.items() for name in names}
_SOUNDS_LIKE = re.compile(r"(train|training|val|valid|validation|dev|test|testing|eval|evaluation|holdout)[\d_-]*")


def split_of(folder: str) -> str | None:
    """``train``, ``val`` or ``test`` where ``folder`` means one in any spelling, else None."""
    return _CANONICAL.get(folder.casefold().replace("-", "_").replace(" ", "_"))


def sounds_like_a_split(folder: str) -> bool:
    """Whether ``folder`` reads like a split rather than a class: also ``train2017``, ``eval`` and ``val_1``."""
    return split_of(folder) is not None or _SOUNDS_LIKE.fullmatch(folder.casefold()) is not None


def folders_by_split(folders: Iterable[str], where: str) -> dict[str, str]:
    """{split: folder} in the order train, val, test.

    Raises:
        Refused: two folders mean one split.
    """
    found: dict[str, str] = {}
    for folder in sorted(folders):
        split = split_of(folder)
        if split is None:
            continue
        if split in found:
            raise Refused(
                f"two folders mean the split {split!r}", where=where, got=[found[split], folder], expected="one of them"
            )
        found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}
