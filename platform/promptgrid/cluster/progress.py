"""What a person sees while a grid runs: cells done, running and failed, and when it will end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from promptgrid.cluster.timing.eta import Forecast

PLAIN_SECONDS = 10.0
FORECAST_SECONDS = 1.0


class ProgressDisplay:
    """Progress on stderr: a live bar on a terminal, else a plain line every ten seconds. Use as a context.

    Args:
        cells: how many cells this run is to compute.
        quiet: show nothing.
        console: where to; stderr by default.
        phase: what of a longer work this is; shown first.
    """

    def __init__(self, cells: int, *, quiet: bool = False, console: Console | None = None, phase: str = "") -> None:
        self._what = f"{phase}: cells" if phase else "cells"
        self._console = console or Console(stderr=True)
        self._cells = cells
        self._done = self._failed = self._running = 0
        self._forecast: Callable[[], Forecast | None] = lambda: None
        self._left: tuple[float, float | None] = (-math.inf, None)
        self._started = self._said = time.monotonic()
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        if self._quiet or not self._console.is_terminal:
            return self
        self._bar = Progress(
            TextColumn(self._what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("cells", total=self._cells, note="starting")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if not self._quiet:
            self._console.print(self.line(), highlight=False, soft_wrap=True)

    def running(self, packs: int) -> None:
        """So many packs are being run now."""
        self._running = packs
        self.tick()

    def settled(self, *, failed: bool) -> None:
        """One more cell has its record."""
        self._failed += failed
        self._done += not failed
        self.tick()

    def tick(self) -> None:
        """Show the present state, if it is time to."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done + self._failed, note=self._note())
        elif not self._quiet and time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            self._console.print(self.line(), highlight=False, soft_wrap=True)

    def watch(self, forecast: Callable[[], Forecast | None]) -> None:
        """Ask ``forecast`` for the end from now on."""
        self._forecast = forecast

    def remaining(self) -> float | None:
        """Seconds until the end, asked for once a second; None while nobody knows."""
        asked, left = self._left
        now = time.monotonic()
        if now - asked >= FORECAST_SECONDS:
            forecast = self._forecast()
            asked, left = now, forecast.seconds if forecast else None
            self._left = asked, left
        return None if left is None else max(0.0, left - (now - asked))

    def line(self) -> str:
        """The state in one plain line."""
        elapsed = clock(time.monotonic() - self._started)
        return f"{self._what} {self._done + self._failed}/{self._cells}, {self._note()}, {elapsed} elapsed"

    def _note(self) -> str:
        left = self.remaining()
        over = self._done + self._failed >= self._cells
        eta = [] if over else [f"ETA {clock(left)}" if left is not None else "ETA unknown"]
        return ", ".join([f"{self._done} done", f"{self._running} packs running", f"{self._failed} failed", *eta])


def clock(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
