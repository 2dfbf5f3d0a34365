"""Bad datasets are refused when they are opened, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.broken_datasets import (
    Build,
    Words,
    bundled,
    changed,
    class_of_copies,
    class_of_one,
    empty_class,
    file_as_root,
    flip_a_bit,
    folder,
    linked_class,
    linked_folder_out,
    linked_image,
    linked_loop,
    linked_out,
    open_dataset,
    put,
    raw_json,
    renamed,
    task_table,
    twice_in,
    untaught,
    without,
)

from promptgrid.spec import Refused


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


REFUSED: dict[str, tuple[Build, Words]] = {
    # split files
    "split-file-missing": (lambda root: f"coop-split:{root}/split_zhou_X.json", ("no such file", "split_zhou_X.json")),
    "split-not-json": (raw_json(b"train: []"), ("not valid JSON",)),
    "split-not-utf8": (raw_json(b'{"train": ["\xff"]}'), ("not valid JSON", "utf-8")),
    "split-too-deep": (raw_json(b"[" * 200_000), ("not valid JSON",)),
    "split-a-list": (raw_json(b"[]"), ("not a split file", "list", "train, val and test")),
    "split-key-twice": (raw_json(b'{"train": [], "train": [], "val": [], "test": []}'), ("written twice", "train")),
    "split-no-test-key": (changed(lambda s: s.pop("test") and None), ("'test' is missing", "train", "val")),
    "split-no-val-key": (changed(lambda s: s.pop("val") and None), ("'val' is missing",)),
    "split-unknown-key": (changed(lambda s: s.update(tets=[])), ("unknown key 'tets'", "did you mean 'test'")),
    "split-not-a-list": (changed(lambda s: s.update(val={})), ("val", "not a list")),
    "row-not-a-triple": (changed(lambda s: s["train"].append(["a.png", 0])), ("train[9]", "not a triple", "a.png")),
    "label-text": (put("train", 4, 1, "1"), ("train[4]", "not an integer", "'1'")),
    "label-float": (put("train", 4, 1, 1.0), ("train[4]", "not an integer", "1.0")),
    "label-bool": (put("test", 2, 1, True), ("test[2]", "not an integer", "True")),
    "label-negative": (put("test", 0, 1, -1), ("test[0]", "from 0 up", "-1")),
    "label-gap": (
        changed(lambda s: [r.__setitem__(1, 7) for v in s.values() for r in v if r[1] == 2] and None),
        ("label 2 is missing", "up to 7"),
    ),
    "label-huge": (
        changed(lambda s: [r.__setitem__(1, 10**18) for v in s.values() for r in v if r[1] == 2] and None),
        ("label 2 is missing",),
    ),
    "label-with-two-names": (put("test", 0, 2, "kitten"), ("test[0]", "label 0 has two names", "'kitten'", "'cat'")),
    "two-labels-one-name": (renamed(1, "cat"), ("two labels have one name", "cat")),
    "path-in-train-and-test": (twice_in("test"), ("test[0]", "twice", "train[0]")),
    "path-in-train-and-val": (twice_in("val"), ("val[0]", "twice", "train[0]")),
    "path-twice-respelled": (twice_in("test", "./x/../{}"), ("test[0]", "twice", "train[0]")),
    "path-escapes": (put("test", 0, 0, "../secret.png"), ("test[0]", "leads out", "../secret.png")),
    "path-escapes-later": (put("test", 0, 0, "a/../../secret.png"), ("test[0]", "leads out")),
    "path-absolute": (put("test", 0, 0, "/etc/passwd"), ("test[0]", "leads out", "/etc/passwd")),
    "path-backslash": (put("test", 0, 0, "..\\secret.png"), ("test[0]", "leads out")),
    "path-nul": (put("test", 0, 0, "a\0.png"), ("test[0]", "the path is not text")),
    "path-number": (put("test", 0, 0, 17), ("test[0]", "the path is not text", "17")),
    "link-leaves-root": (linked_out, ("leads out", "secret.png")),
    "linked-folder-leaves-root": (linked_folder_out, ("leads out", "elsewhere")),
    "no-test-images": (changed(lambda s: s.update(test=[])), ("no test images",)),
    "no-training-image-of-a-class": (changed(untaught), ("train", "red fox", "label 2", "no images")),
    "class-name-empty": (renamed(1, "  "), ("classes", "empty")),
    "class-name-10-kB": (renamed(1, "d" * 10_000), ("classes", "10000 characters")),
    "class-name-with-braces": (renamed(1, "dog {0}"), ("dog {0}", "brace")),
    "class-name-number": (put("train", 0, 2, 5), ("train[0]", "class name is not text", "5")),
    "images-nowhere": (without(), ("images not found", "train_0.png", "?images=")),
    "images-partly-missing": (without("test_12.png"), ("1 of 18 images are missing", "test_12.png")),
    "images-option-missing": (changed(lambda s: None, "?images=/no/such/place"), ("no such folder", "/no/such/place")),
    "unknown-option": (changed(lambda s: None, "?image=/tmp"), ("unknown option 'image'", "did you mean 'images'")),
    "split-wrong-digest": (changed(lambda s: None, f"?sha256={'0' * 64}"), ("sha256", "0" * 64, "got")),
    # folders
    "root-missing": (
        lambda root: f"imagefolder:{root}/birds",
        ("no such folder", "birds", "nearest folder that exists"),
    ),
    "root-a-file": (file_as_root, ("not a folder", "data.zip")),
    "root-empty-name": (lambda root: "imagefolder:", ("imagefolder:", "folder")),
    "one-class": (folder("cat"), ("at least 2 class folders", "cat")),
    "no-classes": (folder(), ("at least 2 class folders",)),
    "class-without-images": (empty_class, ("'fox'", "holds no images", ".jpg")),
    "class-of-one-image": (class_of_one, ("'fox'", "1 image", "one to test")),
    "class-of-equal-images": (class_of_copies, ("'fox'", "1 image")),
    "no-test-folder": (folder("train/cat", "train/dog"), ("no test images",)),
    "no-train-folder": (folder("test/cat", "test/dog"), ("no train images",)),
    "unknown-split-folder": (folder("train/cat", "test/cat", "extra/cat"), ("unknown split folder", "'extra'")),
    "class-only-in-test": (
        folder("train/cat", "train/dog", "test/cat", "test/fox"),
        ("'fox' of test/", "missing in train"),
    ),
    "folder-image-linked-out": (linked_image, ("cat/x.png", "leads out", "secret.png")),
    "folder-class-linked-out": (linked_class, ("'fox'", "leads out", "elsewhere")),
    "folder-link-loop": (linked_loop, ("again", "link to another folder")),
    "folder-name-with-braces": (folder("cat", "dog {}"), ("dog {}", "brace")),
    "card-unknown-key": (
        folder("cat", "dog", card="licens: MIT"),
        ("dataset.yaml", "'licens'", "did you mean 'licence'"),
    ),
    "card-key-twice": (folder("cat", "dog", card="title: a\ntitle: b"), ("dataset.yaml", "line", "twice")),
    "card-empty": (folder("cat", "dog", card=""), ("dataset.yaml", "empty")),
    "card-template-without-hole": (folder("cat", "dog", card="template: a photo."), ("template", "exactly one {}")),
    "card-template-reaching": (
        folder("cat", "dog", card='template: "{} {0.__class__}"'),
        ("template", "exactly one {}"),
    ),
    "card-renames-nobody": (
        folder("cat", "dog", card="classes: {cot: tabby}"),
        ("no such class folder", "cot", "cat, dog"),
    ),
    "card-one-name-twice": (folder("cat", "dog", card="classes: {cat: dog}"), ("two folders have one name", "dog")),
    "card-wrong-digest": (folder("cat", "dog", card=f"sha256: '{'0' * 64}'"), ("dataset.yaml", "sha256", "0" * 64)),
    # bundled tasks
    "bundled-unknown": (lambda root: bundled()(root)[:-1], ("unknown dataset 'beast'", "did you mean 'beasts'")),
    "bundled-climbing": (lambda root: "../secrets", ("unknown dataset '../secrets'",)),
    "bundled-flipped-bit": (bundled(spoil=flip_a_bit), ("beasts.parquet", "sha256 differs", "got", "expected")),
    "bundled-no-images": (bundled(spoil=Path.unlink), ("beasts.parquet", "no such file")),
    "bundled-card-unknown-key": (bundled(facts={"colour": "red"}), ("beasts.yaml", "unknown key 'colour'")),
    "bundled-card-without-classes": (bundled(facts={"classes": None}), ("beasts.yaml", "'classes' is missing")),
    "bundled-card-bad-sha": (bundled(facts={"sha256": "abc"}), ("beasts.yaml", "sha256", "abc")),
    "bundled-card-other-name": (bundled(facts={"name": "birds"}), ("beasts.yaml", "birds")),
    "bundled-counts-differ": (bundled(facts={"splits": {"train": 4, "test": 2}}), ("splits differ", "'train': 3")),
    "bundled-labels-differ": (bundled(facts={"classes": ["cat", "dog", "fox"]}), ("labels differ", "from 0 to 2")),
    "bundled-odd-split": (
        bundled(
            {**task_table(), "split": ["train"] * 3 + ["tset"] * 3}, {"splits": {"train": 3, "tset": 3, "test": 1}}
        ),
        ("splits differ", "tset"),
    ),
    "bundled-other-columns": (
        bundled({"picture": [b"x"], "label": [0]}),
        ("beasts.parquet", "columns", "image, label"),
    ),
    "bundled-one-class": (bundled(facts={"classes": ["cat"]}), ("classes", "at least 2 classes")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_when_opened_with_place_and_expectation(case: str, tmp_path: Path) -> None:
    build, words = REFUSED[case]
    root = tmp_path / "data"
    root.mkdir()
    name = build(root)
    with pytest.raises(Refused) as refusal:
        open_dataset(name, root)
    message = str(refusal.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 1500, "a refusal is a sentence"


def test_the_sound_originals_of_the_corpus_open(tmp_path: Path) -> None:
    """Every case above breaks one thing: unbroken, the same builders give datasets that open and read."""
    for number, build in enumerate((changed(lambda s: None), folder("cat", "dog"), bundled())):
        root = tmp_path / str(number)
        root.mkdir()
        dataset = open_dataset(build(root), root)
        assert all(dataset.read(index).mode == "RGB" for index in range(len(dataset.labels)))
