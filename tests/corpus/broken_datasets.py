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

from promptgrid.contract import Dataset
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
