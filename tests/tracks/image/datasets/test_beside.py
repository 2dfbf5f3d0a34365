"""``descriptions.yaml`` and ``variations/`` beside a user's images."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.contract.clip import Dataset
from promptgrid.engine.datasets.union import UnionDataset
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder

GOOD = "descriptions:\n  cat: [whiskers, pointed ears]\n  dog: [floppy ears]\n"


@pytest.fixture
def folder(tmp_path: Path, write) -> Path:
    for seed, name in enumerate(("train/cat/1", "train/cat/2", "train/dog/1", "test/cat/3", "test/dog/2")):
        write(tmp_path / "pets" / f"{name}.png", seed)
    return tmp_path / "pets"


def opened(folder: Path) -> Dataset:
    return ImageFolder().open(f"imagefolder:{folder}")


def test_without_them_there_are_none(folder: Path) -> None:
    dataset = opened(folder)
    assert dict(dataset.descriptions) == {}
    assert dataset.variations is None
    assert list(dataset.domain_labels) == []


def test_descriptions_are_read_and_are_no_part_of_the_data(folder: Path) -> None:
    before = opened(folder).card.sha256
    (folder / "descriptions.yaml").write_text(GOOD, encoding="utf-8")
    dataset = opened(folder)
    assert dict(dataset.descriptions) == {"cat": ("whiskers", "pointed ears"), "dog": ("floppy ears",)}
    assert dataset.card.sha256 == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("descriptions:\n  cat: [a]\n", "1 of 2 classes have no description; got 'dog'"),
        (GOOD + "  cow: [horns]\n", "no class of this dataset; got 'cow'"),
        ("descriptions:\n  cat: [a]\n  dog: []\n", "'dog' has an empty description"),
        ('descriptions:\n  cat: [a]\n  dog: ["  "]\n', "'dog' has an empty description"),
        ("descriptions:\n  cat: [a, A]\n  dog: [b]\n", "'cat' has one description twice"),
        ("sentences: {}\n", "unknown key 'sentences'|'descriptions' is missing"),
        ("descriptions:\n  cat: a\n  dog: [b]\n", "descriptions.cat"),
    ],
)
def test_bad_descriptions_are_refused_with_their_file(folder: Path, text: str, words: str) -> None:
    (folder / "descriptions.yaml").write_text(text, encoding="utf-8")
    dataset = opened(folder)
    with pytest.raises(Refused, match=words) as refusal:
        assert dataset.descriptions
    assert "descriptions.yaml" in str(refusal.value)


def test_variations_belong_to_the_image_of_their_path(folder: Path, write) -> None:
    before = opened(folder).card.sha256
    for seed, name in enumerate(("test/cat/3/b", "test/cat/3/a", "test/dog/2/x")):
        write(folder / "variations" / f"{name}.png", 100 + seed)
    dataset = opened(folder)
    assert dataset.card.sha256 == before
    found = dataset.variations
    assert found is not None
    cat, dog = dataset.splits["test"]
    assert found.names == {cat: ("test/cat/3/a.png", "test/cat/3/b.png"), dog: ("test/dog/2/x.png",)}
    assert found.read("test/cat/3/a.png").size == (5, 6)
    digest = found.digest
    write(folder / "variations" / "test/cat/3/a.png", 7)
    again = opened(folder).variations
    assert again is not None
    assert again.digest != digest


def test_a_variation_of_nothing_is_refused(folder: Path, write) -> None:
    write(folder / "variations" / "test/cat/9/a.png", 1)
    with pytest.raises(Refused, match=r"variation of no image.*test/cat/9/a.png"):
        assert opened(folder).variations


def test_the_folder_is_no_class_where_there_are_no_split_folders(tmp_path: Path, write) -> None:
    for seed, name in enumerate(("cat/1", "cat/2", "dog/1", "dog/2", "variations/cat/1/a")):
        write(tmp_path / "pets" / f"{name}.png", seed)
    dataset = opened(tmp_path / "pets")
    assert dataset.card.classes == ("cat", "dog")
    assert dataset.variations is not None
    assert list(dataset.variations.names) == [dataset.paths.index("cat/1.png")]  # type: ignore[attr-defined]


def test_domains_say_of_a_class_what_all_parts_say(tmp_path: Path, write) -> None:
    parts = []
    for part in ("photo", "sketch"):
        for seed, name in enumerate(("train/cat/1", "train/dog/1", "test/cat/2", "test/dog/2")):
            write(tmp_path / part / f"{name}.png", seed + 10 * len(parts))
        text = GOOD if part == "photo" else "descriptions:\n  dog: [a tail, floppy ears]\n  cat: [stripes]\n"
        (tmp_path / part / "descriptions.yaml").write_text(text, encoding="utf-8")
        parts.append(opened(tmp_path / part))
    union = UnionDataset("photo|sketch", "|", parts)
    assert union.descriptions == {"cat": ("whiskers", "pointed ears", "stripes"), "dog": ("floppy ears", "a tail")}
    assert list(union.domain_labels) == ["photo"] * 4 + ["sketch"] * 4
    assert list(UnionDataset("photo+sketch", "+", parts).domain_labels) == []
