"""Where damaged things go, with the reason beside them."""

from __future__ import annotations

import datetime
import errno
import itertools
import logging
import os
from pathlib import Path

from promptgrid.spec import canonical_json

_NO_ROOM = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
_log = logging.getLogger(__name__)


def move_aside(root: Path, what: Path, key: str, why: str) -> Path | None:
    """Move file or folder ``what`` into ``quarantine/<key>-<n>/`` and write ``reason.json`` beside it.

    Returns:
        The new folder; None when somebody else has moved it already, or the store may not be written (then a warning
        is logged and ``what`` stays where it is: readers go on treating it as missing).
    """
    try:
        folder = _new_folder(root / "quarantine", key)
        try:
            os.rename(what, folder / "found")
        except FileNotFoundError:
            folder.rmdir()
            return None
        found = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        (folder / "reason.json").write_text(canonical_json({"key": key, "why": why, "found": found}) + "\n", "utf-8")
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _log.warning("damaged, and quarantine cannot be written (%s): %s: %s", error.strerror, what, why)
        return None
    return folder


def _new_folder(base: Path, key: str) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        try:
            (base / f"{key}-{number}").mkdir()
        except FileExistsError:
            continue
        return base / f"{key}-{number}"
    raise AssertionError("unreachable: the count has no end")
