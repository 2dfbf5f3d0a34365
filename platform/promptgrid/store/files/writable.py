"""Whether a folder can be written to, asked before anything is computed for it."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from promptgrid.spec import Refused

PROBE = b"promptgrid was here\n" * 4096
"""What is written to find a full disk: about as much as a small record."""


def refuse_unusable(folder: Path, where: str, *, to_write: bool = False) -> None:
    """Refuse a folder that is none and cannot become one. Nothing is written.

    Args:
        folder: an absolute path.
        where: what named it (``--store``), for the message.
        to_write: whether one that is there must take files, too.

    Raises:
        Refused: it is a file, lies below one, is a link to nowhere, or would have to be made where nothing may be.
    """
    for place in (folder, *folder.parents):
        mode = _mode(place, where)
        if mode is None:
            continue
        if stat.S_ISDIR(mode):
            if (to_write or place != folder) and not os.access(place, os.W_OK | os.X_OK):
                made = "" if place == folder else f"{folder} cannot be made: "
                raise Refused(f"{made}{place} may not be written", where=where, hint="choose another folder")
            return
        what = "a link to nowhere" if stat.S_ISLNK(mode) else "a file, not a folder"
        raise Refused(f"{place} is {what}", where=where, hint="choose another folder, or move it out of the way")


def refuse_unwritable(folder: Path, where: str) -> None:
    """Refuse a folder that cannot be made or written; it is made, and a probe comes and goes.

    Raises:
        Refused: as :func:`refuse_unusable`; or the disk is full or may only be read.
    """
    refuse_unusable(folder, where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(prefix=".probe-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(PROBE)
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            os.unlink(probe)
    except OSError as error:
        raise _refusal(error, folder, where) from error


def _refusal(error: OSError, folder: Path, where: str) -> Refused:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Refused(f"the disk of {folder} is full", where=where, hint="free some space, or choose another folder")
    return Refused(f"{folder} cannot be written: {error.strerror}", where=where, hint="choose another folder")


def _mode(place: Path, where: str) -> int | None:
    """The kind of ``place`` behind its links; of a link to nowhere its own; None where nothing is there."""
    try:
        return place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        try:
            return place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
    except OSError as error:
        raise Refused(f"{place} cannot be looked at: {error.strerror}", where=where) from error
