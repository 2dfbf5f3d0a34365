"""A cell that hangs: recorded as TIMEOUT, and its process ended so that the slot is free again."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from promptgrid.cluster.failures import failed_record
from promptgrid.cluster.run_pack import commit_record
from promptgrid.spec import Pack, Reason

if TYPE_CHECKING:
    from promptgrid.store import Store

EXIT_CODE = 75  # EX_TEMPFAIL


class Watchdog:
    """Ends this process when ``pack`` shows no progress for ``seconds``. Use as a context, around the pack.

    Seen from the driver a worker is lost: it tries the pack again, then in halves. A cell is recorded as TIMEOUT when
    it was alone, so that its pack-mates do not pay for it.
    """

    def __init__(self, store: Store, pack: Pack, seconds: float) -> None:
        self._store = store
        self._left = {cell.key: cell for cell in pack.cells if cell.key in pack.wanted}
        self._seconds = seconds
        self._fed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def feed(self, key: str | None = None) -> None:
        """There was progress; ``key`` has its record."""
        self._fed = time.monotonic()
        if key is not None:
            self._left.pop(key, None)

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() - self._fed < self._seconds:
                continue
            if len(self._left) == 1:
                message = f"no progress for {self._seconds:.0f} s"
                for cell in self._left.values():
                    commit_record(self._store, failed_record(cell, Reason.TIMEOUT, message))
            os._exit(EXIT_CODE)
