"""Small copies of CoOp's fifteen folders, with the true names of files and folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from promptgrid.engine.datasets.published.coop_layouts import COOP

Write = Callable[..., Path]
NAMES = {"n01440764": "tench", "n01443537": "goldfish", "n01484850": "great white shark", "n03773504": "missile"}
VARIANTS = ("707-320", "F-16A/B", "DC-3", "Cessna 172")


def split_file(root: Path, folder: str, write: Write) -> Path:
    """The nine with a JSON: two classes, two images of each in every split."""
    layout = COOP[folder]
    home = root / folder
    splits: dict[str, list[list[object]]] = {"train": [], "val": [], "test": []}
    for number, split in enumerate(splits):
        for label, name in enumerate(("apple_pie", "baby back ribs")):
            for i in range(2):
                path = f"{name}/{split}{i}.png"
                write(home / layout.images / path, 1000 + 100 * number + 10 * label + i)
                splits[split].append([path, label, name])
    (home / f"split_zhou_{layout.title}.json").write_text(json.dumps(splits))
    return home


def aircraft(root: Path, write: Write) -> Path:
    """``fgvc_aircraft/`` with variants that hold blanks and strokes."""
    home = root / "fgvc_aircraft"
    (home / "images").mkdir(parents=True)
    (home / "variants.txt").write_text("\n".join(VARIANTS) + "\n")
    number = 0
    for split in ("train", "val", "test"):
        lines = []
        for name in (VARIANTS[1], VARIANTS[3], VARIANTS[0], VARIANTS[2]):
            number += 1
            write(home / "images" / f"{number:07}.jpg", number)
            lines.append(f"{number:07} {name}")
        (home / f"images_variant_{split}.txt").write_text("\n".join(lines) + "\n")
    return home


def classnames(home: Path, names: dict[str, str] = NAMES) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "classnames.txt").write_text("".join(f"{key} {name}\n" for key, name in names.items()))


def imagenet(root: Path, write: Write) -> Path:
    """``imagenet/images/{train,val}/n########``: three to train and two to test of each class."""
    home = root / "imagenet"
    classnames(home)
    for label, key in enumerate(NAMES):
        for i in (10, 9, 1):
            write(home / "images" / "train" / key / f"{key}_{i}.JPEG", 100 * label + i)
        for i in range(2):
            write(home / "images" / "val" / key / f"ILSVRC2012_val_{label}{i}.JPEG", 500 + 100 * label + i)
    return home


def variant(root: Path, folder: str, keys: list[str], write: Write) -> Path:
    """One of the variants: two test images in each of ``keys``, and the readme that ImageNet-A and -R have."""
    home = root / folder
    images = home / COOP[folder].images
    for place, key in enumerate(keys):
        for i in range(2):
            write(images / key / f"{i}.jpg", 2000 + 100 * place + i)
    (images / "README.txt").write_text("made by its authors")
    classnames(home)
    return home
