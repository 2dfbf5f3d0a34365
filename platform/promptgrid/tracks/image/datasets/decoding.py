"""Image bytes to RGB pixels, or a clear word on what is wrong with them.

Orientation tags are not applied and the first frame of an animation counts, as in CoOp's own reader. Unlike there,
transparency is laid on white instead of being dropped, and 16-bit grey is scaled instead of clipped.
"""

from __future__ import annotations

import errno
import io
import struct
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from promptgrid.contract.dataset import ChangedExample, DamagedExample

MAX_FILE_BYTES = 256 * 2**20
MAX_PIXELS = 89_478_485  # Pillow's own mark for a decompression bomb: 256 MiB of RGB
MIN_SIDE = 2
MAX_ASPECT = 64
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, struct.error, zlib.error)


class DamagedImage(DamagedExample):
    """A file that should hold an image and does not; the message names the file and what is wrong."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason

    def __reduce__(self) -> tuple[type[DamagedImage], tuple[str, str]]:
        return type(self), (self.where, self.reason)  # so that it crosses from a worker to the driver


class ChangedImage(ChangedExample):
    """A file that is not the one which its dataset was opened with: its content would stand under a wrong key."""

    def __init__(self, where: str) -> None:
        super().__init__(errno.ESTALE, "the image changed since the grid was planned", where)

    def __reduce__(self) -> tuple[type[ChangedImage], tuple[str]]:
        return type(self), (str(self.filename),)


def decode(raw: bytes, where: str) -> Image.Image:
    """The image in ``raw`` as RGB; ``where`` names the file in errors.

    Raises:
        DamagedImage: empty, no image, truncated, a web page, a git-lfs pointer, a decompression bomb, too thin.
    """
    _refuse_impostors(raw, where)
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            return as_rgb(image, where)
    except DamagedImage:
        raise
    except Image.DecompressionBombError as error:
        raise DamagedImage(where, f"decompression bomb: {error}") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise DamagedImage(where, f"no image of a known kind ({kinds}); it starts with {raw[:12]!r}") from error
    except _BROKEN as error:
        cut = "truncated" in str(error).lower()
        what = f"cut off after {len(raw):,} bytes, a truncated image" if cut else f"truncated or damaged image: {error}"
        raise DamagedImage(where, what) from error


def as_rgb(image: Image.Image, where: str) -> Image.Image:
    """An opened image as RGB: transparency on white, 16 bits scaled to 8.

    Raises:
        DamagedImage: too large, too thin, or of pixels whose range nothing states.
    """
    _refuse_shapes(image.width, image.height, where)
    image.load()
    return _rgb(image, where)


def _refuse_impostors(raw: bytes, where: str) -> None:
    if not raw:
        raise DamagedImage(where, "the file is empty")
    start = raw[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise DamagedImage(where, "a git-lfs pointer, not the image itself; run `git lfs pull` in its repository")
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise DamagedImage(where, "an HTML page saved as an image; the download failed")


def _refuse_shapes(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise DamagedImage(where, f"decompression bomb: {width}x{height} pixels, at most {MAX_PIXELS:,} are read")
    if min(width, height) < MIN_SIDE:
        raise DamagedImage(where, f"{width}x{height} pixels; each side must have at least {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise DamagedImage(where, f"{width}x{height} pixels; one side is over {MAX_ASPECT} times the other")


def _rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "F":
        raise DamagedImage(where, "floating-point pixels, whose range nothing states; save it as 8-bit")
    if image.mode.startswith("I"):
        return _from_16_bit(image, where).convert("RGB")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layers).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image, where: str) -> Image.Image:
    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65_535:
        raise DamagedImage(
            where, f"pixels from {pixels.min()} to {pixels.max()}, expected 0 to 65535; save it as 8-bit"
        )
    return Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
