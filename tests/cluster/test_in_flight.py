from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from tests.cluster.simulated import make_packs

pytest.importorskip("ray")

from promptgrid.cluster.in_flight import FOLDER, running_packs
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder
from promptgrid.store import Store


def send(store: Store, host: str, pid: int) -> Path:
    """One work order of a driver with this process id; made at second 1,000."""
    (pack,) = make_packs({"slow": (1, 10.0)})
    path = store.root / FOLDER / f"{host}~{pid}~abc" / "trial.json"
    path.parent.mkdir(parents=True)
    WorkOrder(pack, WorkerSetup(str(store.root), "cpu", 1, stall_seconds=60.0)).write(path)
    os.utime(path, (1000, 1000))
    return path


def test_what_a_living_driver_has_sent_is_in_flight(store: Store) -> None:
    send(store, socket.gethostname(), os.getpid())
    (running,) = running_packs(store.root, now=1010.0)
    (pack,) = make_packs({"slow": (1, 10.0)})
    assert (running.keys, running.started) == (pack.wanted, 1000.0)


def test_a_driver_that_has_ended_flies_nothing(store: Store) -> None:
    send(store, socket.gethostname(), 2**22 + 1)
    assert running_packs(store.root, now=1010.0) == []


def test_elsewhere_a_pack_that_is_overdue_is_taken_for_lost(store: Store) -> None:
    send(store, "another-host", 1)
    assert len(running_packs(store.root, now=1010.0)) == 1
    assert running_packs(store.root, now=1061.0) == []


def test_an_order_that_is_half_written_is_not_there_yet(store: Store) -> None:
    path = send(store, socket.gethostname(), os.getpid())
    path.write_text(path.read_text()[:50])
    assert running_packs(store.root) == []


def test_a_search_that_tunes_beside_it_names_no_cells(store: Store) -> None:
    path = send(store, socket.gethostname(), os.getpid())
    path.with_name("study-0.json").write_text('{"suite": "{}", "entry": "{}", "label": "tuned"}')
    assert len(running_packs(store.root, now=1010.0)) == 1
