"""Domains as folders: DomainBed's trees, Dassl's folders and lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tracks.image.datasets.conftest import Write

from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.union import open_union
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import DomainFolders

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
CLASSES = ("dog", "elephant")


def tree(root: Path, write: Write, images: int = 5, below: str = "", classes: tuple[str, ...] = CLASSES) -> Path:
    """``domain/[below/]class/image``."""
    for place, domain in enumerate(DOMAINS):
        for label, name in enumerate(classes):
            for i in range(images):
                seed = 1000 * place + 100 * label + i + 7 * len(below)
                write(root / domain / below / name / f"{below}{i}.jpg", seed)
    return root


def opened(place: Path, query: str = "") -> FilesDataset:
    dataset = DomainFolders().open(f"domains:{place}{query}")
    assert isinstance(dataset, FilesDataset)
    return dataset


def test_all_domains_at_once_know_where_each_image_is_from(tmp_path: Path, write: Write) -> None:
    dataset = opened(tree(tmp_path / "PACS", write))
    assert dataset.card.domains == DOMAINS
    assert dataset.card.splits == {"train": 32, "test": 8}, "a fifth of each class of each domain"
    assert [path.split("/")[0] for path in dataset.paths] == list(dataset.domain_labels)
    assert [CLASSES[label] for label in dataset.labels] == [path.split("/")[1] for path in dataset.paths]


def test_what_is_held_out_does_not_depend_on_the_root(tmp_path: Path, write: Write) -> None:
    one, other = (opened(tree(tmp_path / place / "PACS", write)) for place in ("a", "b"))
    assert one.card == other.card
    assert [one.paths[index] for index in one.splits["test"]] == [other.paths[index] for index in other.splits["test"]]


def test_one_domain_is_learned_on_or_scored_whole(tmp_path: Path, write: Write) -> None:
    root = tree(tmp_path / "PACS", write)
    source, target = opened(root / "sketch"), opened(root / "sketch", "?as=target")
    assert source.card.name == "PACS-sketch"
    assert source.card.splits == {"train": 8, "test": 2}
    assert "a fifth" in source.card.description
    assert target.card.splits == {"test": 10}
    assert sorted(target.paths) == sorted(source.paths)
    with pytest.raises(Refused, match="expected source or target"):
        opened(root / "sketch", "?as=both")


def test_domains_are_joined_by_name(tmp_path: Path, write: Write) -> None:
    root = tree(tmp_path / "PACS", write)
    family = DomainFolders()
    joined = open_union(f"domains:{root}/photo|domains:{root}/sketch", family.knows, family.open)
    assert joined is not None
    assert joined.card.classes == CLASSES
    assert set(joined.domain_labels) == {"PACS-photo", "PACS-sketch"}


def test_pacs_by_the_lists_of_dassl(tmp_path: Path, write: Write) -> None:
    """Labels there begin with 1, and one image is passed over."""
    root = tmp_path / "pacs"
    images = tree(root / "images", write)
    write(images / "sketch" / "dog" / "n02103406_4068-1.png", 4)
    (root / "splits").mkdir()
    for domain in DOMAINS:
        for split, rows in (("train", (3, 1, 2)), ("crossval", (0, 4))):
            lines = [f"{domain}/{name}/{i}.jpg {label + 1}" for label, name in enumerate(CLASSES) for i in rows]
            if domain == "sketch" and split == "train":
                lines.append("sketch/dog/n02103406_4068-1.png 1")
            (root / "splits" / f"{domain}_{split}_kfold.txt").write_text("\n".join(lines) + "\n")
    for place in (root / "sketch", root / "images" / "sketch"):
        dataset = opened(place)
        assert dataset.card.classes == CLASSES
        assert dataset.card.splits == {"train": 6, "test": 4}
        assert dataset.paths[:3] == [f"sketch/dog/{i}.jpg" for i in (3, 1, 2)], "in the order of the list"
        assert dataset.labels[:6] == [0, 0, 0, 1, 1, 1]
    assert opened(root / "sketch", "?as=target").card.splits == {"test": 10}
    (found,) = check_named([DomainFolders()], "PACS", str(tmp_path))
    assert found.address == f"domains:{root}"
    assert not found.missing
    assert any("40 examples, the paper has 9,991" in line for line in found.wrong)


def test_a_label_of_two_folders_is_refused(tmp_path: Path, write: Write) -> None:
    root = tmp_path / "pacs"
    tree(root / "images", write)
    (root / "splits").mkdir()
    (root / "splits" / "photo_train_kfold.txt").write_text("photo/dog/0.jpg 1\nphoto/elephant/0.jpg 1\n")
    with pytest.raises(Refused, match="label 1 has two classes"):
        opened(root / "photo")


def test_domainnet_by_its_lists_where_a_domain_lacks_a_class(tmp_path: Path, write: Write) -> None:
    root = tree(tmp_path / "domainnet", write, classes=("ant", "bee", "cow"))
    (root / "splits").mkdir()
    for domain in DOMAINS:
        for split, i in (("train", 0), ("test", 1)):
            kept = (
                [(0, "ant"), (2, "cow")]
                if (domain, split) == ("photo", "train")
                else list(enumerate(("ant", "bee", "cow")))
            )
            lines = [f"{domain}/{name}/{i}.jpg {label}" for label, name in kept]
            (root / "splits" / f"{domain}_{split}.txt").write_text("\n".join(lines) + "\n")
    dataset = opened(root)
    assert dataset.card.classes == ("ant", "bee", "cow")
    assert dataset.card.splits == {"train": 11, "test": 12}
    assert any("'photo' has no training images of 1 classes, first 'bee'" in note for note in dataset.notes)
    assert [path.split("/")[1] for path in dataset.paths] == [dataset.card.classes[label] for label in dataset.labels]


def test_office_home_of_dassl_has_no_test_part(tmp_path: Path, write: Write) -> None:
    root = tmp_path / "office_home_dg"
    tree(root, write, 3, "train")
    tree(root, write, 2, "val")
    dataset = opened(root / "photo")
    assert dataset.card.splits == {"train": 6, "test": 4}
    assert not dataset.card.description, "nothing is held out: its authors say what is what"
    assert {path.split("/")[1] for path in (dataset.paths[index] for index in dataset.splits["test"])} == {"val"}
    assert opened(root / "photo", "?as=target").card.splits == {"test": 10}


def test_vlcs_of_dassl_has_numbers_for_names(tmp_path: Path, write: Write) -> None:
    numbers = tuple(str(i) for i in range(11))
    root = tmp_path / "VLCS"
    for below, images in (("train", 2), ("crossval", 1), ("test", 1)):
        tree(root, write, images, below, numbers)
    dataset = opened(root / "photo")
    assert dataset.card.splits == {"train": 22, "val": 11, "test": 11}
    assert dataset.card.classes[10] == "class 10", "behind class 9, not behind class 1"
    assert opened(root / "photo", "?as=target").card.splits == {"test": 11}, "its authors score the test part"
    (root / "classnames.txt").write_text("\n".join(f"thing {i}" for i in range(11)))
    assert opened(root / "photo").card.classes[10] == "thing 10"


def test_missing_domains_are_named(tmp_path: Path, write: Write) -> None:
    root = tree(tmp_path / "PACS", write)
    (root / "cartoon").rename(tmp_path / "cartoon")
    (found,) = check_named([DomainFolders()], "domains:PACS", str(tmp_path))
    assert found.missing == (f"cartoon: not in {root}",)
    assert any("2 classes, the paper has 7" in line for line in found.wrong)


def test_other_trees_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(Refused, match="at least two domains"):
        opened(tmp_path / "empty")
    with pytest.raises(Refused, match="no such folder"):
        opened(tmp_path / "nothing")
