from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.engine.datasets.class_folders import _divide
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


def opened(root: Path) -> FilesDataset:
    dataset = ImageFolder().open(f"imagefolder:{root}")
    assert isinstance(dataset, FilesDataset)
    return dataset


@pytest.fixture
def birds(tmp_path: Path, write) -> Path:
    for split, count, start in (("train", 3, 0), ("val", 1, 100), ("test", 2, 200)):
        for label, name in enumerate(("wren", "crow")):
            for i in range(count):
                write(tmp_path / "birds" / split / name / f"{i}.png", start + 10 * label + i)
    return tmp_path / "birds"


@pytest.fixture
def loose(tmp_path: Path, write) -> Path:
    for label, name in enumerate(("wren", "crow")):
        for i in range(10):
            write(tmp_path / "loose" / name / f"{i}.png", 10 * label + i)
    return tmp_path / "loose"


def test_split_folders_are_taken_as_they_are(birds: Path) -> None:
    dataset = opened(birds)
    assert dataset.card.name == "birds"
    assert dataset.card.classes == ("crow", "wren")
    assert dataset.card.splits == {"train": 6, "val": 2, "test": 4}
    assert [dataset.paths[i] for i in dataset.splits["train"]] == [
        f"train/{name}/{i}.png" for name in ("crow", "wren") for i in range(3)
    ]
    assert [dataset.labels[i] for i in dataset.splits["test"]] == [0, 0, 1, 1]
    assert dataset.notes == ()


def test_val_may_be_absent(birds: Path) -> None:
    shutil.rmtree(birds / "val")
    dataset = opened(birds)
    assert dataset.card.splits == {"train": 6, "test": 4}
    assert set(dataset.splits) == {"train", "test"}


def test_a_class_called_train_is_a_class(tmp_path: Path, write) -> None:
    for label, name in enumerate(("bus", "train")):
        for i in range(4):
            write(tmp_path / "traffic" / name / f"{i}.png", 10 * label + i)
    assert opened(tmp_path / "traffic").card.classes == ("bus", "train")


def test_loose_classes_are_divided_50_20_30(loose: Path) -> None:
    dataset = opened(loose)
    assert dataset.card.splits == {"train": 10, "val": 4, "test": 6}
    for label in (0, 1):
        assert [sum(dataset.labels[i] == label for i in dataset.splits[s]) for s in ("train", "val", "test")] == [
            5,
            2,
            3,
        ]


def test_renaming_files_moves_no_image_to_another_split(loose: Path) -> None:
    def contents(dataset: FilesDataset) -> dict[str, set[bytes]]:
        return {s: {(dataset.root / dataset.paths[i]).read_bytes() for i in rows} for s, rows in dataset.splits.items()}

    before = contents(opened(loose))
    for i in range(10):
        (loose / "wren" / f"{i}.png").rename(loose / "wren" / f"z{9 - i}.png")
    assert contents(opened(loose)) == before


def test_the_digest_is_of_content_not_of_place(loose: Path, tmp_path: Path) -> None:
    shutil.copytree(loose, tmp_path / "elsewhere" / "loose")
    assert opened(tmp_path / "elsewhere" / "loose").card.sha256 == opened(loose).card.sha256


@pytest.mark.parametrize("card", ["template: a sketch of a {}.", "classes: {wren: tiny wren}"])
def test_what_the_card_changes_changes_the_digest(loose: Path, card: str) -> None:
    before = opened(loose).card.sha256
    (loose / "dataset.yaml").write_text(card)
    assert opened(loose).card.sha256 != before


def test_what_the_card_only_tells_leaves_the_digest_alone(loose: Path) -> None:
    before = opened(loose).card.sha256
    (loose / "dataset.yaml").write_text("title: Birds of a garden\nlicence: CC0-1.0")
    card = opened(loose).card
    assert (card.sha256, card.title, card.licence) == (before, "Birds of a garden", "CC0-1.0")


def test_a_changed_image_changes_the_digest_and_breaks_a_pin(loose: Path, write) -> None:
    before = opened(loose).card.sha256
    (loose / "dataset.yaml").write_text(f"sha256: '{before}'")
    assert opened(loose).card.sha256 == before
    write(loose / "wren" / "0.png", 999)
    with pytest.raises(Refused, match="not those the card was written for"):
        opened(loose)


def test_the_card_renames_classes_and_keeps_the_order_of_folders(loose: Path) -> None:
    (loose / "dataset.yaml").write_text("classes: {crow: zebra crow}\ntemplate: '{}, a bird.'")
    card = opened(loose).card
    assert (card.classes, card.template) == (("zebra crow", "wren"), "{}, a bird.")


def test_nested_images_belong_to_their_class(loose: Path, write) -> None:
    write(loose / "crow" / "deeper" / "x.PNG", 500)
    assert "crow/deeper/x.PNG" in opened(loose).paths


def test_it_knows_its_prefix_only() -> None:
    assert ImageFolder().knows("imagefolder:/x")
    assert not ImageFolder().knows("/x")
    assert ImageFolder().listing() == []


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 30), min_size=2, max_size=60))
def test_division_keeps_every_file_once_and_equal_contents_together(contents: dict[str, int]) -> None:
    hashes = {path: (1, str(value)) for path, value in contents.items()}
    distinct = len(set(contents.values()))
    if distinct < 2:
        with pytest.raises(Refused, match="1 image"):
            _divide({"c": sorted(contents)}, hashes, Path("root"))
        return
    split = {name: found["c"] for name, found in _divide({"c": sorted(contents)}, hashes, Path("root")).items()}
    assert sorted(path for paths in split.values() for path in paths) == sorted(contents)
    sides = {name: {contents[path] for path in paths} for name, paths in split.items()}
    assert [len(sides[name]) for name in ("train", "val", "test")] == [
        distinct // 2,
        distinct // 5,
        distinct - distinct // 2 - distinct // 5,
    ]
    assert sum(map(len, sides.values())) == distinct
