"""Images that cannot be read: damage is remembered, trouble of the system is not, and neither is ever a black image."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from PIL.Image import Image
from tests.contracts import small_world

from promptgrid.engine.feature_tables import DamagedData
from promptgrid.engine.outcomes.failures import reason_of
from promptgrid.spec import Reason
from promptgrid.store import FeatureCache
from promptgrid.tracks.image.data.features import feature_table
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.datasets.decoding import DamagedImage

TROUBLE = [
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ESTALE, "Stale file handle"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    PermissionError(errno.EACCES, "Permission denied"),
]


class Failing(small_world.Pictures):
    """Pictures of which one cannot be read while there is trouble."""

    def __init__(self, trouble: OSError) -> None:
        super().__init__()
        self.trouble: OSError | None = trouble
        self.bad = self.splits["train"][1]

    def read(self, index: int) -> Image:
        if index == self.bad and self.trouble is not None:
            raise self.trouble
        return super().read(index)


@pytest.mark.parametrize("trouble", [*TROUBLE, DamagedImage("1.png", "cut short")], ids=str)
def test_no_image_is_black(trouble: OSError) -> None:
    dataset = Failing(trouble)
    with pytest.raises(type(trouble)) as caught:
        read_pixels(dataset, dataset.splits["train"], small_world.PREPROCESSING)
    assert caught.value is trouble
    assert len(read_pixels(dataset, dataset.splits["test"], small_world.PREPROCESSING)) == len(dataset.splits["test"])


@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
def test_trouble_passes(trouble: OSError, tmp_path: Path) -> None:
    dataset, backbone = Failing(trouble), small_world.backbone()
    train = dataset.splits["train"]
    table = feature_table(dataset, "train", train, backbone, FeatureCache(tmp_path))
    assert len(table.take([index for index in train if index != dataset.bad])) == len(train) - 1
    with pytest.raises(type(trouble)) as caught:
        table.take(train)
    assert reason_of(caught.value) is Reason.DATA_MISSING
    assert FeatureCache(tmp_path).listing() == []
    dataset.trouble = None
    table = feature_table(dataset, "train", train, backbone, FeatureCache(tmp_path))
    assert len(table.take(train)) == len(train)
    assert len(FeatureCache(tmp_path).listing()) == 1


def test_damage_is_remembered(tmp_path: Path) -> None:
    dataset, backbone = Failing(DamagedImage("1.png", "cut short")), small_world.backbone()
    train = dataset.splits["train"]
    feature_table(dataset, "train", train, backbone, FeatureCache(tmp_path))
    dataset.trouble = None
    table = feature_table(dataset, "train", train, backbone, FeatureCache(tmp_path))
    with pytest.raises(DamagedData, match=r"1\.png: cut short") as caught:
        table.take(train)
    assert reason_of(caught.value) is Reason.DATA_CORRUPT


def test_every_few_images_there_is_a_sign_of_life(tmp_path: Path) -> None:
    dataset, told = small_world.Pictures(), []
    train = dataset.splits["train"]
    feature_table(dataset, "train", train, small_world.backbone(), FeatureCache(tmp_path), lambda: told.append(1))
    assert len(told) >= 1
