"""A folder whose name leaves room for Ray's sockets: the system takes 107 bytes, and Ray needs most."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from promptgrid.spec import Refused

MOST = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket's path."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def ray_parent() -> Path:
    """The folder in which a cluster of our own may have its own one: that of ``$RAY_TMPDIR``, else the temporary one.

    Where its name is too long, a short one is chosen and said on stderr.

    Raises:
        Refused: no short folder can be written.
    """
    asked = os.environ.get("RAY_TMPDIR")
    parent = os.path.abspath(asked or tempfile.gettempdir())
    if len(os.fsencode(parent)) <= room():
        Path(parent).mkdir(parents=True, exist_ok=True)
        return Path(parent)
    chosen = _first_writable(SHORT, parent)
    named = "RAY_TMPDIR" if asked else "TMPDIR"
    said = f"promptgrid: {named} ({len(os.fsencode(parent))} bytes) is too long for Ray's sockets"
    print(f"{said}: its files are in {chosen}", file=sys.stderr)
    return Path(chosen)


def room() -> int:
    """Bytes of a folder in which ``pg-<pid>-...`` can hold a session of Ray and its sockets."""
    pid = os.getpid()
    behind = f"/pg-{pid}-abcdefgh/session_2026-01-31_23-59-59_123456_{pid}/sockets/plasma_store.1"
    return MOST - len(behind)


def parents() -> list[Path]:
    """Folders in which clusters of ours may have left something."""
    usual = (os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), *SHORT)
    return [Path(place) for place in dict.fromkeys(usual) if Path(place).is_dir()]


def _first_writable(folders: Iterable[str], parent: str) -> str:
    for folder in folders:
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise Refused(
        f"Ray's sockets need a temporary folder of at most {room()} bytes, and none can be written",
        where="TMPDIR",
        got=parent,
        hint="set TMPDIR to a short path, or use --local",
    )
