"""What `plan` and `status` say about time, on a toy grid whose records carry dates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.cluster.toy.driving import toy_suite

from promptgrid import api
from promptgrid.cluster.in_flight import FOLDER
from promptgrid.contract.clip import Outcome
from promptgrid.spec import Cost, Pack, Provenance, Record, Suite
from promptgrid.store import Store

SUITE = toy_suite({"name": "sleep", "seconds": 10.0}, seeds=list(range(20)))


def ran(store: Store, suite: Suite, packs: int) -> list[Pack]:
    """The first ``packs`` packs of ``suite``, finished one after the other in 80 seconds each; those that are left."""
    planned = api.plan(suite, store).packs
    for place, pack in enumerate(planned[:packs]):
        when = Provenance(started=_text(80.0 * place), finished=_text(80.0 * (place + 1)), pack=pack.key)
        for cell in pack.cells:
            cost = Cost(train_seconds=20.0)
            store.commit(Outcome(Record(cell=cell, metrics={"accuracy": 1.0}, cost=cost, provenance=when)))
    return list(planned[packs:])


def _text(second: float) -> str:
    return datetime.fromtimestamp(1_700_000_000 + second, UTC).isoformat()


def test_a_grid_that_never_ran_has_an_estimate_but_no_eta(store: Store) -> None:
    now = api.status(SUITE, store)
    assert (now.missing, now.running, now.eta_seconds) == (40, 0, None)
    assert now.estimated_seconds == pytest.approx(400, rel=0.01)


def test_an_interrupted_grid_goes_on_at_the_pace_of_its_latest_run(store: Store) -> None:
    left = ran(store, SUITE, 4)
    now = api.status(SUITE, store)
    assert now.eta_seconds == pytest.approx(80.0 * len(left), rel=0.02)
    assert now.estimated_seconds == pytest.approx(80.0 * len(left), rel=0.02)


def test_a_finished_grid_has_nothing_left(store: Store) -> None:
    ran(store, SUITE, 10)
    now = api.status(SUITE, store)
    assert (now.missing, now.eta_seconds, now.estimated_seconds) == (0, None, 0.0)


def test_a_plan_made_before_the_run_serves_the_status_after_it(store: Store) -> None:
    planned = api.plan(SUITE, store)
    ran(store, SUITE, 10)
    assert api.status(planned, store) == api.status(SUITE, store)


def test_packs_that_workers_are_at_are_counted(store: Store) -> None:
    pytest.importorskip("ray")
    from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder

    (pack, *_) = ran(store, SUITE, 4)
    path = store.root / FOLDER / "another-host~1~abc" / "trial.json"
    path.parent.mkdir(parents=True)
    WorkOrder(pack, WorkerSetup(str(store.root), "cpu", 1, stall_seconds=60.0)).write(path)
    assert api.status(SUITE, store).running == 1
    other = toy_suite("sleep", seeds=[1])
    assert api.status(other, store).running == 0
