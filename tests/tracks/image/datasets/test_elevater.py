"""ELEVATER's folders: lists with images in zips, and JSON files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from promptgrid.contract.dataset import ChangedExample
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.published.elevater import spoken_names
from promptgrid.engine.datasets.published.elevater_layouts import ELEVATER
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.layouts import ElevaterFolders
from promptgrid.tracks.image.datasets.preview import preview

NAMES = ("cat", "dog", "bird")


def coded(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pack(archive: Path, images: dict[str, int]) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name, seed in images.items():
            file.writestr(name, coded(seed))


def by_lines(home: Path, lists: dict[str, str]) -> Path:
    """``lists``: index file -> zip. Three images an index, of labels 2, 0, 1."""
    for place, (index, archive) in enumerate(lists.items()):
        names = [f"{index[:-4]}/{i}.png" for i in range(3)]
        pack(home / archive, {name: 10 * place + i for i, name in enumerate(names)})
        lines = [f"{archive}@{name} {label}" for name, label in zip(names, (2, 0, 1), strict=True)]
        (home / index).write_text("\n".join(lines) + "\n")
    (home / "labels.txt").write_text("\n".join(NAMES) + "\n")
    return home


def by_json(home: Path, name: str) -> Path:
    """Numbers of categories begin with 1 and are not in their order."""
    for place, (split, index) in enumerate(ELEVATER[name].indices.items()):
        pack(
            home / "images.zip" if place == 0 else home / f"{split}.zip",
            {f"{split}/{i}.png": 10 * place + i for i in range(3)},
        )
        zipped = "images.zip" if place == 0 else f"{split}.zip"
        value = {
            "images": [{"id": i + 1, "file_name": f"{split}/{i}.png", "zip_file": zipped} for i in range(3)],
            "annotations": [{"id": i, "image_id": i + 1, "category_id": (2, 3, 1)[i]} for i in range(3)],
            "categories": [{"id": number, "name": name} for number, name in zip((2, 1, 3), NAMES, strict=True)],
        }
        (home / index).write_text(json.dumps(value))
    return home


def opened(place: Path, query: str = "") -> FilesDataset:
    dataset = ElevaterFolders().open(f"elevater:{place}{query}")
    assert isinstance(dataset, FilesDataset)
    return dataset


def test_twenty_and_imagenet_are_known() -> None:
    assert len(ELEVATER) == 21
    assert sum(name.endswith(".json") for known in ELEVATER.values() for name in [known.indices["test"]]) == 4


def test_images_are_read_from_their_zips(tmp_path: Path) -> None:
    home = by_lines(tmp_path / "food_101_20211007", {"train.txt": "train.zip", "test.txt": "val.zip"})
    dataset = opened(home)
    assert dataset.card.splits == {"train": 3, "test": 3}, "val.zip holds the test images"
    assert dataset.labels == [2, 0, 1] * 2
    assert dataset.paths[3] == "val.zip@test/0.png"
    assert np.array_equal(np.asarray(dataset.read(3)), np.asarray(Image.open(io.BytesIO(coded(10)))))
    shown = preview(dataset, "elevater:x")
    assert shown["pixels"]["bytes"] == sum(len(coded(seed)) for seed in (0, 1, 2, 10, 11, 12))


@pytest.mark.parametrize("place", ["", "classification", "dtd", "dtd/classification"])
def test_a_dataset_is_found_below_one_root_or_its_own(place: str, tmp_path: Path) -> None:
    by_lines(tmp_path / place / "dtd_20211007", {f"{part}.txt": f"{part}.zip" for part in ("train", "val", "test")})
    assert opened(tmp_path / "dtd").card.splits == {"train": 3, "val": 3, "test": 3}
    (found,) = check_named([ElevaterFolders()], "elevater:dtd", str(tmp_path))
    assert found.address == f"elevater:{tmp_path / place / 'dtd_20211007'}"
    assert not found.missing
    assert any("3 examples in val, the paper has 1,880" in line for line in found.wrong)


def test_one_zip_may_hold_all_splits(tmp_path: Path) -> None:
    home = tmp_path / "eurosat_clip_20210930"
    pack(home / "2750.zip", {f"2750/{i}.png": i for i in range(9)})
    for place, split in enumerate(("train", "val", "test")):
        lines = [f"2750.zip@2750/{3 * place + i}.png {i}" for i in range(3)]
        (home / f"{split}.txt").write_text("\n".join(lines))
    (home / "labels.txt").write_text("\n".join(NAMES))
    assert opened(home).card.splits == {"train": 3, "val": 3, "test": 3}


@pytest.mark.parametrize("name", ["resisc45_clip", "kitti-distance", "hateful-memes", "imagenet-1k"])
def test_json_labels_follow_the_order_of_categories_not_their_numbers(name: str, tmp_path: Path) -> None:
    dataset = opened(by_json(tmp_path / ELEVATER[name].folder, name))
    assert dataset.card.classes == NAMES
    assert dataset.labels[:3] == [0, 2, 1]
    assert dataset.card.template == ELEVATER[name].template
    assert dataset.read(0).size == (5, 6)


def test_an_index_may_lie_in_a_zip(tmp_path: Path) -> None:
    home = by_json(tmp_path / "resisc45_clip_20210924", "resisc45_clip")
    before = opened(home).card.sha256
    with zipfile.ZipFile(home / "annotations.zip", "w") as file:
        for index in ELEVATER["resisc45_clip"].indices.values():
            file.write(home / index, index)
            (home / index).unlink()
    assert opened(home).card.sha256 == before


def test_names_are_those_of_its_prompts_unless_the_user_gives_others(tmp_path: Path) -> None:
    lists = {"train.txt": "train.zip", "test.txt": "val.zip"}
    home = by_lines(tmp_path / "oxford_iiit_pets_20211007", lists)
    labels = [f"breed_{label}" for label in range(37)]
    (home / "labels.txt").write_text("\n".join(labels) + "\n")
    assert opened(home).card.classes[:3] == ("Abyssinian", "american bulldog", "american pit bull terrier")
    assert not any("names" in note for note in opened(home).notes)
    (home / "classnames.txt").write_text("\n".join(f"dog {label}" for label in range(37)))
    assert opened(home).card.classes[0] == "dog 0"


def test_names_follow_the_labels_on_disk_where_these_say_the_same_in_another_order(tmp_path: Path) -> None:
    home = by_lines(
        tmp_path / "rendered_sst2_20210924", {f"{part}.txt": f"{part}.zip" for part in ("train", "valid", "test")}
    )
    for split in ("train", "valid", "test"):
        (home / f"{split}.txt").write_text("".join(f"{split}.zip@{split}/{i}.png {i % 2}\n" for i in range(3)))
    (home / "labels.txt").write_text("Positive\nNegative\n")
    assert opened(home).card.classes == ("positive", "negative")


def test_faces_are_called_by_their_labels_because_the_list_of_prompts_is_in_another_order(tmp_path: Path) -> None:
    home = by_lines(tmp_path / "fer_2013_20211008", {f"{part}.txt": f"{part}.zip" for part in ("train", "val", "test")})
    assert "fer-2013" not in spoken_names()
    names = ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"]
    (home / "labels.txt").write_text("\n".join(names))
    assert opened(home).card.classes == tuple(names)
    assert any("which ELEVATER's prompts do not use" in note for note in opened(home).notes)


def test_every_list_of_names_has_a_name_for_each_class() -> None:
    named = spoken_names()
    assert ELEVATER.keys() - named.keys() == {"fer-2013", "imagenet-1k", "voc-2007-classification"}
    for layout, names in named.items():
        assert len(set(names)) == len(names) == ELEVATER[layout].classes, layout
    assert named["caltech-101"][4] == "background", "102 classes, unlike CoOp's 100"


def test_another_metric_is_told(tmp_path: Path) -> None:
    home = by_lines(tmp_path / "caltech_101_20211007", {"train.txt": "train.zip", "test.txt": "test.zip"})
    assert any("mean-per-class" in note for note in opened(home).notes)


def test_several_labels_are_refused(tmp_path: Path) -> None:
    lists = {f"{part}_ic.txt": f"{part}.zip" for part in ("train", "val", "test")}
    home = by_lines(tmp_path / "voc2007_20211007", lists)
    (home / "test_ic.txt").write_text("test.zip@test_ic/0.png 0,2\n")
    with pytest.raises(Refused, match="several labels"):
        opened(home)


def gone(home: Path) -> None:
    pack(home / "val.zip", {"test/0.png": 1})


def torn(home: Path) -> None:
    (home / "val.zip").write_bytes((home / "val.zip").read_bytes()[:200])


def absent(home: Path) -> None:
    (home / "val.zip").unlink()


def nameless(home: Path) -> None:
    (home / "labels.txt").write_text("cat\ndog\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (gone, "2 of 6 images are missing"),
        (torn, "3 of 6 images"),
        (absent, "3 of 6 images"),
        (nameless, "label 2 has no name"),
    ],
)
def test_what_is_not_whole_is_refused_and_found_by_the_check(damage: Any, said: str, tmp_path: Path) -> None:
    home = by_lines(tmp_path / "food_101_20211007", {"train.txt": "train.zip", "test.txt": "val.zip"})
    damage(home)
    with pytest.raises(Refused, match=said):
        opened(home)
    (found,) = check_named([ElevaterFolders()], "elevater:food-101", str(tmp_path))
    assert any("files of test" in line for line in found.missing) or any("no name" in line for line in found.wrong)


def test_a_zip_packed_anew_is_the_same_dataset_and_a_changed_image_is_not_read(tmp_path: Path) -> None:
    home = by_lines(tmp_path / "food_101_20211007", {"train.txt": "train.zip", "test.txt": "val.zip"})
    dataset = opened(home)
    with zipfile.ZipFile(home / "val.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for i in (2, 1, 0):
            file.writestr(f"test/{i}.png", coded(10 + i))
    assert opened(home).card.sha256 == dataset.card.sha256
    assert dataset.read(3).size == (5, 6)
    pack(home / "val.zip", {f"test/{i}.png": 50 + i for i in range(3)})
    with pytest.raises(ChangedExample):
        dataset.read(3)


def test_a_zip_that_leads_out_is_refused(tmp_path: Path) -> None:
    home = by_lines(tmp_path / "food_101_20211007", {"train.txt": "train.zip", "test.txt": "val.zip"})
    (home / "val.zip").rename(tmp_path / "val.zip")
    (home / "val.zip").symlink_to(tmp_path / "val.zip")
    with pytest.raises(Refused, match="leads out of the dataset"):
        opened(home)
