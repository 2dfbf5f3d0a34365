"""Examples inside zip and tar files, read in place: ``train.zip@folder/1.jpg``, ``test/0.tar@000001.webp``."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

MARK = re.compile(r"(\.zip|\.tar)@")
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError, RuntimeError, EOFError)


def parts_of(path: str | Path) -> tuple[str, str]:
    """(archive, member) of the path of an example; the member is '' for a file of its own."""
    text = str(path)
    found = MARK.search(text)
    return (text[: found.end() - 1], text[found.end() :]) if found else (text, "")


def present(root: Path, path: str) -> bool:
    """Whether the file is there, or its archive with a member of that name."""
    archive, member = parts_of(path)
    file = root / archive
    if not member or not file.is_file():
        return file.is_file() and not member
    try:
        return member in sizes_in(file)
    except OSError:
        return False


def sizes_in(archive: Path) -> dict[str, int]:
    """Bytes of each member by its name, in the order of the archive. Raises OSError: it is damaged."""
    return _opened(archive).sizes


def size_of(path: Path) -> int:
    """Bytes of an example. Raises OSError: it is not there."""
    archive, member = parts_of(path)
    if not member:
        return path.stat().st_size
    sizes = sizes_in(Path(archive))
    if member not in sizes:
        raise FileNotFoundError(f"{archive} has no member {member!r}")
    return sizes[member]


def content_of(path: Path) -> bytes:
    """The bytes of an example. Raises OSError: it is not there, or the archive is damaged."""
    archive, member = parts_of(path)
    if not member:
        return path.read_bytes()
    size_of(path)
    try:
        return _opened(Path(archive)).read(member)
    except BROKEN as error:
        raise OSError(f"{path}: the archive is damaged: {error}") from error


class _Zip:
    """An opened zip, whose own lock lets several threads read."""

    def __init__(self, archive: Path) -> None:
        self._file = zipfile.ZipFile(archive)
        self.sizes = {item.filename: item.file_size for item in self._file.infolist() if not item.is_dir()}

    def read(self, member: str) -> bytes:
        return self._file.read(member)


class _Tar:
    """Where the members of an uncompressed tar lie in it."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        with tarfile.open(archive, "r:") as file:
            found = [item for item in file if item.isfile()]
        self.sizes = {item.name: item.size for item in found}
        self._starts = {item.name: item.offset_data for item in found}

    def read(self, member: str) -> bytes:
        with self._archive.open("rb") as file:
            file.seek(self._starts[member])
            raw = file.read(self.sizes[member])
        if len(raw) < self.sizes[member]:
            raise EOFError(f"{member} is cut off")
        return raw


def _opened(archive: Path) -> _Zip | _Tar:
    status = archive.stat()
    try:
        return _kept(archive, status.st_size, status.st_mtime_ns, os.getpid())
    except BROKEN as error:
        raise OSError(f"{archive}: the archive is damaged: {error}") from error


@lru_cache(maxsize=64)
def _kept(archive: Path, size: int, changed: int, process: int) -> _Zip | _Tar:
    """One a process: two processes that share a handle would read from each other's places."""
    return _Tar(archive) if archive.suffix == ".tar" else _Zip(archive)
