"""sha256 of the files of a model, each read once in a process as long as it stays the same file."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Of a file's content.

    Raises:
        OSError: it is missing or unreadable.
    """
    status = path.stat()
    return _read(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


@lru_cache(maxsize=256)
def _read(path: Path, stamp: tuple[int, int, int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
