"""Ends a worker that hangs, and records its cell as TIMEOUT."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from promptgrid.cluster.workers.failures import failed_record
from promptgrid.cluster.workers.run_pack import commit_record
from promptgrid.spec import Cell, Pack, Reason, Record
from promptgrid.store import Store

EXIT_CODE = 75  # EX_TEMPFAIL
GRACE = 5.0
"""Seconds after which a process is ended without Python's help: a plug-in may hang and let no other thread run."""


class Watchdog:
    """Ends this process when ``pack`` shows no progress for ``seconds``. Use as a context, around the pack.

    Seen from the driver a worker is lost, and ``stack`` (where one is given) says what it was doing: the pack is tried
    again in halves. A cell is recorded as TIMEOUT when it was alone, so that its pack-mates do not pay for it.
    """

    def __init__(self, store: str, pack: Pack, seconds: float, stack: Path | None = None) -> None:
        self._store = store
        self._left = {cell.key: cell for cell in pack.cells if cell.key in pack.wanted}
        self._seconds = seconds
        self._fed = self._armed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._stack = stack
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self._stack is not None:
            self._file = self._stack.open("w")
        self._arm()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._file is not None and self._stack is not None:
            faulthandler.cancel_dump_traceback_later()
            self._file.close()
            self._stack.unlink(missing_ok=True)

    def feed(self, key: str | None = None) -> None:
        """There was progress; ``key`` has its record."""
        self._fed = time.monotonic()
        if key is not None:
            self._left.pop(key, None)
        if self._fed - self._armed >= min(1.0, GRACE / 4):
            self._arm()

    def _arm(self) -> None:
        """Have the interpreter end the process, whatever it is at, unless this is called again in time."""
        if self._file is not None:
            self._armed = time.monotonic()
            faulthandler.dump_traceback_later(self._seconds + GRACE, exit=True, file=self._file)

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() - self._fed < self._seconds:
                continue
            if self._file is not None:
                faulthandler.dump_traceback(file=self._file)
            if len(self._left) == 1:
                (cell,) = self._left.values()
                commit_record(Store(self._store), timed_out(cell, self._seconds, self._said()))
            os._exit(EXIT_CODE)

    def _said(self) -> str:
        return self._stack.read_text(errors="replace") if self._stack is not None else ""


def timed_out(cell: Cell, seconds: float, stack: str) -> Record:
    """The record of a cell that showed no progress for ``seconds``; ``stack`` says where it hung."""
    return failed_record(cell, Reason.TIMEOUT, f"no progress for {seconds:.0f} s", tail=stack)


def stack_beside(order: Path) -> Path:
    """Where the worker of the order in that file says what it was doing when it hung."""
    return order.with_suffix(".stack")


def stall_of(order: Path) -> str:
    """What the worker of that order was doing when it hung; empty where it did not."""
    try:
        return stack_beside(order).read_text(errors="replace")
    except FileNotFoundError:
        return ""
