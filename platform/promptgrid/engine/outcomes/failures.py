"""From an exception to the reason that a record gives."""

from __future__ import annotations

import errno
import traceback

import torch

from promptgrid.contract.dataset import ChangedExample, DamagedExample
from promptgrid.contract.track import Outcome
from promptgrid.spec import Cell, Provenance, Reason, Record, Refused, SourceLost

UNREAD = frozenset({errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE})
"""What a file system says of a file that it cannot give now."""


class Diverged(ArithmeticError):
    """The parameters, the loss or the scores of a cell are not finite."""


class NotAsPlanned(RuntimeError):
    """Data or weights at hand are not those that a cell's key names."""


def reason_of(error: BaseException) -> Reason:
    """Why a cell failed, judged by the exception that ended it."""
    if isinstance(error, Diverged):
        return Reason.NAN_LOSS
    if isinstance(error, torch.OutOfMemoryError):
        return Reason.OOM_GPU
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return Reason.OOM_HOST
    if isinstance(error, Refused):
        return Reason.CONFIG
    if isinstance(error, NotAsPlanned | ChangedExample):
        return Reason.CHECKSUM
    if isinstance(error, SourceLost):
        return Reason.NEEDS_FAILED
    if isinstance(error, DamagedExample):
        return Reason.DATA_CORRUPT
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Reason.DISK_FULL
    if isinstance(error, FileNotFoundError) or (isinstance(error, OSError) and error.errno in UNREAD):
        return Reason.DATA_MISSING
    return Reason.PLUGIN_ERROR


def failed(cell: Cell, error: BaseException, provenance: Provenance) -> Outcome:
    """The record of a cell that ``error`` ended."""
    tail = "".join(traceback.format_exception(error))[-4000:]
    named = isinstance(error, DamagedExample | Refused)  # they say what is wrong in words of their own
    message = str(error)[:2000] if named else f"{type(error).__name__}: {error}"[:2000]
    return Outcome(
        Record(
            cell=cell,
            status="failed",
            reason=reason_of(error),
            message=message,
            log_tail=tail,
            provenance=provenance,
        )
    )
