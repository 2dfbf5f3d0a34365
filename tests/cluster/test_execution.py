from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from tests.cluster.toy.driving import SILENT, run_toy, toy_suite

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.cluster import mirror_process as mirroring
from promptgrid.cluster.stopping import Halt, StopSignals
from promptgrid.spec import Refused
from promptgrid.store import Store


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"workers": 0}, "no workers"),
        ({"local": True, "address": "auto"}, "--local runs one worker beside this process"),
        ({"local": True, "workers": 2}, "--local runs one worker beside this process"),
        ({"options": Options(threads=0)}, "no threads"),
        ({"options": Options(device="tpu")}, "unknown device"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(store: Store, how: dict[str, Any], said: str) -> None:
    plan = make_plan(toy_suite(), store)
    with pytest.raises(Refused, match=said):
        execute(plan, store, **({"options": SILENT} | how))
    assert not store.root.exists()


def test_a_bad_bound_of_the_cache_is_refused_before_any_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(toy_suite(), store)
    monkeypatch.setenv("PROMPTGRID_CACHE_SIZE", "20Go")
    with pytest.raises(Refused, match="PROMPTGRID_CACHE_SIZE"):
        execute(plan, store, workers=1, options=SILENT)
    assert not store.root.exists()


def test_a_track_that_leaves_cells_out_of_the_count_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptgrid.cluster import local

    monkeypatch.setattr(local, "run_local", lambda *given, **how: None)
    with pytest.raises(RuntimeError, match="6 cells were left over"):
        run_toy(store, toy_suite(), local=True, workers=None)


def test_the_end_of_a_run_waits_a_minute_for_mlflow(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Patient:
        def __init__(self, *given: Any, **how: Any) -> None:
            self.told: list[str] = []

        def add(self, key: str) -> None:
            self.told.append(key)

        def close(self, seconds: float) -> mirroring.Mirrored:
            waited.append(seconds)
            return mirroring.Mirrored(len(self.told))

        def kill(self) -> None: ...

    monkeypatch.setattr(mirroring, "MirrorProcess", Patient)
    _, first = run_toy(store, toy_suite(), Options(quiet=True, inline=True), local=True, workers=None)
    run_toy(store, toy_suite(), Options(quiet=True, inline=True, mirror_seconds=7.0), local=True, workers=None)
    assert waited == [60.0, 7.0]
    assert first.mirror == mirroring.Mirrored(6)


def test_signals_are_counted_and_handlers_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        signals.check()
        signal.raise_signal(signal.SIGTERM)
        assert signals.number == signal.SIGTERM
        with pytest.raises(Halt):
            signals.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_at_once_means_in_the_handler() -> None:
    with StopSignals() as signals:
        signals.at_once = True
        with pytest.raises(Halt):
            signal.raise_signal(signal.SIGINT)
    assert signals.number == signal.SIGINT


def test_a_grid_may_run_outside_the_main_thread(store: Store) -> None:
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(run_toy(store, toy_suite(), local=True, workers=None)[1].done))
    thread.start()
    thread.join()
    assert done == [6]
