"""A folder whose name leaves room for Ray's sockets: the system takes 107 bytes, and Ray puts 66 behind the folder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from promptgrid.spec import Refused

MOST = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket's path."""
BEHIND = len("/session_2026-01-31_23-59-59_123456_4194304/sockets/plasma_store.1")
"""What Ray puts behind its folder, at the longest."""
OWN = len("/pg-4194304-abcdefgh")
"""What we put behind a temporary folder."""
ROOM = MOST - BEHIND - OWN
"""Bytes of a temporary folder that our clusters can live in."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def ray_folder(prefix: str) -> Path | None:
    """A new folder for a cluster of our own; None where ``$RAY_TMPDIR`` names one that will do.

    The temporary folder of this process is taken where its name is short enough, else a short one is chosen and said
    on stderr.

    Raises:
        Refused: no short folder can be written.
    """
    asked = os.environ.get("RAY_TMPDIR")
    if asked and len(os.fsencode(os.path.abspath(asked))) + BEHIND <= MOST:
        return None
    parent = asked or tempfile.gettempdir()
    chosen = parent if not asked and _short(parent) else _first_writable(SHORT, parent)
    if chosen != parent:
        named = "RAY_TMPDIR" if asked else "TMPDIR"
        print(f"promptgrid: {named} ({len(os.fsencode(parent))} bytes) is too long for Ray's sockets: "
              f"its files are in {chosen}", file=sys.stderr)  # fmt: skip
    return Path(tempfile.mkdtemp(prefix=prefix, dir=chosen))


def parents() -> list[Path]:
    """Folders in which clusters of ours may have left something."""
    return [Path(place) for place in dict.fromkeys((tempfile.gettempdir(), *SHORT)) if Path(place).is_dir()]


def _short(folder: str) -> bool:
    return len(os.fsencode(os.path.abspath(folder))) <= ROOM


def _first_writable(folders: Iterable[str], parent: str) -> str:
    for folder in folders:
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise Refused(
        f"Ray's sockets need a temporary folder of at most {ROOM} bytes, and none can be written",
        where="TMPDIR",
        got=parent,
        hint="set TMPDIR to a short path, or use --local",
    )
