"""Which packs run on a store right now, read from the work orders that its drivers have written there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import time
from pathlib import Path

from promptgrid.cluster.timing.eta import RunningPack

FOLDER = "ray"
"""Where in a store the drivers keep their work orders, each in a folder ``host~pid~token`` of its own."""


def running_packs(store: Path, now: float | None = None) -> list[RunningPack]:
    """The packs running now, of every living driver. A driver on another host counts until a pack is overdue."""
    now = time.time() if now is None else now
    found = []
    for folder in sorted((store / FOLDER).glob("*~*~*")):
        if not is_gone(folder):
            found += [running for path in sorted(folder.glob("*.json")) if (running := _running_pack(path, now))]
    return found


def is_gone(folder: Path) -> bool:
    """Whether the driver that made ``folder`` ran on this host and has ended."""
    host, pid, _ = folder.name.rsplit("~", 2)
    return host == socket.gethostname() and not Path("/proc", pid).exists()


def scratch_folder(store: Path) -> Path:
    """A folder for work orders and Tune's own files, under ``store`` because all machines see that. Not made yet."""
    parent = store / FOLDER
    for folder in filter(is_gone, parent.glob("*~*~*")):
        shutil.rmtree(folder, ignore_errors=True)  # another driver may sweep the same one
    return parent / f"{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(3)}"


def _running_pack(path: Path, now: float) -> RunningPack | None:
    try:
        started = path.stat().st_mtime
        head = json.loads(path.read_text()).get("head")
    except (FileNotFoundError, ValueError, RecursionError):  # its pack is over by now, or is just being sent
        return None
    if head is None:  # the order of a study, which names no cells
        return None
    if now - started > head["stall_seconds"]:
        return None
    return RunningPack(frozenset(head["wanted"]), started)
