"""Damaged images of bundled tasks, and images that vanish; damaged files stand in the table of reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.broken_datasets import bundled, folder, task_table

from promptgrid.contract.clip import Dataset
from promptgrid.tracks.image.datasets.bundled import Bundled
from promptgrid.tracks.image.datasets.decoding import DamagedImage
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


def test_a_damaged_image_in_a_bundled_task_is_named_by_row(tmp_path: Path) -> None:
    table = task_table()
    table["image"][4] = table["image"][4][:30]
    name = bundled(table)(tmp_path)
    dataset = Bundled(tmp_path).open(name)
    with pytest.raises(DamagedImage, match=r"beasts\.parquet\[4\]"):
        dataset.read(4)
    assert dataset.read(5).size == (12, 10)


def test_an_image_that_vanishes_after_opening_is_named(tmp_path: Path) -> None:
    dataset = ImageFolder().open(folder("cat", "dog")(tmp_path / "data"))
    (tmp_path / "data" / "cat" / "0.png").unlink()
    gone = [index for index in range(len(dataset.labels)) if not _readable(dataset, index)]
    assert len(gone) == 1
    with pytest.raises(FileNotFoundError, match=r"0\.png"):
        dataset.read(gone[0])


def _readable(dataset: Dataset, index: int) -> bool:
    try:
        dataset.read(index)
    except OSError:
        return False
    return True
