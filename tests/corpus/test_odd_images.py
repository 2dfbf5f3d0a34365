"""Odd images are made RGB; odd folders are read, and said to be odd."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.corpus.broken_datasets import classes_in, coded, folder, sound_split, split_file

from promptgrid.tracks.image.datasets.coop_split import CoopSplit
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


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
    assert any(note.startswith("3 left out") and "cat/Thumbs.db" in note for note in dataset.notes)


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    splits = sound_split(tmp_path)
    os.symlink(tmp_path / "images" / splits["train"][0][0], tmp_path / "images" / "link.png")
    splits["train"][1][0] = "link.png"
    dataset = CoopSplit().open(split_file(tmp_path, splits))
    assert any("more than once" in note for note in dataset.notes)
    assert dataset.read(0).tobytes() == dataset.read(1).tobytes()
