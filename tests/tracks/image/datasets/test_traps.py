"""Traps of published layouts that span readers, or that no test of one reader names."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tracks.image.datasets import coop_copies as copies
from tests.tracks.image.datasets.conftest import Write
from tests.tracks.image.datasets.test_elevater import by_json, by_lines, opened

from promptgrid.engine.datasets.published.coop_layouts import COOP
from promptgrid.engine.datasets.published.elevater_layouts import ELEVATER
from promptgrid.engine.datasets.published.vtab import VTAB
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import Coop, ElevaterFolders, Vtab1k
from promptgrid.tracks.image.datasets.torchvision_folders import TorchvisionFolders
from promptgrid.tracks.image.track import ImageTrack


def test_three_caltechs_are_three_datasets() -> None:
    """CoOp has 100 classes and its own split; ELEVATER and VTAB have 102, and one of them is the background."""
    cards = [
        Coop().unseen("coop:/x/caltech-101").card,
        ElevaterFolders().unseen("elevater:/x/caltech-101").card,
        Vtab1k().unseen("vtab:/x/caltech101").card,
    ]
    assert [len(card.classes) for card in cards] == [100, 102, 102]
    assert len({card.name for card in cards}) == 3
    assert [card.splits["test"] for card in cards] == [2465, 6084, 6084]


def test_textures_and_eurosat_have_another_split_in_each_collection() -> None:
    assert COOP["dtd"].splits == {"train": 2820, "val": 1128, "test": 1692}
    assert ELEVATER["dtd"].splits == TorchvisionFolders().unseen("torchvision:/x/DTD").card.splits
    assert (VTAB["eurosat"].test, ELEVATER["eurosat_clip"].splits["test"]) == (5400, 5000)


@pytest.mark.parametrize(
    ("name", "zips"),
    [
        ("gtsrb", {"train": "train.zip", "val": "val.zip", "test": "final_test.zip"}),
        ("patch-camelyon", {"train": "train.zip", "val": "validation.zip", "test": "test.zip"}),
        ("cifar-100", {"train": "train_images.zip", "test": "test_images.zip"}),
    ],
)
def test_zips_are_called_as_the_lists_say_not_as_the_splits_are(
    name: str, zips: dict[str, str], tmp_path: Path
) -> None:
    known = ELEVATER[name]
    home = by_lines(tmp_path / known.folder, {known.indices[split]: archive for split, archive in zips.items()})
    names = [f"class {label}" for label in range(known.classes)]
    (home / known.labels).write_text("\n".join(names) if known.classes > 2 else "a\nb\nc")
    assert opened(home).card.splits == dict.fromkeys(zips, 3)


def test_kitti_is_squashed_there_which_a_note_says(tmp_path: Path) -> None:
    home = by_json(tmp_path / ELEVATER["kitti-distance"].folder, "kitti-distance")
    assert any("squashes" in note for note in opened(home).notes)
    other = by_json(tmp_path / ELEVATER["resisc45_clip"].folder, "resisc45_clip")
    assert not any("squashes" in note for note in opened(other).notes)


def test_test_time_papers_have_imagenet_below_images_val_alone(tmp_path: Path, write: Write) -> None:
    home = copies.imagenet(tmp_path, write)
    for place in sorted((home / "images" / "train").rglob("*"), reverse=True):
        place.unlink() if place.is_file() else place.rmdir()
    (home / "images" / "train").rmdir()
    assert Coop().open(f"coop:{home}").card.splits == {"test": 8}


def test_tasks_are_joined_by_plus_and_not_by_the_commas_of_mvlpt(image_track: ImageTrack) -> None:
    assert len(image_track.resolver.dataset("weather+digits").card.classes) > 10
    with pytest.raises(Refused, match="unknown dataset"):
        image_track.resolver.dataset("weather,digits")
