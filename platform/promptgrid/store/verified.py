"""An index of verified records: one whose files have not changed since need not be hashed again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from pathlib import Path

from promptgrid.store.files.manifest import FILES

NAME = "verified.json"
FRESH = 2.0
"""Seconds: a file that changed this lately may change again within one tick of its file system's clock."""
_log = logging.getLogger(__name__)


class VerifiedIndex:
    """``verified.json`` under ``root``: by key the inode, size and times of the files that were verified.

    A help and no truth: lost, damaged or of another machine, it costs the time to read the records again. It says
    nothing of a disk that changes bits by itself, for which there is :func:`promptgrid.store.verify`.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / NAME
        self._known: dict[str, str] | None = None
        self._new: dict[str, str] = {}

    def knows(self, key: str, stamp: str) -> bool:
        """Whether ``key`` was found sound when its files looked like that."""
        if self._known is None:
            self._known = self._read()
        return bool(stamp) and (self._new.get(key) or self._known.get(key)) == stamp

    def learn(self, key: str, stamp: str) -> None:
        """``key`` was found sound, and its files looked like that before they were read."""
        if stamp:
            self._new[key] = stamp

    def keep(self) -> None:
        """Write down what was learned; a store that may not be written goes without."""
        if not self._new:
            return
        self._known = self._read() | self._new  # another process may have learned something meanwhile
        self._new = {}
        partial = self._path.with_name(f".{NAME}.{secrets.token_hex(4)}")
        try:
            partial.write_text(json.dumps(self._known, separators=(",", ":")))
            os.replace(partial, self._path)
        except OSError as error:
            _log.debug("what was verified is not remembered: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink()

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def stamp_of(folder: Path) -> str:
    """Inode, size and times of the files of a record; empty where one is missing, or changed just now."""
    newest, parts = 0.0, []
    for name in ("MANIFEST.json", *FILES):
        try:
            stat = os.stat(folder / name)
        except OSError:
            return ""
        newest = max(newest, stat.st_mtime, stat.st_ctime)
        parts.append(f"{stat.st_ino:x}.{stat.st_size:x}.{stat.st_mtime_ns:x}.{stat.st_ctime_ns:x}")
    return " ".join(parts) if time.time() - newest > FRESH else ""
