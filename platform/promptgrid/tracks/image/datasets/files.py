"""An image in a file, read once and held to what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.published.archives import content_of, size_of
from promptgrid.engine.datasets.variations import FOLDER
from promptgrid.tracks.image.datasets.decoding import MAX_FILE_BYTES, SUFFIXES, ChangedImage, DamagedImage, decode

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = Kind("image", SUFFIXES, aside=(FOLDER,))
"""Files that are images by their names."""


def read_image(path: Path, known: bytes | None = None) -> Image:
    """The image in a file or in a zip (``x.zip@member``), as RGB; ``known`` is the sha256 that its content must have.

    Raises:
        ChangedImage: it has another.
        DamagedImage: too large a file, or none that holds an image.
        OSError: it cannot be read.
    """
    size = size_of(path)
    if size > MAX_FILE_BYTES:
        raise DamagedImage(str(path), f"{size:,} bytes, at most {MAX_FILE_BYTES:,} are read")
    raw = content_of(path)
    if known is not None and hashlib.sha256(raw).digest() != known:
        raise ChangedImage(str(path))
    return decode(raw, str(path))
