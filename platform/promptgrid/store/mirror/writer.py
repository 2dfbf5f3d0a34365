"""Mirroring while a grid runs: one background thread of the driver feeds MLflow as cells finish."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from promptgrid.store.mirror.mirror import Mirror, MirrorReport, problem_of, sync
from promptgrid.store.mirror.submission import Submission
from promptgrid.store.records import Store

_PAUSE = 1.0
_PART = 64  # cells between two counts of how far it is


class MirrorThread:
    """Give it keys with :meth:`add` as cells finish; :meth:`close` mirrors what is left and reports.

    The thread never raises into its owner. When MLflow fails during the grid it stops trying; ``close`` tries once
    more, over all cells. ``told`` is called from the thread with the number of cells mirrored so far.
    """

    def __init__(self, store: Store, submission: Submission, told: Callable[[int], None] = lambda cells: None) -> None:
        self._told = told
        self._mirror = Mirror(store, submission)
        self._keys: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._done = MirrorReport()
        self._last: MirrorReport | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow-mirror", daemon=True)

    def start(self) -> MirrorThread:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def add(self, key: str) -> None:
        """Say that the store holds something new about ``key``. Costs nothing."""
        self._keys.put(key)

    def close(self) -> MirrorReport:
        """Finish: every cell of the suite that the store knows is mirrored, once; what happened in all."""
        began = time.monotonic()
        self._closing.set()
        self._thread.join()
        last = self._last if self._last is not None else sync(self._mirror.store, self._mirror.submission)
        fresh = self._done.written + self._done.replaced
        last.written += self._done.written
        last.replaced += self._done.replaced
        last.unchanged = max(0, last.unchanged - fresh)
        last.seconds = time.monotonic() - began
        return last

    def _work(self) -> None:
        try:
            with self._mirror.opened(patience=0.0):
                while not self._closing.wait(_PAUSE):
                    self._drain()
                self._drain()
                last = self._mirror.write(self._mirror.labels)
                self._last = None if last.failed else last
        except Exception as error:  # noqa: BLE001 - a mirror that fails costs nothing but the mirror; close tries again
            self._done.problem = problem_of(error)

    def _drain(self) -> None:
        keys = set()
        while not self._keys.empty():
            keys.add(self._keys.get_nowait())
        if not keys:
            return
        for part in _parts(sorted(keys), _PART):
            report = self._mirror.write(part)
            self._done.written += report.written
            self._done.replaced += report.replaced
            self._done.unchanged += report.unchanged
            self._told(self._done.written + self._done.replaced + self._done.unchanged)
            if report.failed:
                raise RuntimeError(report.problem)


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    """``keys`` in parts of ``size``."""
    for first in range(0, len(keys), size):
        yield keys[first : first + size]
