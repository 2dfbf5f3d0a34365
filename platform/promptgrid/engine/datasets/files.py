"""Datasets whose examples are files below one root, and nowhere else."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.contract.dataset import Dataset
from promptgrid.engine.datasets.content import content_hashes
from promptgrid.engine.datasets.published.archives import parts_of, present
from promptgrid.spec import DatasetCard, Refused
from promptgrid.spec.paths import nearest_folder, user_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One example of a split: its path relative to the root, with ``/``, and its label."""

    path: str
    label: int


class FilesDataset(Dataset):
    """Examples in files. Index order: train, then val, then test, each in its source's own order.

    ``notes`` are sentences about what was made safe or looks odd (duplicates, ignored files); each is also logged.
    ``hashes`` are sizes and sha256 by path: an example is what the dataset's digest says, or an error.
    ``weight`` is how many bytes all of them have. ``left_out`` names what lies below the root and is no part of it,
    with why. ``domains`` are the domains by path.
    """

    def __init__(
        self,
        card: DatasetCard,
        root: Path,
        splits: dict[str, list[Row]],
        notes: Sequence[str],
        hashes: Mapping[str, tuple[int, str]],
        left_out: Sequence[tuple[str, str]] = (),
        domains: Mapping[str, str] | None = None,
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
        self.weight = sum(hashes[path][0] for path in self.paths)
        self._domains = [domains[path] for path in self.paths] if domains else []
        start = 0
        for name, split in splits.items():
            self.splits[name] = list(range(start, start + len(split)))
            start += len(split)
        for note in notes:
            logger.warning("%s: %s", root, note)

    @property
    def domain_labels(self) -> Sequence[str]:
        return self._domains

    @abstractmethod
    def read_file(self, path: Path, known: bytes) -> Any:
        """The example in ``path``, whose content must have the sha256 ``known``.

        Raises:
            DamagedExample: the file holds none.
            ChangedExample: it has another content.
            OSError: it cannot be read.
        """

    def read(self, index: int) -> Any:
        return self.read_file(self.root / self.paths[index], self._known[index])

    def example_name(self, index: int) -> str:
        return self.paths[index]


def existing_folder(text: str, where: str) -> Path:
    """The folder ``text`` with every link resolved, ``~`` and ``${NAME}`` expanded; relative to the working folder."""
    folder = user_path(text, where)
    if not text or not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise Refused(
            problem, where=where, got=text, hint=f"the nearest folder that exists is {str(nearest_folder(folder))!r}"
        )
    return folder.resolve()


def refuse_outside(root: Path, paths: Sequence[str], where: str) -> None:
    """Refuse every path that leads out of the resolved ``root``, by itself or by a link on its way."""
    folders: dict[str, str] = {}
    for path in paths:
        full = os.path.join(root, parts_of(path)[0])
        folder = os.path.dirname(full)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        target = os.path.realpath(full) if os.path.islink(full) else folders[folder]
        if not Path(target).is_relative_to(root):
            raise Refused(f"{path!r} leads out of the dataset", where=where, got=target, expected=f"below {root}")


def hashes_below(root: Path, paths: Sequence[str], where: str, noun: str = "image") -> dict[str, tuple[int, str]]:
    """{path: (size, sha256)} of files below ``root``, each of which is what ``noun`` says.

    Raises:
        Refused: some are missing (the first three are named), or one cannot be read.
    """
    missing = [path for path in paths if not present(root, path)]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise Refused(f"{len(missing)} of {len(paths)} {noun}s are missing below {root}: {shown}", where=where)
    try:
        return content_hashes(root, paths)
    except OSError as error:
        raise Refused(f"one of the {noun}s cannot be read: {error}", where=where) from error
