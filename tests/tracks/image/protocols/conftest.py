"""A dataset of numbers: labels and splits without pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from PIL import Image

from promptgrid.contract.clip import Dataset
from promptgrid.spec import DatasetCard


class Numbers(Dataset):
    """Images nobody looks at: index, label and split are all a protocol may use."""

    def __init__(self, splits: dict[str, Sequence[int]]) -> None:
        rows = [label for labels in splits.values() for label in labels]
        self.labels = rows
        self.splits = {}
        start = 0
        for name, labels in splits.items():
            self.splits[name] = list(range(start, start + len(labels)))
            start += len(labels)
        classes = tuple(f"class {label}" for label in range(max(rows) + 1))
        counts = {name: len(labels) for name, labels in splits.items()}
        self.card = DatasetCard(
            name="numbers", classes=classes, splits=counts, sha256="0" * 64, template="a photo of a {}."
        )

    def read(self, index: int) -> Image.Image:
        raise AssertionError("a protocol reads no image")


@pytest.fixture(scope="session")
def numbers() -> Callable[..., Numbers]:
    """``numbers(train=[labels], val=[labels], test=[labels])``."""
    return lambda **splits: Numbers(splits)
