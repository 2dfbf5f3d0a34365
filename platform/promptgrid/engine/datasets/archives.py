"""Examples inside uncompressed or compressed zip files, read in place: ``train.zip@folder/1.jpg``."""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

MARK = ".zip@"
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)


def parts_of(path: str | Path) -> tuple[str, str]:
    """(archive, member) of the path of an example; the member is '' for a file of its own."""
    before, mark, member = str(path).partition(MARK)
    return (before + ".zip", member) if mark else (before, "")


def present(root: Path, path: str) -> bool:
    """Whether the file is there, or its archive with a member of that name."""
    archive, member = parts_of(path)
    file = root / archive
    if not member or not file.is_file():
        return file.is_file() and not member
    try:
        return member in _opened(file).NameToInfo
    except BROKEN:
        return False


def size_of(path: Path) -> int:
    """Bytes of an example. Raises OSError: it is not there."""
    archive, member = parts_of(path)
    return _info(Path(archive), member).file_size if member else path.stat().st_size


def content_of(path: Path) -> bytes:
    """The bytes of an example. Raises OSError: it is not there, or the archive is damaged."""
    archive, member = parts_of(path)
    if not member:
        return path.read_bytes()
    try:
        return _opened(Path(archive)).read(_info(Path(archive), member))
    except BROKEN as error:
        raise OSError(f"{path}: the archive is damaged: {error}") from error


def _info(archive: Path, member: str) -> zipfile.ZipInfo:
    try:
        return _opened(archive).getinfo(member)
    except KeyError as error:
        raise FileNotFoundError(f"{archive} has no member {member!r}") from error
    except BROKEN as error:
        raise OSError(f"{archive}: the archive is damaged: {error}") from error


def _opened(archive: Path) -> zipfile.ZipFile:
    status = archive.stat()
    return _handle(archive, status.st_size, status.st_mtime_ns, os.getpid())


@lru_cache(maxsize=16)
def _handle(archive: Path, size: int, changed: int, process: int) -> zipfile.ZipFile:
    """One a process: two processes that share a handle would read from each other's places."""
    return zipfile.ZipFile(archive)
