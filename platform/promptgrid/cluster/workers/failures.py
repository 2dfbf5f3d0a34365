"""From an error to a record that says why a cell failed."""

from __future__ import annotations

import errno
import platform
import re
import socket
import sys
import traceback
from datetime import UTC, datetime

from promptgrid.spec import Cell, Provenance, Reason, Record, SourceLost
from promptgrid.spec.version import __version__

MESSAGE_LENGTH = 500
TAIL_LENGTH = 4_000


def failed_record(cell: Cell, reason: Reason, message: str, *, tail: str = "", attempts: int = 1) -> Record:
    """A failed record of ``cell``, stamped with this host and the present time."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(
        cell=cell,
        status="failed",
        reason=reason,
        message=message[:MESSAGE_LENGTH],
        log_tail=tail[-TAIL_LENGTH:],
        attempts=attempts,
        provenance=Provenance(
            promptgrid_version=__version__,
            python=platform.python_version(),
            host=socket.gethostname(),
            started=now,
            finished=now,
        ),
    )


def reason_of(error: BaseException) -> Reason:
    """Why ``error`` ended a cell: memory, disk, or else the plug-in."""
    if isinstance(error, MemoryError):
        return Reason.OOM_HOST
    if isinstance(error, SourceLost):
        return Reason.NEEDS_FAILED
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Reason.DISK_FULL
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return Reason.OOM_GPU
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        return Reason.OOM_HOST  # torch's CPU allocator raises a plain RuntimeError
    return Reason.PLUGIN_ERROR


def reason_of_loss(said: str) -> tuple[Reason, str]:
    """Why a worker is gone, from what Ray says: killed by Ray for want of memory, or gone for its own reasons."""
    line = " ".join(said.split())
    if "OutOfMemoryError" in line or "running low on memory" in line:
        return Reason.OOM_HOST, "Ray ended it because its machine was running out of memory"
    detail = re.search(r"Worker exit detail: (.*?\.)(\s|$)|(The actor died .*?\.)(\s|$)", line)
    return Reason.WORKER_LOST, (detail[1] or detail[3]) if detail else line[:200]


def sentence(error: BaseException) -> str:
    """``ValueError: what was wrong``, in one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def tail_of(error: BaseException) -> str:
    """The end of the traceback of ``error``."""
    return "".join(traceback.format_exception(error))[-TAIL_LENGTH:]
