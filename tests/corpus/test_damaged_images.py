"""A damaged image fails only those who read it, by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.corpus.broken_datasets import Words, bundled, classes_in, coded, folder, picture, task_table

from promptgrid.contract import Dataset
from promptgrid.tracks.image.datasets.bundled import Bundled
from promptgrid.tracks.image.datasets.decoding import DamagedImage
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


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
