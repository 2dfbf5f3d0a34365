"""VTAB-1k as folders of lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.tracks.image.datasets.conftest import Write

from promptgrid.contract.conformance.plugins import check_dataset
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.published.vtab import VTAB
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import Vtab1k


def small(root: Path, name: str, write: Write, classes: int = 3) -> Path:
    """Lists as the usual script writes them: the 1,000 lie in a folder of their own."""
    home = root / name
    lines: dict[str, list[str]] = {"train800": [], "val200": [], "test": [], "train800val200": []}
    for number, split in enumerate(("train800", "val200", "test")):
        for i in range(2 * classes):
            label = (i + 1) % classes
            write(home / "images" / split / f"{i:06}.jpg", 100 * number + i)
            lines[split].append(f"images/{split}/{i:06}.jpg {label}")
            if split != "test":
                place = len(lines["train800val200"])
                write(home / "images" / "train800val200" / f"{place:06}.jpg", 100 * number + i)
                lines["train800val200"].append(f"images/train800val200/{place:06}.jpg {label}")
    for split, some in lines.items():
        (home / f"{split}.txt").write_text("\n".join(some) + "\n")
    return home


NOAH = [
    *("caltech101", "cifar", "dtd", "oxford_flowers102", "oxford_iiit_pet", "patch_camelyon", "sun397", "svhn"),
    *("resisc45", "eurosat", "dmlab", "kitti", "smallnorb_azi", "smallnorb_ele", "dsprites_loc", "dsprites_ori"),
    *("clevr_dist", "clevr_count", "diabetic_retinopathy"),
]
"""The folders that NOAH's ``get_vtab1k.py`` makes (4426bf6), in its order."""


def opened(home: Path, query: str = "") -> FilesDataset:
    dataset = Vtab1k().open(f"vtab:{home}{query}")
    assert isinstance(dataset, FilesDataset)
    return dataset


def test_nineteen_in_three_groups() -> None:
    groups = [layout.group for layout in VTAB.values()]
    assert [groups.count(group) for group in ("natural", "specialised", "structured")] == [7, 4, 8]


def test_every_folder_of_noahs_script_opens_and_is_checked(tmp_path: Path, write: Write) -> None:
    """Lists of ``images/SPLIT/000000.jpg LABEL``, counted from 0 in each split, the 1,000 written a second time."""
    assert sorted(NOAH) == sorted(VTAB)
    for name in NOAH:
        home = small(tmp_path / "vtab-1k", name, write, 2)
        dataset = opened(home)
        check_dataset(dataset)
        assert dataset.card.name == f"vtab-{name}"
        assert not any("train800val200" in path for path in dataset.paths), "a copy of what trains and selects"
        (found,) = check_named([Vtab1k()], f"vtab:{name}", str(tmp_path))
        assert found.address == f"vtab:{home}"
        assert not found.missing
    unseen = Vtab1k().unseen("vtab:/nowhere/vtab-1k/kitti?train=1000").card
    assert (len(unseen.classes), unseen.splits) == (4, {"train": 1000, "test": 711})


def test_images_are_jpegs_whatever_the_export_made_them_from(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "dsprites_loc", write)
    Image.new("L", (64, 64), 200).save(home / "images" / "test" / "000000.jpg", "JPEG")
    dataset = opened(home)
    assert dataset.read(dataset.splits["test"][0]).mode == "RGB"


def test_lists_are_the_splits_in_their_order(tmp_path: Path, write: Write) -> None:
    dataset = opened(small(tmp_path, "svhn", write))
    assert dataset.card.splits == {"train": 6, "val": 6, "test": 6}
    assert dataset.labels[:6] == [1, 2, 0, 1, 2, 0]
    assert dataset.paths[0] == "images/train800/000000.jpg"
    assert dataset.read(0).size == (5, 6)


def test_all_thousand_train_where_asked(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "svhn", write)
    dataset = opened(home, "?train=1000")
    assert dataset.card.splits == {"train": 12, "test": 6}
    assert all(path.startswith("images/train800val200/") for path in dataset.paths[:12])
    with pytest.raises(Refused, match="expected 800 or 1000"):
        opened(home, "?train=900")
    (home / "train800val200.txt").write_text("images/train800/000000.jpg 1\n")
    with pytest.raises(Refused, match=r"1 lines.*12, of the same labels"):
        opened(home, "?train=1000")


def test_classes_are_counted_from_the_labels(tmp_path: Path, write: Write) -> None:
    """V-PETL Bench's configuration says 200 for Caltech's 102."""
    assert len(opened(small(tmp_path, "caltech101", write, 5)).card.classes) == 5


def test_names_are_the_users_own_or_numbers_with_a_note(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "svhn", write)
    bare = opened(home)
    assert bare.card.classes == ("class 0", "class 1", "class 2")
    assert any("classes are numbers" in note for note in bare.notes)
    (home / "classnames.txt").write_text("zero\none\ntwo\n")
    named = opened(home)
    assert named.card.classes == ("zero", "one", "two")
    assert not any("numbers" in note for note in named.notes)
    (home / "classnames.txt").write_text("zero\none\n")
    with pytest.raises(Refused, match=r"2 names; expected 3"):
        opened(home)


@pytest.mark.parametrize("alias", ["cifar100", "flowers102", "pets", "retinopathy"])
def test_folders_under_their_other_names_open(alias: str, tmp_path: Path, write: Write) -> None:
    home = small(tmp_path / "vtab-1k", alias, write)
    (layout,) = (name for name, known in VTAB.items() if alias in known.aliases)
    assert opened(home).card.name == f"vtab-{layout}"
    (found,) = check_named([Vtab1k()], f"vtab:{layout}", str(tmp_path))
    assert found.address == f"vtab:{home}"
    assert not found.missing
    assert any("6 examples in train, the paper has 800" in line for line in found.wrong)


def test_what_is_missing_is_named(tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "kitti", write)
    (home / "images" / "test" / "000003.jpg").unlink()
    (home / "train800val200.txt").unlink()
    (found,) = check_named([Vtab1k()], "kitti", str(tmp_path))
    assert found.missing[0] == f"train800val200.txt: not in {home}"
    assert found.missing[1].startswith("images/test/000003.jpg: 1 of the 6 files of test")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("images/test/000000.jpg", "no label"),
        ("images/test/000000.jpg -1", "no label"),
        ("../../etc/passwd 1", "leads out of the dataset"),
        ("images/test/000001.jpg 1", "stands on two lines"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, said: str, tmp_path: Path, write: Write) -> None:
    home = small(tmp_path, "svhn", write)
    with (home / "test.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(Refused, match=f"test.txt line 7.*{said}"):
        opened(home)


def test_another_folder_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="did you mean 'resisc45'"):
        Vtab1k().open(f"vtab:{tmp_path}/resisc-45")
