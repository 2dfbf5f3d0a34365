"""Readers: what each kind of source holds, as items with a name, keywords and a drawing."""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from promptgrid.tracks.image.pretrain.pictures.sources import Source

Reader = Callable[[Source, list[Path], dict[str, str]], Iterator["Item"]]

TONE = re.compile(r"-(medium-light|medium-dark|medium|light|dark)(-skin-tone)?(?=-|$)")
PEOPLE = ("People & Body", "People", "People Body", "Smiley People")
TONED = ("hand", "person-role")
GARMENTS = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STYLES = (
    *("outline", "filled", "fill", "duotone", "flat", "duo", "solid", "24-regular", "24-filled", "24", "32"),
    *("outline-rounded", "rounded", "1x1", "4x3"),
)


@dataclass(frozen=True)
class Item:
    """One picture before it is drawn: `svg` text, a grey `array`, or the `path` of a PNG."""

    id: str
    name: str
    keywords: tuple[str, ...]
    category: str
    style: str
    svg: str | None = None
    array: np.ndarray | None = None
    path: Path | None = None
    background: str = "white"
    crop: bool = False
    shippable: bool = True


def emoji(source: Source, folders: list[Path], groups: dict[str, str]) -> Iterator[Item]:
    """Emoji of one vendor; skin tones only of hands and professions, where they make the examples of a task."""
    icons, about, also = _iconify(folders[0])
    spaced = {squeezed(name): name for name in groups}
    for name, svg in icons:
        tones = TONE.findall(name) if about.get(name) in PEOPLE else []
        base = TONE.sub("", name) if tones else name
        base = spaced.get(squeezed(base), base)
        group = groups.get(base) or groups.get(base.removesuffix("-face")) or groups.get(f"{base}-face") or ""
        if len(tones) > 1 or (tones and not group.startswith(TONED)):
            continue
        category = f"{about.get(name, '')}/{group}".strip("/")
        phrase = said(re.sub(r"-\d$", "", base))
        words = _distinct(said(word) for word in (*also.get(name, ()), *re.split("[-/&]", group)))
        yield Item(name, phrase, words, category, source.name, svg=svg, shippable=source.shippable)


def icons(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Icons of one set, each style of an icon under its own `style`; `options.styles` keeps only some of them."""
    wanted = source.options.get("styles")
    background = source.options.get("background", "white")
    drawn, about, also = _iconify(folders[0])
    for name, svg in drawn:
        style = next((s for s in sorted(STYLES, key=len, reverse=True) if name.endswith(f"-{s}")), "")
        if (wanted is not None and style not in wanted) or re.search(r"-(48|28|20|16|12|10|24px|sharp)$", name):
            continue
        base = name.removesuffix(f"-{style}") if style else name
        words = _distinct([*(said(word) for word in also.get(name, ())), about.get(name, "").lower()])
        vendor = f"{source.name} {style}".strip()
        yield Item(name, said(base), words, about.get(name, ""), vendor, svg=svg, background=background)


def flags(source: Source, folders: list[Path], groups: dict[str, str]) -> Iterator[Item]:
    """Country flags named by two letters in the set and by the country in the item."""
    drawn, _, _ = _iconify(folders[0])
    for name, svg in drawn:
        code = re.sub(r"-(1x1|4x3)$", "", name)
        if (country := groups.get(f"iso:{code}")) is not None:
            yield Item(name, f"flag of {country}", (country, "flag"), "Flags", source.name, svg=svg)


def clip_art(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Open Clip Art drawings with their title, keywords and folder."""
    root = folders[0] / "usr/share/openclipart/svg"
    for path in sorted(root.rglob("*.svg")):
        folder = path.parent.relative_to(root).as_posix()
        if path.is_symlink() or folder.startswith(("special", "unsorted/duplicates")):
            continue
        svg = path.read_text("utf-8", errors="replace")
        head = svg[:20_000]
        title = re.search(r"<dc:title>([^<]+)</dc:title>", head)
        words = re.findall(r"<rdf:li>([^<]+)</rdf:li>", head)
        stem = re.sub(r"[_\d]+", " ", path.stem).strip()
        phrase = _plain(title[1]) if title and not title[1].strip().lower().startswith("open clip") else stem
        keywords = _distinct([*map(_plain, words), *folder.lower().split("/")])
        item = path.relative_to(root).with_suffix("").as_posix()
        yield Item(item, phrase.lower()[:80], keywords, folder, "clip art", svg=svg, crop=True)


def garments(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Fashion-MNIST: the first 60 training and 90 test garments of each class."""
    root = folders[0] / "usr/share/datasets/fashion-mnist"
    for part, most in (("train", 60), ("t10k", 90)):
        pictures = np.frombuffer(gzip.decompress((root / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
        labels = np.frombuffer(gzip.decompress((root / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
        for label, name in enumerate(GARMENTS):
            for row in np.flatnonzero(labels == label)[:most]:
                values = pictures.reshape(-1, 28, 28)[row]
                yield Item(f"{part}-{row}", name, (), name, "garments", array=values, background="black")


def digits_csv(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Handwritten digits from a table of pixels whose last column is the digit."""
    path = next(folders[0].rglob("mnist_5k.csv.gz" if source.name == "mnist-5k" else "digits.csv.gz"))
    table = np.loadtxt(path, delimiter=",")
    side = round((table.shape[1] - 1) ** 0.5)
    pixels = np.round(table[:, :-1] * (255.0 / table[:, :-1].max())).astype(np.uint8).reshape(-1, side, side)
    for row, (values, label) in enumerate(zip(pixels, table[:, -1].astype(int), strict=True)):
        name = f"digit {DIGITS[label]}"
        yield Item(str(row), name, (DIGITS[label],), DIGITS[label], "handwriting", array=values, background="black")


def stamps(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Tux Paint stamps: pictures with an English caption on the first line of the text file beside them."""
    root = folders[0] / "usr/share/tuxpaint/stamps"
    for path in sorted(root.rglob("*.png")):
        caption = path.with_suffix(".txt")
        if path.name.endswith("_mirror.png") or not caption.exists():
            continue
        phrase = caption.read_text("utf-8", errors="replace").partition("\n")[0].strip(" .!?").lower()
        folder = path.parent.relative_to(root).as_posix()
        item = path.relative_to(root).with_suffix("").as_posix()
        words = tuple(folder.split("/"))
        yield Item(item, phrase[:80], words, folder, "stamps", path=path, crop=True, shippable=False)


def emoji_groups(folder: Path, chars: Path) -> dict[str, str]:
    """Unicode's subgroup of every emoji name (`cat-face` to `animal-mammal`) and, under `iso:xx`, country names."""
    table = json.loads(next(folder.rglob("emoji.json")).read_text())
    groups: dict[str, str] = {}
    by_code = {}
    for row in table:
        by_code[row["unified"].lower().replace("-fe0f", "")] = row["subcategory"]
        for name in (*row["short_names"], row["name"] or ""):
            groups.setdefault(re.sub(r"[\s_]+", "-", name.lower()), row["subcategory"])
    for code, name in json.loads(chars.read_text()).items():
        if (group := by_code.get(code.replace("-fe0f", ""))) is not None:
            groups[name] = group
        points = [int(point, 16) for point in code.split("-") if point != "fe0f"]
        if len(points) == 2 and all(0x1F1E6 <= point <= 0x1F1FF for point in points):
            groups["iso:" + "".join(chr(point - 0x1F1E6 + 97) for point in points)] = said(name.removeprefix("flag-"))
    return groups


def squeezed(name: str) -> str:
    """A name without hyphens, the spelling of one emoji vendor."""
    return name.replace("-", "")


def said(slug: str) -> str:
    """A slug as a person would say it."""
    return re.sub(r"[-_\s]+", " ", slug).strip()


def _distinct(words: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(text)).strip().lower()


def _iconify(folder: Path) -> tuple[list[tuple[str, str]], dict[str, str], dict[str, list[str]]]:
    """The drawings of an icon package, the category of each name, and its other names."""
    root = folder / "package"
    table = json.loads((root / "icons.json").read_text())
    metadata = root / "metadata.json"
    categories = json.loads(metadata.read_text()).get("categories", {}) if metadata.exists() else {}
    about: dict[str, str] = {}
    for category, names in categories.items():
        for name in names:
            about.setdefault(name, category)
    also: dict[str, list[str]] = {}
    for alias, row in table.get("aliases", {}).items():
        if "hFlip" not in row and "rotate" not in row:
            also.setdefault(row["parent"], []).append(alias)
    drawn = [(name, _svg(row, table)) for name, row in sorted(table["icons"].items()) if not row.get("hidden")]
    return drawn, about, also


def _svg(row: dict[str, Any], table: dict[str, Any]) -> str:
    left, top, width, height = (
        row.get(key, table.get(key, other)) for key, other in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    box = f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}"'
    return f"<svg {spaces} {box}>{row['body']}</svg>"
