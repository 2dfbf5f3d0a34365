"""Bad datasets: refused before any work, contained to the cells that read them, or made safe and noted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from promptgrid.contract import Dataset
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.bundled import Bundled
from promptgrid.tracks.image.datasets.coop_split import CoopSplit
from promptgrid.tracks.image.datasets.decoding import DamagedImage
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder

Build = Callable[[Path], str]
Words = tuple[str, ...]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


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


# --- builders of sound datasets, each with one thing then broken -----------------------------------------------------


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


# --- P: refused when opened ------------------------------------------------------------------------------------------

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
    "unknown-split-folder": (folder("train/cat", "test/cat", "validation/cat"), ("unknown split folder", "validation")),
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


# --- C: the image is named, the rest can be read ---------------------------------------------------------------------


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def spoiled_checksum() -> bytes:
    raw = bytearray(coded(picture(1, (40, 40))))
    raw[len(raw) // 2] ^= 0xFF
    return bytes(raw)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
DAMAGED: dict[str, tuple[Callable[[], bytes], Words]] = {
    "empty": (lambda: b"", ("empty",)),
    "html": (lambda: b"\n<!DOCTYPE html><html>404 Not Found</html>", ("HTML page", "download failed")),
    "html-bare": (lambda: b"<html><body>quota exceeded</body></html>", ("HTML page",)),
    "git-lfs-pointer": (lambda: POINTER, ("git-lfs pointer", "git lfs pull")),
    "text": (lambda: b"just words, no image", ("no image of a known kind", "just words")),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", ("no image of a known kind",)),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ("no image of a known kind",)),
    "truncated-jpeg": (lambda: coded(picture(1, (64, 64)), "JPEG")[:-400], ("truncated",)),
    "truncated-png": (lambda: coded(picture(1, (64, 64)))[:-400], ("truncated",)),
    "truncated-webp": (lambda: coded(picture(1, (64, 64)), "WEBP", lossless=True)[:-400], ("truncated or damaged",)),
    "header-only": (lambda: coded(picture(1), "JPEG")[:20], ("damaged",)),
    "flipped-byte": (spoiled_checksum, ("damaged",)),
    "bomb": (lambda: png_claiming(60_000, 60_000), ("decompression bomb",)),
    "smaller-bomb": (lambda: png_claiming(10_000, 10_000), ("decompression bomb", "10000x10000")),
    "one-pixel": (lambda: coded(picture(1, (1, 1))), ("1x1 pixels", "at least 2")),
    "one-column": (lambda: coded(picture(1, (1, 20_000))), ("1x20000 pixels",)),
    "ribbon": (lambda: coded(picture(1, (3_000, 4))), ("3000x4 pixels", "64 times")),
    "float-pixels": (lambda: coded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), ("floating-point",)),
    "32-bit-pixels": (lambda: coded(Image.fromarray(np.full((8, 8), 10**6, np.int32)), "TIFF"), ("1000000", "65535")),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_image_is_named_and_the_others_are_read(case: str, tmp_path: Path) -> None:
    raw, words = DAMAGED[case]
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    classes_in(tmp_path / "data", "test/cat", "test/dog", start=1000)
    victim = tmp_path / "data" / "test" / "dog" / "2.png"
    victim.write_bytes(raw())
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    broken = []
    for index in range(len(dataset.labels)):
        try:
            assert dataset.read(index).mode == "RGB"
        except DamagedImage as error:
            broken.append(str(error))
    assert len(broken) == 1
    assert [word for word in (str(victim), *words) if word not in broken[0]] == [], broken[0]


def test_a_damaged_image_in_a_bundled_task_is_named_by_row(tmp_path: Path) -> None:
    table = task_table()
    table["image"][4] = table["image"][4][:30]
    name = bundled(table)(tmp_path)
    dataset = Bundled(tmp_path).open(name)
    with pytest.raises(DamagedImage, match=r"beasts\.parquet\[4\]"):
        dataset.read(4)
    assert dataset.read(5).size == (12, 10)


def test_an_image_that_vanishes_after_opening_is_named(tmp_path: Path) -> None:
    dataset = ImageFolder().open(folder("cat", "dog")(tmp_path / "data"))
    (tmp_path / "data" / "cat" / "0.png").unlink()
    gone = [index for index in range(len(dataset.labels)) if not _readable(dataset, index)]
    assert len(gone) == 1
    with pytest.raises(FileNotFoundError, match=r"0\.png"):
        dataset.read(gone[0])


def _readable(dataset: Dataset, index: int) -> bool:
    try:
        dataset.read(index)
    except OSError:
        return False
    return True


# --- S: made safe ----------------------------------------------------------------------------------------------------


def half_clear() -> Image.Image:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :4] = (200, 10, 30, 255)
    return Image.fromarray(pixels, "RGBA")


def clear_palette() -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 10, 30] + [0] * 762)
    image.paste(0, (4, 0, 8, 8))
    return coded(image, "PNG", transparency=0)


def grey_16() -> Image.Image:
    pixels = np.zeros((8, 8), np.uint16)
    pixels[:, :4], pixels[:, 4:] = 65_535, 257 * 100
    return Image.fromarray(pixels)


def inked() -> Image.Image:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :4, 1:3] = 255  # magenta and yellow: red
    return Image.fromarray(pixels, "CMYK")


RED, WHITE, BLACK = (200, 10, 30), (255, 255, 255), (0, 0, 0)
SAFE: dict[str, tuple[Callable[[], bytes], tuple[int, ...], tuple[int, ...]]] = {
    "grey": (lambda: coded(Image.new("L", (8, 8), 77)), (77, 77, 77), (77, 77, 77)),
    "one-bit": (lambda: coded(Image.new("1", (8, 8), 1)), WHITE, WHITE),
    "palette": (lambda: coded(Image.new("RGB", (8, 8), RED).quantize(4)), RED, RED),
    "palette-with-clear-colour": (clear_palette, RED, WHITE),
    "rgba-on-white": (lambda: coded(half_clear()), RED, WHITE),
    "rgba-webp": (lambda: coded(half_clear(), "WEBP", lossless=True), RED, WHITE),
    "grey-alpha": (lambda: coded(half_clear().convert("LA")), (69, 69, 69), WHITE),
    "cmyk-tiff": (lambda: coded(inked(), "TIFF"), (255, 0, 0), WHITE),
    "sixteen-bit-png": (lambda: coded(grey_16()), WHITE, (100, 100, 100)),
    "sixteen-bit-tiff": (lambda: coded(grey_16(), "TIFF"), WHITE, (100, 100, 100)),
    "sixteen-bit-pgm": (lambda: coded(grey_16(), "PPM"), WHITE, (100, 100, 100)),
    "animation-first-frame": (
        lambda: coded(
            Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), BLACK)]
        ),
        RED,
        RED,
    ),
}


@pytest.mark.parametrize("case", SAFE)
def test_odd_pixels_become_rgb_on_white(case: str, tmp_path: Path) -> None:
    raw, left, right = SAFE[case]
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    (tmp_path / "data" / "test" / "dog").mkdir(parents=True)
    (tmp_path / "data" / "test" / "dog" / "odd.png").write_bytes(raw())
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    image = dataset.read(dataset.splits["test"][0])
    assert image.mode == "RGB"
    assert [image.getpixel((0, 0)), image.getpixel((7, 7))] == [left, right]


def test_a_cmyk_jpeg_keeps_its_colours_nearly(tmp_path: Path) -> None:
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    (tmp_path / "data" / "test" / "dog").mkdir(parents=True)
    (tmp_path / "data" / "test" / "dog" / "ink.jpg").write_bytes(coded(inked(), "JPEG", quality=95))
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    image = np.asarray(dataset.read(dataset.splits["test"][0])).astype(int)
    assert abs(image[0, 0] - (255, 0, 0)).max() < 40
    assert abs(image[7, 7] - 255).max() < 40


def test_duplicates_by_content_are_noted_and_named(tmp_path: Path) -> None:
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    classes_in(tmp_path / "data", "test/cat", "test/dog", start=1000)
    copied = (tmp_path / "data" / "train" / "cat" / "0.png").read_bytes()
    (tmp_path / "data" / "test" / "cat" / "copy.png").write_bytes(copied)
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    notes = " ".join(dataset.notes)
    assert "1 images are there more than once" in notes
    assert "1 test images are also in train" in notes
    assert "test/cat/copy.png = train/cat/0.png" in notes


def test_files_that_are_no_images_by_name_are_ignored_and_counted(tmp_path: Path) -> None:
    name = folder("cat", "dog")(tmp_path / "data")
    for junk in ("Thumbs.db", ".hidden.png", "notes.txt"):
        (tmp_path / "data" / "cat" / junk).write_bytes(b"junk")
    dataset = ImageFolder().open(name)
    assert len(dataset.labels) == 8
    assert any(note.startswith("3 files") for note in dataset.notes)


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    splits = sound_split(tmp_path)
    os.symlink(tmp_path / "images" / splits["train"][0][0], tmp_path / "images" / "link.png")
    splits["train"][1][0] = "link.png"
    dataset = CoopSplit().open(split_file(tmp_path, splits))
    assert any("more than once" in note for note in dataset.notes)
    assert dataset.read(0).tobytes() == dataset.read(1).tobytes()
