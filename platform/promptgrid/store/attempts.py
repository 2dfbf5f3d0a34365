"""Failed attempts, kept one file each beside the records."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from promptgrid.spec import Record
from promptgrid.store.files import encoding
from promptgrid.store.files.commit import make_folder, staging, sync_folder, write_file
from promptgrid.store.files.quarantine import move_aside

_log = logging.getLogger(__name__)


class Attempts:
    """``failures/ab/<key>/<n>.json`` under ``root``: the n-th failed attempt at a cell, sealed with its own sha256."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = root / "failures"

    def add(self, record: Record) -> int:
        """Keep ``record`` as one more attempt; its number, from 1."""
        key = record.cell.key
        folder = self.base / key[:2] / key
        make_folder(folder)
        with staging(self.root / "temporary") as temporary:
            source = temporary / "attempt.json"
            write_file(source, encoding.sealed({"format": 1, "record": encoding.record_bytes(record).decode()}))
            number = max(self.numbers(folder), default=0) + 1
            while True:
                try:
                    os.link(source, folder / f"{number}.json")
                    break
                except FileExistsError:  # another process failed at the same cell in this moment
                    number += 1
        sync_folder(folder)
        return number

    def keys(self) -> set[str]:
        """Cells with at least one failed attempt, finished since or not."""
        if not self.base.is_dir():
            return set()
        return {folder.name for prefix in self.base.iterdir() if prefix.is_dir() for folder in prefix.iterdir()}

    def of(self, keys: Iterable[str]) -> dict[str, list[Record]]:
        """Verified attempts by key, oldest first; keys without any are left out."""
        found = {}
        prefixes: dict[str, set[str]] = {}
        for key in sorted(set(keys)):
            if key[:2] not in prefixes:
                prefix = self.base / key[:2]
                prefixes[key[:2]] = set(os.listdir(prefix)) if prefix.is_dir() else set()
            if key in prefixes[key[:2]] and (tries := self.read(key)[0]):
                found[key] = tries
        return found

    def read(self, key: str) -> tuple[list[Record], list[str]]:
        """(verified attempts at ``key``, oldest first; why others were moved to quarantine)."""
        folder = self.base / key[:2] / key
        tries, damaged = [], []
        for number in sorted(self.numbers(folder)):
            path = folder / f"{number}.json"
            try:
                tries.append(self.one(path, key))
            except FileNotFoundError:  # moved to quarantine by another reader
                continue
            except (ValueError, KeyError, AttributeError) as error:
                why = f"failed attempt {number}: {' '.join(str(error).split())[:400]}"
                _log.warning("damaged, now in quarantine: %s: %s", key, why)
                move_aside(self.root, path, key, why)
                damaged.append(why)
        return tries, damaged

    @staticmethod
    def numbers(folder: Path) -> list[int]:
        """The numbers of the attempts that lie in ``folder``."""
        if not folder.is_dir():
            return []
        return [int(name[:-5]) for name in os.listdir(folder) if name.endswith(".json") and name[:-5].isdecimal()]

    @staticmethod
    def one(path: Path, key: str) -> Record:
        """The attempt in a file. Raises ValueError where it is none, or is about another cell."""
        record = encoding.record_of(encoding.unsealed(path.read_bytes())["record"].encode())
        if record.cell.key != key or record.status != "failed":
            raise ValueError(f"is about cell {record.cell.key}, {record.status}")
        return record
