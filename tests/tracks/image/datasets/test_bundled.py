from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets import bundled
from promptgrid.tracks.image.datasets.bundled import TASKS, Bundled, BundledDataset


def webp(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, offset in (("beasts", 0), ("plants", 50)):
        rows = range(offset, offset + 12)
        table = pa.table(
            {
                "image": [webp(i) for i in rows],
                "label": pa.array([i % 3 for i in rows], pa.int32()),
                "split": ["train" if i % 12 < 6 else "val" if i % 12 < 9 else "test" for i in rows],
                "domain": ["noto" if i % 2 else "twemoji" for i in rows],
                "item": [f"U+{i:04X}" for i in rows],
            }
        )
        pq.write_table(table, tmp_path / f"{name}.parquet")
        card = {
            "name": name,
            "title": name.title(),
            "licence": "Apache-2.0",
            "classes": ["a", "b", "c"],
            "splits": {split: table["split"].to_pylist().count(split) for split in ("train", "val", "test")},
            "sha256": hashlib.sha256((tmp_path / f"{name}.parquet").read_bytes()).hexdigest(),
        }
        (tmp_path / f"{name}.yaml").write_text(json.dumps(card))
    return tmp_path


def test_listing_reads_cards_only(folder: Path) -> None:
    for path in folder.glob("*.parquet"):
        path.unlink()
    cards = Bundled(folder).listing()
    assert [card.name for card in cards] == ["beasts", "plants"]
    assert all(card.bundled for card in cards)


def test_rows_come_as_the_file_holds_them(folder: Path) -> None:
    dataset = Bundled(folder).open("beasts")
    assert isinstance(dataset, BundledDataset)
    assert dataset.splits == {"train": [0, 1, 2, 3, 4, 5], "val": [6, 7, 8], "test": [9, 10, 11]}
    assert dataset.labels == [0, 1, 2] * 4
    assert dataset.domains[:2] == ["twemoji", "noto"]
    assert dataset.items[3] == "U+0003"
    expected = np.random.default_rng(4).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(dataset.read(4)), expected)


def test_the_images_are_hashed_once_and_again_when_the_file_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bundled(folder).open("plants")
    with monkeypatch.context() as patch:
        patch.setattr(bundled.hashlib, "sha256", lambda raw: pytest.fail("hashed twice"))
        Bundled(folder).open("plants")
    raw = bytearray((folder / "plants.parquet").read_bytes())
    raw[40] ^= 1
    (folder / "plants.parquet").write_bytes(raw)
    with pytest.raises(Refused, match="sha256 differs"):
        Bundled(folder).open("plants")


def test_it_knows_bare_names_of_its_folder(folder: Path) -> None:
    family = Bundled(folder)
    assert family.knows("beasts")
    for name in ("nobody", "imagefolder:beasts", f"../{folder.name}/beasts", ""):
        assert not family.knows(name)


SHIPPED = sorted(path.stem for path in TASKS.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_task_opens_reads_and_samples(name: str) -> None:
    dataset = Bundled().open(name)
    card = dataset.card
    for rows in dataset.splits.values():
        image = dataset.read(rows[-1])
        assert card.image_size in (0, *image.size)
    FewShot().check(card, 16)
    split = FewShot().split(dataset, 16, 1)
    assert {dataset.labels[i] for i in split.train} == set(range(len(card.classes)))
    assert card.licence != "unknown"
    assert card.sources


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_test_image_is_also_taught(name: str) -> None:
    dataset = Bundled().open(name)
    assert isinstance(dataset, BundledDataset)
    seen = {
        s: {hashlib.sha256(dataset.read(i).tobytes()).hexdigest() for i in rows} for s, rows in dataset.splits.items()
    }
    assert not seen["test"] & (seen["train"] | seen.get("val", set()))
