"""F2, F5, F10: the driver of a grid is killed, stopped, or started twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.toy.driving import command, executions, log_lines, wait_for

from promptgrid.store import Store

SUITE: dict[str, Any] = {
    "name": "toy",
    "track": "toy",
    "protocol": "toy",
    "methods": [{"name": "sleep", "seconds": 0.1}, "sleep", "after_sleep", "nan"],
    "datasets": ["red", "green"],
    "shots": [1],
    "seeds": list(range(1, 11)),
}
pytestmark = pytest.mark.timeout(1800)
CELLS = 2 * 4 * 10


def start(store: Path, *how: str) -> subprocess.Popen[str]:
    line, environment = command(store, SUITE, *how)
    with store.with_suffix(".log").open("w") as log:
        return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)


def reach(process: subprocess.Popen[str], store: Store, starts: int) -> None:
    """Wait until ``starts`` cells were started in ``store`` by this and earlier drivers."""
    wait_for(lambda: process.poll() is not None or len(log_lines(store)) >= starts, 400)
    assert process.poll() is None, store.root.with_suffix(".log").read_text()[-3000:]


def answer(process: subprocess.Popen[str]) -> tuple[list[str], dict[str, Any], int]:
    """(keys that were missing at the start, summary, exit status) of a driver that ran to its end."""
    out, _ = process.communicate(timeout=900)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return lines[0]["missing"], lines[-1], process.returncode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The scores of the grid when nothing happens to it."""
    _, summary, status = answer(start(tmp_path_factory.mktemp("undisturbed") / "store", "--local"))
    assert (summary["done"], summary["failed"], status) == (CELLS - 2, 2, 1)
    return str(summary["digest"])


def test_f2_a_killed_driver_loses_nothing_and_runs_nothing_twice(tmp_path: Path, undisturbed: str) -> None:
    store = Store(tmp_path / "store")
    moments = sorted(random.Random(int.from_bytes(os.urandom(4))).sample(range(2, CELLS - 10), 3))
    finished_before: set[str] = set()
    for moment in moments:
        process = start(store.root)
        reach(process, store, moment)
        process.kill()
        process.wait()
        time.sleep(1.0)  # its Ray notices and ends its workers
        finished_before = set(store.keys())
    runs_before = executions(store)
    missing, summary, _ = answer(start(store.root))
    runs_after = executions(store)
    assert not [key for key in finished_before if runs_after[key] != runs_before[key]], f"killed at {moments}"
    assert not finished_before & set(missing)
    assert summary["digest"] == undisturbed
    assert len(set(store.keys())) == CELLS - 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_f5_a_signal_stops_the_grid_within_ten_seconds(tmp_path: Path, number: int, undisturbed: str) -> None:
    store = Store(tmp_path / "store")
    process = start(store.root)
    reach(process, store, 5)
    began = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + number
    finished = set(store.keys())
    assert len(finished) < CELLS - 2
    assert not list((store.root / "ray").glob("*"))
    missing, summary, _ = answer(start(store.root, "--local"))
    assert set(missing).isdisjoint(finished)
    assert summary["digest"] == undisturbed


def test_f5_a_signal_stops_a_local_run_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    process = start(store.root, "--local")
    reach(process, store, 5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130


def test_f10_two_drivers_at_once_commit_every_cell_once(tmp_path: Path, undisturbed: str) -> None:
    store = Store(tmp_path / "store")
    both = [start(store.root, "--local"), start(store.root)]
    answers = [answer(process) for process in both]
    assert {summary["digest"] for _, summary, _ in answers} == {undisturbed}
    assert len(set(store.keys())) == CELLS - 2
