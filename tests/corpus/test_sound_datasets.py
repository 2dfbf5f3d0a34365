"""The sound originals of the datasets that the table of reports breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.broken_datasets import bundled, changed, folder, open_dataset


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


def test_the_sound_originals_of_the_corpus_open(tmp_path: Path) -> None:
    """Every row of the table breaks one thing: unbroken, the same builders give datasets that open and read."""
    for number, build in enumerate((changed(lambda s: None), folder("cat", "dog"), bundled())):
        root = tmp_path / str(number)
        root.mkdir()
        dataset = open_dataset(build(root), root)
        assert all(dataset.read(index).mode == "RGB" for index in range(len(dataset.labels)))
