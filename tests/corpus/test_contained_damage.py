"""A damaged image fails the cells of its dataset with a reason and its name; the rest of the grid goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.broken_datasets import classes_in
from tests.corpus.pictures import POINTER

import promptgrid


def test_only_the_cells_that_read_it_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))
    for place, name in enumerate(("sound", "damaged")):
        classes_in(tmp_path / name, "train/cat", "train/dog", start=1000 * place)
        classes_in(tmp_path / name, "test/cat", "test/dog", start=1000 * place + 500)
    (tmp_path / "damaged" / "test" / "dog" / "2.png").write_bytes(POINTER)
    suite = {
        "name": "contained",
        "protocol": "few_shot",
        "methods": ["zero_shot"],
        "datasets": [f"imagefolder:{tmp_path}/damaged", f"imagefolder:{tmp_path}/sound"],
        "shots": [1],
        "seeds": [1],
    }
    results = promptgrid.run(suite, tmp_path / "store", local=True)
    by_dataset = {name.rsplit("/", 1)[-1]: rows for name, rows in results.groupby("dataset")}
    assert set(by_dataset["sound"]["status"]) == {"done"}
    failed = by_dataset["damaged"].iloc[0]
    assert (failed["status"], failed["reason"]) == ("failed", "DATA_CORRUPT")
