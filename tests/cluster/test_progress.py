from __future__ import annotations

import io

import pytest
from rich.console import Console

from promptgrid.cluster import progress
from promptgrid.cluster.progress import ProgressDisplay, clock
from promptgrid.cluster.timing.eta import Forecast


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=120), text


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: at[0])
    return at


def test_a_plain_line_every_ten_seconds(now: list[float]) -> None:
    where, text = console(terminal=False)
    with ProgressDisplay(4, console=where) as display:
        display.watch(lambda: Forecast(30.0, 2.0))
        display.running(2)
        assert text.getvalue() == ""
        now[0] += 10
        display.settled(failed=False)
        display.tick()
        assert text.getvalue() == "cells 1/4, 1 done, 2 packs running, 0 failed, ETA 0:30, 0:10 elapsed\n"
        now[0] += 30
        for failed in (True, False, False):
            display.settled(failed=failed)
    assert text.getvalue().splitlines()[-1] == "cells 4/4, 3 done, 2 packs running, 1 failed, 0:40 elapsed"


def test_the_end_is_unknown_while_nobody_foretells_it(now: list[float]) -> None:
    assert ProgressDisplay(4, quiet=True).remaining() is None


def test_the_end_is_asked_for_once_a_second_and_counts_down_between(now: list[float]) -> None:
    asked: list[float] = []
    display = ProgressDisplay(4, quiet=True)
    display.watch(lambda: asked.append(now[0]) or Forecast(30.0, 2.0))
    found = []
    for step in (0.0, 0.5, 0.4, 0.2):
        now[0] += step
        found.append(display.remaining())
    assert found == pytest.approx([30.0, 29.5, 29.1, 30.0])
    assert asked == pytest.approx([100.0, 101.1])


def test_a_terminal_gets_a_bar(now: list[float]) -> None:
    where, text = console(terminal=True)
    with ProgressDisplay(4, console=where) as display:
        display.settled(failed=False)
    assert "1/4" in text.getvalue()
    assert "━" in text.getvalue()


def test_quiet_is_quiet(now: list[float]) -> None:
    where, text = console(terminal=False)
    with ProgressDisplay(4, console=where, quiet=True) as display:
        now[0] += 60
        display.settled(failed=False)
    assert text.getvalue() == ""


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_phase_of_a_longer_work_stands_first(now: list[float]) -> None:
    where, text = console(terminal=False)
    with ProgressDisplay(4, console=where, phase="search 1/2, 20 trials on validation images") as display:
        now[0] += 11.0
        display.tick()
    assert text.getvalue().startswith("search 1/2, 20 trials on validation images: cells 0/4")
