"""Images as users have them: odd ones that can be read, and damaged ones that cannot."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from tests.corpus.broken_datasets import coded, picture


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
RED, BLACK = (200, 10, 30), (0, 0, 0)


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


DAMAGED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "html": lambda: b"\n<!DOCTYPE html><html>404 Not Found</html>",
    "html-bare": lambda: b"<html><body>quota exceeded</body></html>",
    "git-lfs-pointer": lambda: POINTER,
    "text": lambda: b"just words, no image",
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "truncated-jpeg": lambda: coded(picture(1, (64, 64)), "JPEG")[:-400],
    "truncated-png": lambda: coded(picture(1, (64, 64)))[:-400],
    "truncated-webp": lambda: coded(picture(1, (64, 64)), "WEBP", lossless=True)[:-400],
    "header-only": lambda: coded(picture(1), "JPEG")[:20],
    "flipped-byte": spoiled_checksum,
    "bomb": lambda: png_claiming(60_000, 60_000),
    "smaller-bomb": lambda: png_claiming(10_000, 10_000),
    "one-pixel": lambda: coded(picture(1, (1, 1))),
    "one-column": lambda: coded(picture(1, (1, 20_000))),
    "ribbon": lambda: coded(picture(1, (3_000, 4))),
    "float-pixels": lambda: coded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"),
    "32-bit-pixels": lambda: coded(Image.fromarray(np.full((8, 8), 10**6, np.int32)), "TIFF"),
}
ODD: dict[str, Callable[[], bytes]] = {
    "grey": lambda: coded(Image.new("L", (8, 8), 77)),
    "one-bit": lambda: coded(Image.new("1", (8, 8), 1)),
    "palette": lambda: coded(Image.new("RGB", (8, 8), RED).quantize(4)),
    "palette-with-clear-colour": clear_palette,
    "rgba-on-white": lambda: coded(half_clear()),
    "rgba-webp": lambda: coded(half_clear(), "WEBP", lossless=True),
    "grey-alpha": lambda: coded(half_clear().convert("LA")),
    "cmyk-tiff": lambda: coded(inked(), "TIFF"),
    "sixteen-bit-png": lambda: coded(grey_16()),
    "sixteen-bit-tiff": lambda: coded(grey_16(), "TIFF"),
    "sixteen-bit-pgm": lambda: coded(grey_16(), "PPM"),
    "animation-first-frame": lambda: coded(
        Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), BLACK)]
    ),
}
PICTURES = DAMAGED | ODD
