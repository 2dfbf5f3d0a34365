from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.cluster.toy.driving import executions, log_lines, run_toy, toy_suite, wait_for

from promptgrid.cluster import Options, make_plan
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder
from promptgrid.spec import Reason
from promptgrid.store import Store

pytestmark = pytest.mark.usefixtures("ray_here")
SUITE = ("sleep", "after_sleep", "nan", "raise")


def workers_seen(store: Store) -> set[str]:
    return {line.split()[1] for line in log_lines(store)}


def test_one_two_and_no_workers_of_ray_give_the_same_scores(tmp_path: Path) -> None:
    digests = set()
    for name, how in {"local": {"local": True, "workers": None}, "one": {"workers": 1}, "two": {"workers": 2}}.items():
        store = Store(tmp_path / name)
        plan, summary = run_toy(store, toy_suite(*SUITE), **how)
        assert (summary.done, summary.failed) == (16, 8)
        assert set(executions(store).values()) == {1}
        assert str(os.getpid()) not in workers_seen(store) or name == "local"
        assert not list((store.root / "ray").glob("*"))
        digests.add(store.scores_digest(plan.cells))
    assert len(digests) == 1


def test_actors_are_used_again_and_both_workers_work(store: Store) -> None:
    run_toy(store, toy_suite({"name": "sleep", "seconds": 0.2}, seeds=list(range(16))), workers=2)
    assert len(workers_seen(store)) == 2
    assert set(executions(store).values()) == {1}


def test_sources_run_before_targets(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite("after_sleep", "sleep"), workers=2)
    assert (summary.done, summary.failed) == (12, 0)
    order = {line.split()[0]: place for place, line in enumerate(log_lines(store))}
    targets = [cell for cell in plan.cells.values() if cell.needs]
    assert len(targets) == 6
    assert all(order[cell.needs[0]] < order[cell.key] for cell in targets)


def test_a_failed_source_gives_its_targets_a_reason(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite({"name": "after_sleep", "broken": True}, "raise", seeds=[1]))
    assert (summary.done, summary.failed) == (0, 4)
    reasons = {record.cell.method: record.reason for record in store.failures(plan.cells).values()}
    assert reasons == {"after_sleep": Reason.NEEDS_FAILED, "raise": Reason.PLUGIN_ERROR}


def test_a_cell_that_ends_its_process_fails_alone(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite("exit", "exit_once", "sleep", datasets=["red"]), workers=2)
    assert (summary.done, summary.failed) == (8, 1)
    (record,) = store.failures(plan.cells).values()
    assert (record.cell.method, record.cell.seed, record.reason) == ("exit", 2, Reason.WORKER_LOST)


def test_a_cell_that_hangs_is_ended_and_its_slot_is_free_again(store: Store) -> None:
    options = Options(mirror=False, quiet=True, stall_seconds=3.0)
    plan, summary = run_toy(store, toy_suite("hang", datasets=["red"], seeds=[2]), options, workers=1)
    assert (summary.done, summary.failed) == (0, 1)
    (record,) = store.failures(plan.cells).values()
    assert (record.reason, record.message) == (Reason.TIMEOUT, "no progress for 3 s")
    _, summary = run_toy(store, toy_suite("sleep"), workers=1)
    assert summary.done == 6


def test_a_killed_worker_costs_nothing_that_was_finished(store: Store) -> None:
    suite = toy_suite({"name": "sleep", "seconds": 0.15}, seeds=list(range(20)))
    killed: list[int] = []

    def kill() -> None:
        for after in (6, 16, 26):
            wait_for(lambda after=after: len(log_lines(store)) >= after)
            pid = int(log_lines(store)[-1].split()[1])  # a process of our own Ray, at work this moment
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    murderer = threading.Thread(target=kill)
    murderer.start()
    plan, summary = run_toy(store, suite, workers=2)
    murderer.join()
    assert len(killed) == 3
    assert (summary.done, summary.failed) == (40, 0)
    again = [key for key, times in executions(store).items() if times > 1]
    assert len(again) <= 3  # only what was running when its worker was killed
    assert store.finished(plan.cells) == plan.cells.keys()


def test_a_store_that_workers_cannot_see_ends_the_run_with_advice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkOrder, "write", lambda self, path: None)
    with pytest.raises(OSError, match="folder that all machines of the cluster share"):
        run_toy(store, toy_suite())
    assert make_plan(toy_suite(), store).missing


def test_a_work_order_survives_its_file(store: Store, tmp_path: Path) -> None:
    pack = make_plan(toy_suite("sleep"), store).packs[0]
    order = WorkOrder(pack, WorkerSetup(str(store.root), "cpu", 1, 60.0))
    order.write(tmp_path / "order.json")
    assert WorkOrder.read(tmp_path / "order.json") == order
