"""VPT's five fine-grained datasets, by its JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tracks.image.datasets.conftest import Write

from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.published.vpt_fgvc import FGVC
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import FineGrained

NUMBERS = (817, 295, 1009)


def small(root: Path, name: str, write: Write) -> Path:
    home = root / name
    for place, split in enumerate(("train", "val", "test")):
        rows = {}
        for i, number in enumerate(NUMBERS):
            path = f"{number:04}/{split}.jpg"
            write(home / FGVC[name][1] / path, 10 * place + i)
            rows[path] = number
        (home / f"{split}.json").write_text(json.dumps(rows))
    return home


def opened(home: Path) -> FilesDataset:
    dataset = FineGrained().open(f"vpt-fgvc:{home}")
    assert isinstance(dataset, FilesDataset)
    return dataset


@pytest.mark.parametrize("name", FGVC)
def test_numbers_of_classes_become_labels_in_their_order(name: str, tmp_path: Path, write: Write) -> None:
    dataset = opened(small(tmp_path, name, write))
    assert dataset.root == (tmp_path / name / FGVC[name][1]).resolve()
    assert dataset.labels == [1, 0, 2] * 3
    assert dataset.card.splits == {"train": 3, "val": 3, "test": 3}
    assert dataset.read(0).size == (5, 6)


def test_names_are_the_users_own(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "nabirds", write)
    (home / "classnames.txt").write_text("wren\ncrow\nrobin\n")
    assert opened(home).card.classes == ("wren", "crow", "robin")


def test_what_is_missing_or_wrong_is_named(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "CUB_200_2011", write)
    (home / "images" / "0295" / "val.jpg").unlink()
    (found,) = check_named([FineGrained()], "CUB_200_2011", str(tmp_path))
    assert found.missing[0].startswith("0295/val.jpg: 1 of the 3 files of val")
    assert any("3 classes, the paper has 200" in line for line in found.wrong)
    (home / "val.json").unlink()
    (found,) = check_named([FineGrained()], "CUB_200_2011", str(tmp_path))
    assert found.missing == (f"val.json: not in {home}",)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"0817/train.jpg": 817}, "stands in train.json and in val.json"),
        ({"a.jpg": "817"}, "the class is not a number"),
        ({"../a.jpg": 817}, "leads out of the dataset"),
        ([], "not a mapping"),
    ],
)
def test_bad_lists_are_refused(rows: object, said: str, tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "StanfordDogs", write)
    (home / "val.json").write_text(json.dumps(rows))
    with pytest.raises(Refused, match=said):
        opened(home)
