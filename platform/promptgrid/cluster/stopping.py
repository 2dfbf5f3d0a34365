"""Ending early and cleanly: what SIGINT and SIGTERM do to a running grid."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Halt(BaseException):
    """Leave the grid now. Not an Exception, so that neither Tune nor a plug-in takes it for a failure.

    Attributes:
        trouble: why, where it was not a signal.
    """

    def __init__(self, trouble: Exception | None = None) -> None:
        super().__init__(trouble)
        self.trouble = trouble


class StopSignals:
    """While inside, SIGINT and SIGTERM ask for a stop; a second one interrupts whatever is going on.

    Outside the main thread (where Python delivers no signals) it does nothing.

    Attributes:
        number: the signal that asked for the stop, None so far.
        at_once: raise :class:`Halt` in the handler itself. Commits are atomic, so any moment is a good one.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def install(self) -> None:
        """Set the handlers (again, after a library has put its own in their place)."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            handler = signal.signal(number, self._handle)
            self._before.setdefault(number, handler)

    def check(self) -> None:
        """Raise :class:`Halt` if a stop was asked for."""
        if self.number is not None:
            raise Halt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        if self.at_once:
            raise Halt
