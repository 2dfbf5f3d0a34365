from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.coop_layouts import BY_TITLE
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.coop_split import CoopSplit

NAMES = ("Sphynx cat", "beagle", "Abyssinian")


def lists(write, images: Path) -> dict[str, list[list[Any]]]:
    """Splits whose rows are not sorted by label, so that order is seen to be kept."""
    splits: dict[str, list[list[Any]]] = {"train": [], "val": [], "test": []}
    for number, split in enumerate(splits):
        for i in range(4):
            for label in (2, 0, 1):
                path = f"{NAMES[label]}/{split}{i}.png"
                write(images / path, 100 * number + 10 * label + i)
                splits[split].append([path, label, NAMES[label]])
    return splits


def opened(file: Path, query: str = "") -> FilesDataset:
    dataset = CoopSplit().open(f"coop-split:{file}{query}")
    assert isinstance(dataset, FilesDataset)
    return dataset


@pytest.fixture
def pets(tmp_path: Path, write) -> Path:
    file = tmp_path / "oxford_pets" / "split_zhou_OxfordPets.json"
    file.parent.mkdir()
    file.write_text(json.dumps(lists(write, file.parent / "images")))
    return file


def test_class_order_is_by_label_and_row_order_as_written(pets: Path) -> None:
    dataset = opened(pets)
    assert dataset.card.classes == NAMES
    assert dataset.card.splits == {"train": 12, "val": 12, "test": 12}
    assert [dataset.labels[i] for i in dataset.splits["train"]] == [2, 0, 1] * 4
    written = json.loads(pets.read_text())
    assert [dataset.paths[i] for i in dataset.splits["test"]] == [row[0] for row in written["test"]]
    assert dataset.read(0).size == (5, 6)


def test_known_names_bring_their_template(pets: Path) -> None:
    card = opened(pets).card
    assert (card.name, card.template) == ("OxfordPets", "a photo of a {}, a type of pet.")


def test_other_names_get_the_plain_template(pets: Path) -> None:
    card = opened(pets.rename(pets.with_name("split_zhou_Garden.json"))).card
    assert (card.name, card.template) == ("Garden", "a photo of a {}.")


@pytest.mark.parametrize("known", [title for title, layout in BY_TITLE.items() if layout.lists == "json"])
def test_images_are_found_where_coop_puts_them(known: str, tmp_path: Path, write) -> None:
    template, usual = BY_TITLE[known].template, BY_TITLE[known].images
    file = tmp_path / f"split_zhou_{known}.json"
    file.write_text(json.dumps(lists(write, tmp_path / usual)))
    dataset = opened(file)
    assert dataset.root == (tmp_path / usual).resolve()
    assert dataset.card.template == template


@pytest.mark.parametrize("place", ["images", "."])
def test_images_beside_the_file_are_found(place: str, tmp_path: Path, write) -> None:
    file = tmp_path / "split_zhou_EuroSAT.json"
    file.write_text(json.dumps(lists(write, tmp_path / place)))
    assert opened(file).root == (tmp_path / place).resolve()


def test_images_elsewhere_are_found_by_option(pets: Path, tmp_path: Path) -> None:
    before = opened(pets).card.sha256
    (pets.parent / "images").rename(tmp_path / "moved")
    assert opened(pets, f"?images={tmp_path}/moved").card.sha256 == before


def test_the_digest_is_of_parsed_content_not_of_bytes(pets: Path) -> None:
    before = opened(pets).card.sha256
    pets.write_text(json.dumps(json.loads(pets.read_text()), indent=2))
    assert opened(pets).card.sha256 == before
    assert opened(pets, f"?sha256={before}").card.sha256 == before


def test_another_order_of_rows_is_another_dataset(pets: Path) -> None:
    before = opened(pets).card.sha256
    value = json.loads(pets.read_text())
    value["train"].reverse()
    pets.write_text(json.dumps(value))
    assert opened(pets).card.sha256 != before


def test_another_image_is_another_dataset(pets: Path, write) -> None:
    before = opened(pets).card.sha256
    write(pets.parent / "images" / "beagle" / "test0.png", 999)
    with pytest.raises(Refused, match="not those pinned"):
        opened(pets, f"?sha256={before}")


def test_an_empty_val_list_means_no_val_split(pets: Path) -> None:
    value = json.loads(pets.read_text())
    pets.write_text(json.dumps({**value, "val": []}))
    dataset = opened(pets)
    assert dataset.card.splits == {"train": 12, "test": 12}
    assert "val" not in dataset.splits
