"""Sound datasets, and ways to break one thing in each."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from promptgrid.contract.clip import Dataset
from promptgrid.tracks.image.datasets.bundled import Bundled
from promptgrid.tracks.image.datasets.coop_split import CoopSplit
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder

Build = Callable[[Path], str]
Words = tuple[str, ...]


def open_dataset(name: str, bundled: Path) -> Dataset:
    families = [CoopSplit(), ImageFolder(), Bundled(bundled)]
    knowing = [family for family in families if family.knows(name)]
    return knowing[0].open(name) if knowing else Bundled(bundled).open(name)


def picture(seed: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def coded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def sound_split(root: Path) -> dict[str, Any]:
    """Three classes with 3 / 1 / 2 images below ``root / "images"``; the JSON is not written yet."""
    splits: dict[str, Any] = {"train": [], "val": [], "test": []}
    seed = 0
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for label, name in enumerate(("cat", "dog", "red fox")):
            for _ in range(count):
                path = root / "images" / f"{split}_{seed}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(coded(picture(seed)))
                splits[split].append([path.name, label, name])
                seed += 1
    return splits


def split_file(root: Path, value: Any, query: str = "") -> str:
    (root / "split_zhou_Beasts.json").write_text(json.dumps(value))
    return f"coop-split:{root}/split_zhou_Beasts.json{query}"


def changed(change: Callable[[dict[str, Any]], Any], query: str = "") -> Build:
    """A coop-split whose lists went through ``change`` (in place, or a new value returned)."""

    def build(root: Path) -> str:
        splits = sound_split(root)
        result = change(splits)
        return split_file(root, splits if result is None else result, query)

    return build


def put(split: str, row: int, column: int, value: Any) -> Build:
    def change(splits: dict[str, Any]) -> None:
        splits[split][row][column] = value

    return changed(change)


def renamed(label: int, name: str) -> Build:
    def change(splits: dict[str, Any]) -> None:
        for rows in splits.values():
            for row in rows:
                row[2] = name if row[1] == label else row[2]

    return changed(change)


def raw_json(raw: bytes) -> Build:
    def build(root: Path) -> str:
        (root / "split_zhou_Beasts.json").write_bytes(raw)
        return f"coop-split:{root}/split_zhou_Beasts.json"

    return build


def twice_in(split: str, spelled: str = "{}") -> Build:
    def change(splits: dict[str, Any]) -> None:
        splits[split][0][0] = spelled.format(splits["train"][0][0])

    return changed(change)


def linked_out(root: Path) -> str:
    splits = sound_split(root)
    secret = root.parent / "secret.png"
    secret.write_bytes(coded(picture(99)))
    victim = root / "images" / splits["test"][0][0]
    victim.unlink()
    victim.symlink_to(secret)
    return split_file(root, splits)


def linked_folder_out(root: Path) -> str:
    splits = sound_split(root)
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").write_bytes(coded(picture(98)))
    (root / "images" / "inner").symlink_to(elsewhere)
    splits["test"][0][0] = "inner/a.png"
    return split_file(root, splits)


def without(*names: str) -> Build:
    def build(root: Path) -> str:
        splits = sound_split(root)
        for path in (root / "images").iterdir():
            if not names or path.name in names:
                path.unlink()
        return split_file(root, splits)

    return build


def untaught(splits: dict[str, Any]) -> None:
    splits["train"] = [row for row in splits["train"] if row[1] != 2]


def classes_in(root: Path, *folders: str, count: int = 4, start: int = 0) -> None:
    for place, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            (root / folder / f"{i}.png").write_bytes(coded(picture(start + 100 * place + i)))


def folder(*folders: str, count: int = 4, card: str | None = None) -> Build:
    def build(root: Path) -> str:
        classes_in(root, *folders, count=count)
        if card is not None:
            (root / "dataset.yaml").write_text(card)
        return f"imagefolder:{root}"

    return build


def empty_class(root: Path) -> str:
    name = folder("cat", "dog")(root)
    (root / "fox").mkdir()
    (root / "fox" / "readme.txt").write_text("no picture")
    return name


def class_of_one(root: Path) -> str:
    name = folder("cat", "dog")(root)
    classes_in(root, "fox", count=1)
    return name


def class_of_copies(root: Path) -> str:
    name = folder("cat", "dog")(root)
    (root / "fox").mkdir()
    for i in range(5):
        (root / "fox" / f"{i}.png").write_bytes(coded(picture(7)))
    return name


def linked_image(root: Path) -> str:
    name = folder("cat", "dog")(root)
    (root.parent / "secret.png").write_bytes(coded(picture(99)))
    (root / "cat" / "x.png").symlink_to(root.parent / "secret.png")
    return name


def linked_class(root: Path) -> str:
    name = folder("cat", "dog")(root)
    classes_in(root.parent / "elsewhere", "fox")
    (root / "fox").symlink_to(root.parent / "elsewhere" / "fox")
    return name


def linked_loop(root: Path) -> str:
    name = folder("cat", "dog")(root)
    (root / "cat" / "again").symlink_to(root)
    return name


def file_as_root(root: Path) -> str:
    (root / "data.zip").write_bytes(b"PK")
    return f"imagefolder:{root}/data.zip"


def task_table(rows: int = 6, labels: int = 2) -> dict[str, list[Any]]:
    return {
        "image": [coded(picture(i), "WEBP", lossless=True) for i in range(rows)],
        "label": [i % labels for i in range(rows)],
        "split": ["train" if i < rows // 2 else "test" for i in range(rows)],
        "domain": ["noto"] * rows,
        "item": [f"item {i}" for i in range(rows)],
    }


def bundled(
    table: dict[str, list[Any]] | None = None,
    facts: dict[str, Any] | None = None,
    spoil: Callable[[Path], None] | None = None,
) -> Build:
    """A bundled task called ``beasts``: ``table`` as its Parquet, ``facts`` over its card, ``spoil`` after writing."""

    def build(root: Path) -> str:
        columns = table or task_table()
        path = root / "beasts.parquet"
        pq.write_table(pa.table(columns), path)
        card = {
            "name": "beasts",
            "template": "a drawing of a {}.",
            "classes": ["cat", "dog"],
            "splits": {"train": 3, "test": 3},
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **(facts or {}),
        }
        (root / "beasts.yaml").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))
        if spoil is not None:
            spoil(path)
        return "beasts"

    return build


def flip_a_bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


BROKEN: dict[str, Build] = {
    "split-file-missing": lambda root: f"coop-split:{root}/split_zhou_X.json",
    "split-not-json": raw_json(b"train: []"),
    "split-not-utf8": raw_json(b'{"train": ["\xff"]}'),
    "split-too-deep": raw_json(b"[" * 200_000),
    "split-a-list": raw_json(b"[]"),
    "split-key-twice": raw_json(b'{"train": [], "train": [], "val": [], "test": []}'),
    "split-no-test-key": changed(lambda s: s.pop("test") and None),
    "split-no-val-key": changed(lambda s: s.pop("val") and None),
    "split-unknown-key": changed(lambda s: s.update(tets=[])),
    "split-not-a-list": changed(lambda s: s.update(val={})),
    "row-not-a-triple": changed(lambda s: s["train"].append(["a.png", 0])),
    "label-text": put("train", 4, 1, "1"),
    "label-float": put("train", 4, 1, 1.0),
    "label-bool": put("test", 2, 1, True),
    "label-negative": put("test", 0, 1, -1),
    "label-gap": changed(lambda s: [r.__setitem__(1, 7) for v in s.values() for r in v if r[1] == 2] and None),
    "label-huge": changed(lambda s: [r.__setitem__(1, 10**18) for v in s.values() for r in v if r[1] == 2] and None),
    "label-with-two-names": put("test", 0, 2, "kitten"),
    "two-labels-one-name": renamed(1, "cat"),
    "path-in-train-and-test": twice_in("test"),
    "path-in-train-and-val": twice_in("val"),
    "path-twice-respelled": twice_in("test", "./x/../{}"),
    "path-escapes": put("test", 0, 0, "../secret.png"),
    "path-escapes-later": put("test", 0, 0, "a/../../secret.png"),
    "path-absolute": put("test", 0, 0, "/etc/passwd"),
    "path-backslash": put("test", 0, 0, "..\\secret.png"),
    "path-nul": put("test", 0, 0, "a\0.png"),
    "path-number": put("test", 0, 0, 17),
    "link-leaves-root": linked_out,
    "linked-folder-leaves-root": linked_folder_out,
    "no-test-images": changed(lambda s: s.update(test=[])),
    "no-training-image-of-a-class": changed(untaught),
    "class-name-empty": renamed(1, "  "),
    "class-name-10-kB": renamed(1, "d" * 10_000),
    "class-name-with-braces": renamed(1, "dog {0}"),
    "class-name-number": put("train", 0, 2, 5),
    "images-nowhere": without(),
    "images-partly-missing": without("test_12.png"),
    "images-option-missing": changed(lambda s: None, "?images=/no/such/place"),
    "unknown-option": changed(lambda s: None, "?image=/tmp"),
    "split-wrong-digest": changed(lambda s: None, f"?sha256={'0' * 64}"),
    "root-missing": lambda root: f"imagefolder:{root}/birds",
    "root-a-file": file_as_root,
    "root-empty-name": lambda root: "imagefolder:",
    "one-class": folder("cat"),
    "no-classes": folder(),
    "class-without-images": empty_class,
    "class-of-one-image": class_of_one,
    "class-of-equal-images": class_of_copies,
    "no-test-folder": folder("train/cat", "train/dog"),
    "no-train-folder": folder("test/cat", "test/dog"),
    "unknown-split-folder": folder("train/cat", "test/cat", "extra/cat"),
    "class-only-in-test": folder("train/cat", "train/dog", "test/cat", "test/fox"),
    "folder-image-linked-out": linked_image,
    "folder-class-linked-out": linked_class,
    "folder-link-loop": linked_loop,
    "folder-name-with-braces": folder("cat", "dog {}"),
    "card-unknown-key": folder("cat", "dog", card="licens: MIT"),
    "card-key-twice": folder("cat", "dog", card="title: a\ntitle: b"),
    "card-empty": folder("cat", "dog", card=""),
    "card-template-without-hole": folder("cat", "dog", card="template: a photo."),
    "card-template-reaching": folder("cat", "dog", card='template: "{} {0.__class__}"'),
    "card-renames-nobody": folder("cat", "dog", card="classes: {cot: tabby}"),
    "card-one-name-twice": folder("cat", "dog", card="classes: {cat: dog}"),
    "card-wrong-digest": folder("cat", "dog", card=f"sha256: '{'0' * 64}'"),
    "bundled-unknown": lambda root: bundled()(root)[:-1],
    "bundled-climbing": lambda root: "../secrets",
    "bundled-flipped-bit": bundled(spoil=flip_a_bit),
    "bundled-no-images": bundled(spoil=Path.unlink),
    "bundled-card-unknown-key": bundled(facts={"colour": "red"}),
    "bundled-card-without-classes": bundled(facts={"classes": None}),
    "bundled-card-bad-sha": bundled(facts={"sha256": "abc"}),
    "bundled-card-other-name": bundled(facts={"name": "birds"}),
    "bundled-counts-differ": bundled(facts={"splits": {"train": 4, "test": 2}}),
    "bundled-labels-differ": bundled(facts={"classes": ["cat", "dog", "fox"]}),
    "bundled-odd-split": bundled(
        {**task_table(), "split": ["train"] * 3 + ["tset"] * 3}, {"splits": {"train": 3, "tset": 3, "test": 1}}
    ),
    "bundled-other-columns": bundled({"picture": [b"x"], "label": [0]}),
    "bundled-one-class": bundled(facts={"classes": ["cat"]}),
}
"""Ways to break one thing, by the names that the table of reports calls them."""
