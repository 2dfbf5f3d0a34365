"""Folders of classes, split files and cards beside data, of examples that are no images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptgrid.contract.dataset import Dataset
from promptgrid.engine.datasets.card_folder import CardFolder
from promptgrid.engine.datasets.class_folders import ClassFolders
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.preview import facts_of
from promptgrid.engine.datasets.split_lists import read_split_lists
from promptgrid.engine.datasets.variations import read_variations
from promptgrid.spec import DatasetCard, Refused

NOTES = Kind("note", {".txt"}, aside=("variations",))


class Notes(FilesDataset):
    """Texts in files."""

    def read_file(self, path: Path, known: bytes) -> str:
        return path.read_text(encoding="utf-8")


class NoteFolder(ClassFolders):
    """``notes:/path``."""

    name = "notes"
    prefix = "notes:"
    kind = NOTES
    built = Notes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes with train and test, and a file that is no note."""
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "notes"
    for split in ("train", "test"):
        for label in ("glad", "sad"):
            (home / split / label).mkdir(parents=True)
            (home / split / label / "1.txt").write_text(f"{split} {label}", encoding="utf-8")
    (home / "train" / "glad" / "2.png").write_bytes(b"no note")
    return home


def test_a_folder_of_classes_of_another_kind(folder: Path) -> None:
    dataset = NoteFolder().open(f"notes:{folder}")
    assert dataset.card.classes == ("glad", "sad")
    assert [dataset.read(index) for index in range(4)] == ["train glad", "train sad", "test glad", "test sad"]
    assert dataset.card.template == "{}"
    facts = facts_of(dataset, "notes:here", {"words": 8})
    assert facts["words"] == 8
    assert facts["left_out"] == [{"path": "train/glad/2.png", "why": "no note by its name"}]
    assert facts["classes"][0] == {"label": 0, "name": "glad", "train": 1, "test": 1}


def test_refusals_speak_of_the_kind(folder: Path) -> None:
    (folder / "train" / "sad" / "1.txt").unlink()
    with pytest.raises(Refused, match="holds no notes"):
        NoteFolder().open(f"notes:{folder}")


def test_variations_belong_to_examples(folder: Path) -> None:
    home = folder / "variations" / "train" / "glad" / "1"
    home.mkdir(parents=True)
    (home / "a.txt").write_text("merry", encoding="utf-8")
    paths = ["train/glad/1.txt", "train/sad/1.txt"]
    found = read_variations(folder.resolve(), paths, NOTES, lambda path, known: path.read_text(encoding="utf-8"))
    assert found is not None
    assert found.names == {0: ("train/glad/1/a.txt",)}
    assert found.read("train/glad/1/a.txt") == "merry"
    with pytest.raises(Refused, match="a variation of no note"):
        read_variations(folder.resolve(), paths[1:], NOTES, lambda path, known: None)


def test_split_lists_give_rows_and_classes(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    lists = {"train": [["a.txt", 0, "glad"], ["b.txt", 1, "sad"]], "val": [], "test": [["c.txt", 1, "sad"]]}
    file.write_text(json.dumps(lists), encoding="utf-8")
    rows, classes = read_split_lists(file, "note")
    assert classes == ["glad", "sad"]
    assert [(row.path, row.label) for row in rows["test"]] == [("c.txt", 1)]
    file.write_text(json.dumps(lists | {"test": []}), encoding="utf-8")
    with pytest.raises(Refused, match="no test notes"):
        read_split_lists(file, "note")


class Carded(CardFolder):
    """Cards beside files of one number each."""

    name = "carded"
    ending = ".dat"

    def opened(self, card: DatasetCard, path: Path) -> Dataset:
        raise Refused(f"opened {card.name} with {path.read_text(encoding='utf-8')}")


def test_a_folder_of_cards(tmp_path: Path) -> None:
    home = tmp_path / "cards"
    (home / "inner").mkdir(parents=True)
    for where, name in ((home, "b"), (home / "inner", "a")):
        text = f"name: {name}\nclasses: [x, y]\nsplits: {{train: 2, test: 2}}\nsha256: {'ab' * 32}\n"
        (where / f"{name}.yaml").write_text(text, encoding="utf-8")
    (home / "b.dat").write_text("7", encoding="utf-8")
    family = Carded(home)
    assert [card.name for card in family.listing()] == ["a", "b"]
    assert all(card.bundled for card in family.listing())
    with pytest.raises(Refused, match="opened b with 7"):
        family.open("b")
    with pytest.raises(Refused, match="no such file"):
        family.open("a")
    with pytest.raises(Refused, match="unknown dataset"):
        family.open("c")
    (home / "b.yaml").rename(home / "other.yaml")
    with pytest.raises(Refused, match="called otherwise"):
        family.listing()
