"""Atomic commits: a folder of files appears whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STEPS = ("made", "half", "files", "manifest", "synced", "renamed", "parent")
"""The moments of a commit at which ``PROMPTGRID_FAILPOINT`` may end the process, in order."""

_WEEK = 7 * 86_400.0


def failpoint(step: str) -> None:
    """Die here if ``PROMPTGRID_FAILPOINT`` names ``step`` (``step:raise``: an I/O error instead). For fault tests."""
    wanted, _, action = os.environ.get("PROMPTGRID_FAILPOINT", "").partition(":")
    if wanted != step:
        return
    if action == "raise":
        raise OSError(errno.EIO, f"failpoint {step}")
    os.kill(os.getpid(), signal.SIGKILL)


def sync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, raw: bytes) -> None:
    """Write a new file and make its bytes survive a power cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents, each made to survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def staging(temporary: Path) -> Iterator[Path]:
    """A new folder under ``temporary`` whose name tells who made it; gone afterwards unless it was landed."""
    make_folder(temporary)
    folder = temporary / f"{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what stays is found by `stale`


def land(folder: Path, target: Path) -> bool:
    """Rename ``folder`` to ``target``; False when somebody's ``target`` was there first."""
    sync_folder(folder)
    failpoint("synced")
    make_folder(target.parent)
    try:
        os.rename(folder, target)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    failpoint("renamed")
    sync_folder(target.parent)
    failpoint("parent")
    return True


def commit_folder(
    temporary: Path, target: Path, files: Mapping[str, bytes], manifest: bytes, replaced: bool = False
) -> bool:
    """Make ``target`` hold exactly ``files`` and ``MANIFEST.json``; False when it was there already.

    With ``replaced`` a ``target`` that is there makes room once the new files are written; a crash between the two
    renames leaves none.
    """
    with staging(temporary) as folder:
        failpoint("made")
        for name, raw in files.items():
            if os.environ.get("PROMPTGRID_FAILPOINT", "").startswith("half"):
                (folder / name).write_bytes(raw[: len(raw) // 2])
                failpoint("half")
            write_file(folder / name, raw)
        failpoint("files")
        write_file(folder / "MANIFEST.json", manifest)
        failpoint("manifest")
        if not replaced:
            return land(folder, target)
        with staging(temporary) as before:
            with suppress(FileNotFoundError):  # another writer has just done the same
                os.rename(target, before / target.name)
            return land(folder, target)


def stale(temporary: Path, older_than: float) -> list[Path]:
    """Folders left under ``temporary`` by processes that ended; ``older_than`` seconds untouched at least."""
    if not temporary.is_dir():
        return []
    return [folder for folder in sorted(temporary.iterdir()) if _abandoned(folder, older_than)]


def _abandoned(folder: Path, older_than: float) -> bool:
    try:
        idle = time.time() - folder.stat().st_mtime
    except FileNotFoundError:  # its owner has just landed or removed it
        return False
    if idle < older_than:
        return False
    host, _, rest = folder.name.partition("~")
    pid = rest.partition("~")[0]
    if host == socket.gethostname() and pid.isdecimal():
        return not _alive(int(pid))
    return idle > max(older_than, _WEEK)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but alive
        return True
    return True
