"""Orphaned processes of a Ray that we started, found by the files they hold open in its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
LAST_WORDS = 2.0
"""Seconds in which processes that were told to end may do so."""


def end_orphans(folder: Path) -> list[int]:
    """End every process of this user that holds a file open under ``folder``, this one excepted; their ids.

    Ray leaves such processes when a start fails half way, and when one of its own has died. Where there is no
    ``/proc`` (macOS) nothing is found.
    """
    until = time.monotonic() + LAST_WORDS
    while (left := holders(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return left


def holders(folder: Path) -> list[int]:
    """Processes of this user, other than this one, with a file open under ``folder``."""
    inside = f"{folder.resolve()}{os.sep}"
    numbers = [int(path.name) for path in PROC.glob("[0-9]*")] if PROC.is_dir() else []
    return [number for number in numbers if number != os.getpid() and _holds(number, inside)]


def _holds(process: int, inside: str) -> bool:
    try:
        handles = os.listdir(PROC / str(process) / "fd")
    except OSError:  # it has ended, or is somebody else's
        return False
    return any(_target(process, handle).startswith(inside) for handle in handles)


def _target(process: int, handle: str) -> str:
    try:
        return os.readlink(PROC / str(process) / "fd" / handle)
    except OSError:
        return ""
