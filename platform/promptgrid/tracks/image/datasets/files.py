"""Datasets whose images are files below one root, and nowhere else."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.contract.clip import Dataset
from promptgrid.spec import DatasetCard, Refused
from promptgrid.spec.paths import user_path
from promptgrid.tracks.image.datasets.content import content_hashes
from promptgrid.tracks.image.datasets.decoding import MAX_FILE_BYTES, ChangedImage, DamagedImage, decode

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One image of a split: its path relative to the root, with ``/``, and its label."""

    path: str
    label: int


class FilesDataset(Dataset):
    """Images in files. Index order: train, then val, then test, each in its source's own order.

    ``notes`` are sentences about what was made safe or looks odd (duplicates, ignored files); each is also logged.
    ``hashes`` are sizes and sha256 by path: an image is what the dataset's digest says, or an error.
    ``left_out`` names what lies below the root and is no part of it, with why.
    """

    def __init__(
        self,
        card: DatasetCard,
        root: Path,
        splits: dict[str, list[Row]],
        notes: Sequence[str],
        hashes: Mapping[str, tuple[int, str]],
        left_out: Sequence[tuple[str, str]] = (),
    ) -> None:
        rows = [row for split in splits.values() for row in split]
        self.card = card
        self.root = root
        self.paths = [row.path for row in rows]
        self.labels = [row.label for row in rows]
        self._known = [bytes.fromhex(hashes[path][1]) for path in self.paths]
        self.splits = {}
        self.notes = tuple(notes)
        self.left_out = tuple(left_out)
        start = 0
        for name, split in splits.items():
            self.splits[name] = list(range(start, start + len(split)))
            start += len(split)
        for note in notes:
            logger.warning("%s: %s", root, note)

    def read(self, index: int) -> Image:
        return read_image(self.root / self.paths[index], self._known[index])

    def example_name(self, index: int) -> str:
        return self.paths[index]


def read_image(path: Path, known: bytes | None = None) -> Image:
    """The image in a file, as RGB; ``known`` is the sha256 that its content must have.

    Raises:
        ChangedImage: it has another.
        DamagedImage: too large a file, or none that holds an image.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DamagedImage(str(path), f"{size:,} bytes, at most {MAX_FILE_BYTES:,} are read")
    raw = path.read_bytes()
    if known is not None and hashlib.sha256(raw).digest() != known:
        raise ChangedImage(str(path))
    return decode(raw, str(path))


def existing_folder(text: str, where: str) -> Path:
    """The folder ``text`` with every link resolved, ``~`` expanded."""
    folder = user_path(text, where)
    if not text or not folder.is_dir():
        above = next((parent for parent in folder.parents if parent.is_dir()), Path("/"))
        problem = "not a folder" if folder.exists() else "no such folder"
        raise Refused(problem, where=where, got=text, hint=f"the nearest folder that exists is {str(above)!r}")
    return folder.resolve()


def refuse_outside(root: Path, paths: Sequence[str], where: str) -> None:
    """Refuse every path that leads out of the resolved ``root``, by itself or by a link on its way."""
    folders: dict[str, str] = {}
    for path in paths:
        full = os.path.join(root, path)
        folder = os.path.dirname(full)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        target = os.path.realpath(full) if os.path.islink(full) else folders[folder]
        if not Path(target).is_relative_to(root):
            raise Refused(f"{path!r} leads out of the dataset", where=where, got=target, expected=f"below {root}")


def hashes_below(root: Path, paths: Sequence[str], where: str) -> dict[str, tuple[int, str]]:
    """{path: (size, sha256)} of files below ``root``.

    Raises:
        Refused: some are missing (the first three are named), or one cannot be read.
    """
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise Refused(f"{len(missing)} of {len(paths)} images are missing below {root}: {shown}", where=where)
    try:
        return content_hashes(root, paths)
    except OSError as error:
        raise Refused(f"an image cannot be read: {error}", where=where) from error
