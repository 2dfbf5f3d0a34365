"""Webdataset tars as CLIP_benchmark writes them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tracks.image.datasets.test_elevater import coded

from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import Webdataset


def pack(tar: Path, samples: list[tuple[str, int, str]]) -> None:
    """(name, seed of the picture, what its ``cls`` says)."""
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar, "w") as file:
        for name, seed, label in samples:
            for ending, raw in (("webp", coded(seed)), ("cls", label.encode())):
                item = tarfile.TarInfo(f"{name}.{ending}")
                item.size = len(raw)
                file.addfile(item, io.BytesIO(raw))


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Eleven shards to train, of one image each, so that 10 would come behind 1 as a name."""
    root = tmp_path / "wds_birds"
    for shard in range(11):
        pack(root / "train" / f"{shard}.tar", [(f"s{shard:07}", shard, str(shard % 2))])
    pack(root / "test" / "0.tar", [("s0", 50, "1"), ("s1", 51, "0\n")])
    (root / "train" / "nshards.txt").write_text("11")
    (root / "test" / "nshards.txt").write_text("1")
    (root / "classnames.txt").write_text("red wren\nblack crow\n")
    (root / "zeroshot_classification_templates.txt").write_text("a photo of a {c}, a bird.\na {c}.\n")
    return root


def opened(root: Path) -> FilesDataset:
    dataset = Webdataset().open(f"wds:{root}")
    assert isinstance(dataset, FilesDataset)
    return dataset


def test_shards_are_read_in_the_order_of_their_numbers(birds: Path) -> None:
    dataset = opened(birds)
    assert dataset.card.splits == {"train": 11, "test": 2}
    assert dataset.paths[:3] == [f"train/{i}.tar@s{i:07}.webp" for i in range(3)]
    assert dataset.labels == [i % 2 for i in range(11)] + [1, 0]
    assert dataset.card.template == "a photo of a {}, a bird."
    assert np.array_equal(np.asarray(dataset.read(10)), np.asarray(Image.open(io.BytesIO(coded(10)))))


def test_a_tar_packed_in_another_place_is_the_same_dataset(birds: Path) -> None:
    before = opened(birds).card.sha256
    birds.rename(birds.parent / "moved")
    assert opened(birds.parent / "moved").card.sha256 == before


def lost(root: Path) -> None:
    (root / "train" / "4.tar").unlink()


def torn(root: Path) -> None:
    tar = root / "test" / "0.tar"
    tar.write_bytes(tar.read_bytes()[:700])


def beyond(root: Path) -> None:
    pack(root / "test" / "0.tar", [("s0", 50, "2")])


def alone(root: Path) -> None:
    (root / "test" / "0.tar").unlink()
    with tarfile.open(root / "test" / "0.tar", "w") as file:
        file.addfile(tarfile.TarInfo("s0.webp"), io.BytesIO())


def several(root: Path) -> None:
    (root / "dataset_type.txt").write_text("multilabel")


def unnamed(root: Path) -> None:
    (root / "classnames.txt").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lost, "shards are missing"),
        (torn, "0.tar: cannot be read.*the archive is damaged"),
        (beyond, r"s0.cls: no label; got '2'; expected 0 to 1"),
        (alone, "1 names have no image or no cls"),
        (several, "not a classification task; got 'multilabel'"),
        (unnamed, "classnames.txt: no such file"),
    ],
)
def test_what_is_not_whole_is_refused(damage: Any, said: str, birds: Path) -> None:
    damage(birds)
    with pytest.raises(Refused, match=said):
        opened(birds)
