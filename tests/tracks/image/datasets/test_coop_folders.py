"""CoOp's fifteen datasets as they lie on users' disks."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tracks.image.datasets import coop_copies as copies
from tests.tracks.image.datasets.conftest import Write

from promptgrid.contract.findings import Findings
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.published.coop_layouts import COOP
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.coop_split import CoopSplit
from promptgrid.tracks.image.datasets.layouts import Coop
from promptgrid.tracks.image.published.names import dataset_known_as

JSON = [folder for folder, layout in COOP.items() if layout.lists == "json"]


def opened(home: Path, query: str = "") -> FilesDataset:
    dataset = Coop().open(f"coop:{home}{query}")
    assert isinstance(dataset, FilesDataset)
    return dataset


def checked(name: str, root: Path) -> Findings:
    (found,) = check_named([Coop()], name, str(root))
    return found


def classes_of(dataset: FilesDataset, split: str) -> list[str]:
    return [dataset.card.classes[dataset.labels[index]] for index in dataset.splits[split]]


def test_eleven_and_four_are_known() -> None:
    assert len(JSON) == 9
    assert len(COOP) == 15


@pytest.mark.parametrize("folder", JSON)
def test_a_folder_with_a_split_file_is_what_the_file_alone_opens(folder: str, tmp_path: Path, write: Write) -> None:
    home = copies.split_file(tmp_path, folder, write)
    dataset = opened(home)
    alone = CoopSplit().open(f"coop-split:{home}/split_zhou_{COOP[folder].title}.json")
    assert dataset.card == alone.card
    assert dataset.root == (home / COOP[folder].images).resolve()
    assert dataset.read(0).size == (5, 6)


def test_no_split_file_is_refused_and_none_is_made(tmp_path: Path, write: Write) -> None:
    home = copies.split_file(tmp_path, "oxford_pets", write)
    (home / "split_zhou_OxfordPets.json").unlink()
    with pytest.raises(Refused, match="a split that nobody else has"):
        opened(home)
    assert checked("oxford_pets", tmp_path).missing == (f"split_zhou_OxfordPets.json: not in {home}",)


def test_caches_of_few_shot_draws_are_not_unpickled(tmp_path: Path, write: Write) -> None:
    home = copies.split_file(tmp_path, "dtd", write)
    before = opened(home).card.sha256
    (home / "split_fewshot").mkdir()
    (home / "split_fewshot" / "shot_1-seed_1.pkl").write_bytes(pickle.dumps(pytest.fail)[:-2])
    assert opened(home).card.sha256 == before


def test_the_root_of_test_time_papers_opens_too(tmp_path: Path, write: Write) -> None:
    copies.split_file(tmp_path / "few-shot-datasets", "oxford_flowers", write)
    assert opened(tmp_path / "oxford_flowers").card.name == "OxfordFlowers"
    assert checked("coop:oxford_flowers", tmp_path).address == f"coop:{tmp_path}/few-shot-datasets/oxford_flowers"


def test_a_home_made_split_has_other_counts_which_a_note_says(tmp_path: Path, write: Write) -> None:
    home = copies.split_file(tmp_path, "eurosat", write)
    assert any("4 in train instead of 13,500" in note for note in opened(home).notes)
    wrong = checked("eurosat", tmp_path).wrong
    assert any("4 examples in train, the paper has 13,500" in line for line in wrong)
    assert any("2 classes, the paper has 10" in line for line in wrong)


def test_missing_and_unlisted_images_are_named(tmp_path: Path, write: Write) -> None:
    home = copies.split_file(tmp_path, "caltech-101", write)
    images = home / "101_ObjectCategories"
    (images / "apple_pie" / "val1.png").unlink()
    write(images / "BACKGROUND_Google" / "image_0001.png", 5)
    found = checked("caltech-101", tmp_path)
    assert len(found.missing) == 1
    assert found.missing[0].startswith("apple_pie/val1.png: 1 of the 4 files of val")
    assert found.extra == ("BACKGROUND_Google/: 1 images in no list, first BACKGROUND_Google/image_0001.png",)


def test_aircraft_follow_their_own_lists(tmp_path: Path, write: Write) -> None:
    home = copies.aircraft(tmp_path, write)
    dataset = opened(home)
    assert dataset.card.classes == copies.VARIANTS, "labels follow the lines of variants.txt"
    assert dataset.card.splits == {"train": 4, "val": 4, "test": 4}
    assert classes_of(dataset, "test") == ["F-16A/B", "Cessna 172", "707-320", "DC-3"], "names with blanks and strokes"
    assert dataset.paths[0] == "0000001.jpg"
    assert dataset.card.template == "a photo of a {}, a type of aircraft."
    found = checked("fgvc_aircraft", tmp_path)
    assert not found.missing
    assert len(found.wrong) == 4, "100 classes and three counts"


def test_a_variant_of_no_list_is_refused_with_the_nearest(tmp_path: Path, write: Write) -> None:
    home = copies.aircraft(tmp_path, write)
    with (home / "images_variant_test.txt").open("a") as file:
        file.write("0000099 F-16\n")
    with pytest.raises(Refused, match=r"images_variant_test.txt line 5: no class is called so.*did you mean"):
        opened(home)


@pytest.fixture
def imagenet(tmp_path: Path, write: Write) -> Path:
    return copies.imagenet(tmp_path, write)


def test_imagenet_trains_on_train_and_is_tested_on_val(imagenet: Path) -> None:
    dataset = opened(imagenet)
    assert dataset.card.name == "ImageNet"
    assert dataset.card.classes == tuple(copies.NAMES.values())
    assert dataset.card.splits == {"train": 12, "test": 8}, "validation images are the test images, and select nothing"
    assert [dataset.paths[index] for index in dataset.splits["test"]][:2] == [
        "val/n01440764/ILSVRC2012_val_00.JPEG",
        "val/n01440764/ILSVRC2012_val_01.JPEG",
    ]


def test_images_of_a_class_are_sorted_and_the_card_says_why(imagenet: Path) -> None:
    dataset = opened(imagenet)
    names = [f"train/n01440764/n01440764_{i}.JPEG" for i in ("1", "10", "9")]
    assert dataset.paths[:3] == names, "whatever order the disk lists them in"
    assert "not the same on two machines" in dataset.card.description


def test_labels_of_imagenet_follow_folders_not_lines(imagenet: Path) -> None:
    copies.classnames(imagenet, dict(reversed(copies.NAMES.items())))
    assert opened(imagenet).card.classes == tuple(copies.NAMES.values())


def test_imagenet_without_train_opens_to_be_scored(imagenet: Path) -> None:
    (imagenet / "images" / "train").rename(imagenet / "train_elsewhere")
    dataset = opened(imagenet)
    assert dataset.card.splits == {"test": 8}
    assert any("0 in train instead of 1,281,167" in note for note in dataset.notes)
    assert checked("imagenet", imagenet.parent).missing == (f"images/train: not in {imagenet}",)


def test_a_missing_class_folder_is_refused_as_labels_would_shift(imagenet: Path) -> None:
    (imagenet / "images" / "val" / "n01443537").rename(imagenet / "n01443537")
    with pytest.raises(Refused, match=r"val/: 1 classes have no folder.*n01443537"):
        opened(imagenet)
    found = checked("imagenet", imagenet.parent)
    assert not found.missing
    assert "n01443537" in found.wrong[0]


def test_a_class_folder_without_a_name_is_refused(imagenet: Path, write: Write) -> None:
    write(imagenet / "images" / "train" / "n99999999" / "1.JPEG", 3)
    with pytest.raises(Refused, match=r"1 class folders have no line in .*classnames.txt.*n99999999"):
        opened(imagenet)


def test_two_classes_of_one_name_are_kept_apart_and_told(imagenet: Path) -> None:
    copies.classnames(imagenet, {**copies.NAMES, "n01443537": "missile"})
    dataset = opened(imagenet)
    assert dataset.card.classes.count("missile") == 2
    assert dataset.card.merged
    assert any("stand twice, first 'missile'" in note for note in dataset.notes)


def test_classnames_may_not_name_a_folder_twice(imagenet: Path) -> None:
    with (imagenet / "classnames.txt").open("a") as file:
        file.write("n01440764 tench again\n")
    with pytest.raises(Refused, match=r"line 5: 'n01440764' stands on two lines"):
        opened(imagenet)


def test_v2_folders_are_numbers_of_lines_not_names(tmp_path: Path, write: Write) -> None:
    names = {f"n{1000 - i:08}": f"thing {i}" for i in range(12)}
    home = copies.variant(tmp_path, "imagenetv2", [str(i) for i in range(12)], write)
    copies.classnames(home, names)
    dataset = opened(home)
    assert dataset.card.classes == tuple(names.values()), "line order, not the order of WordNet ids"
    for path, label in zip(dataset.paths, dataset.labels, strict=True):
        assert path.split("/")[0] == str(label), "10 does not come behind 1"
    assert [path.split("/")[0] for path in dataset.paths[::2]] == [str(i) for i in range(12)]


def test_a_v2_folder_beyond_the_lines_is_refused(tmp_path: Path, write: Write) -> None:
    home = copies.variant(tmp_path, "imagenetv2", ["0", "1", "2", "4"], write)
    with pytest.raises(Refused, match=r"no line of classnames.txt.*got '4'; expected 0 to 3"):
        opened(home)


def test_a_v2_class_without_images_keeps_its_label(tmp_path: Path, write: Write) -> None:
    home = copies.variant(tmp_path, "imagenetv2", ["0", "2", "3"], write)
    assert classes_of(opened(home), "test")[2:4] == ["great white shark"] * 2
    wrong = checked("imagenetv2", tmp_path).wrong
    assert any("1 classes have nothing in test, first goldfish" in line for line in wrong)


@pytest.mark.parametrize("folder", ["imagenet-adversarial", "imagenet-rendition"])
def test_a_and_r_are_tasks_of_their_own_classes(folder: str, tmp_path: Path, write: Write) -> None:
    home = copies.variant(tmp_path, folder, ["n03773504", "n01443537"], write)
    dataset = opened(home)
    assert dataset.card.classes == ("goldfish", "missile"), "labels 0 and 1 in sorted order, no third name"
    assert dataset.card.splits == {"test": 4}
    assert not any("README" in path for path in dataset.paths)


def test_sketch_must_have_all_classes(tmp_path: Path, write: Write) -> None:
    home = copies.variant(tmp_path, "imagenet-sketch", list(copies.NAMES), write)
    assert opened(home).card.splits == {"test": 8}
    short = copies.variant(tmp_path / "short", "imagenet-sketch", list(copies.NAMES)[1:], write)
    with pytest.raises(Refused, match="labels would shift"):
        opened(short)


def test_names_may_lie_in_imagenet_beside_a_variant(imagenet: Path, write: Write) -> None:
    home = copies.variant(imagenet.parent, "imagenet-rendition", ["n03773504", "n01443537"], write)
    before = opened(home).card.sha256
    (home / "classnames.txt").unlink()
    assert opened(home).card.sha256 == before
    (imagenet / "classnames.txt").unlink()
    with pytest.raises(Refused, match=r"no classnames.txt"):
        opened(home)


def test_a_pin_holds_the_content(imagenet: Path, write: Write) -> None:
    sha = opened(imagenet).card.sha256
    assert opened(imagenet, f"?sha256={sha}").card.sha256 == sha
    write(imagenet / "images" / "val" / "n01440764" / "ILSVRC2012_val_00.JPEG", 77)
    with pytest.raises(Refused, match="not those pinned"):
        opened(imagenet, f"?sha256={sha}")


def test_a_complete_copy_is_as_published(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    home = copies.split_file(tmp_path, "ucf101", write)
    small = replace(COOP["ucf101"], classes=2, splits={"train": 4, "val": 4, "test": 4})
    monkeypatch.setitem(COOP, "ucf101", small)
    assert checked("ucf101", tmp_path) == Findings("coop:ucf101", f"coop:{home}", {"train": 4, "val": 4, "test": 4})
    assert checked("ucf101", home) == checked("ucf101", tmp_path), "the root may be the dataset's own folder"


def test_a_family_checks_all_of_its_datasets(tmp_path: Path, write: Write) -> None:
    copies.split_file(tmp_path, "dtd", write)
    found = {each.layout: each for each in check_named([Coop()], "coop", str(tmp_path))}
    assert len(found) == 15
    assert found["coop:food-101"].missing == (f"food-101/: no such folder in {tmp_path}",)
    assert not found["coop:dtd"].missing


@pytest.mark.parametrize(("name", "said"), [("dtdd", "did you mean 'dtd'"), ("coop:image-net", "did you mean")])
def test_an_unknown_name_is_refused_with_the_nearest(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=said):
        check_named([Coop()], name, str(tmp_path))


def test_another_folder_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="did you mean 'oxford_pets'"):
        Coop().open(f"coop:{tmp_path}/oxfordpets")


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("coop:/data/oxford_pets", "OxfordPets"),
        ("coop:/data/dtd", "DTD"),
        ("coop:/data/imagenet-adversarial", "ImageNet-A"),
        ("coop:/data/imagenetv2?sha256=0", "ImageNetV2"),
        ("coop-split:/data/split_zhou_EuroSAT.json", "EuroSAT"),
        ("vtab:/data/vtab-1k/dtd", ""),
        ("elevater:/data/dtd_20211007", ""),
    ],
)
def test_only_the_splits_of_these_papers_stand_beside_their_figures(address: str, known: str) -> None:
    assert dataset_known_as(address) == known
