"""Which pictures and phrases the corpus holds."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.tracks.image.pretrain.conftest import row

from promptgrid.tracks.image.pretrain.pictures import corpus as corpora
from promptgrid.tracks.image.pretrain.pictures.corpus import NoExclusion, load_corpus, phrases_of
from promptgrid.tracks.image.pretrain.training.views import decode


def test_a_pool_without_its_exclusions_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(NoExclusion):
        load_corpus(tmp_path)


def test_evaluation_pictures_and_held_out_sources_are_left_out(tmp_path: Path) -> None:
    rows = [row(i) for i in range(6)]
    rows[5]["sha256"] = "copy of a tested picture"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "noto.parquet")
    held_out = [{**row(i), "source": "fashion-mnist"} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(held_out), tmp_path / "fashion-mnist.parquet")
    banned = [
        {"source": "noto", "item": "item2", "sha256": "x"},
        {"source": "a", "item": "b", "sha256": rows[5]["sha256"]},
    ]
    pq.write_table(pa.Table.from_pylist(banned), tmp_path / corpora.EXCLUDE)
    found = load_corpus(tmp_path)
    assert len(found.pictures) == 4
    assert torch.equal(found.pictures, decode([rows[i]["image"] for i in (0, 1, 3, 4)]))
    assert found.sources == {"noto": 4}


def test_phrases_are_what_a_person_would_type() -> None:
    found = phrases_of(row(0, name="arrowLeft-outline 2", keywords=["way back"], category="Signs/MapTravel"))
    assert list(found) == ["arrow left", "way back", "signs", "map travel"]
