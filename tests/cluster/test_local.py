from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tests.cluster.toy.driving import HERE_AND_NOW, executions, log_lines, run_toy, toy_suite

from promptgrid.cluster import Options, make_plan
from promptgrid.cluster.local import LocalWorker, WorkerGone
from promptgrid.cluster.workers.stalls import stall_limit
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder
from promptgrid.spec import Pack, Reason, Refused
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

LOCAL = {"local": True, "workers": None}


def test_every_cell_once_and_a_summary(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite("sleep", "nan"), **LOCAL)
    assert (summary.done, summary.failed, summary.skipped, summary.interrupted) == (10, 2, 0, None)
    assert set(executions(store).values()) == {1}
    assert store.finished(plan.cells) | store.failures(plan.cells).keys() == plan.cells.keys()


def test_a_second_run_runs_nothing_and_says_so(store: Store) -> None:
    run_toy(store, toy_suite(), **HERE_AND_NOW)
    _, summary = run_toy(store, toy_suite(), **HERE_AND_NOW)
    assert (summary.done, summary.failed, summary.skipped) == (0, 0, 6)
    assert set(executions(store).values()) == {1}


def test_sources_before_targets_then_one_pack_of_each_method_then_the_longest(store: Store) -> None:
    suite = toy_suite("after_sleep", "sleep", {"name": "nan", "seconds": 0.05}, seeds=[1])
    _, summary = run_toy(store, suite, **HERE_AND_NOW)
    assert (summary.done, summary.failed) == (6, 0)
    started = [line.split()[2] for line in log_lines(store)]
    assert started == ["sleep", "nan", "after_sleep", "nan", "sleep", "after_sleep"]


def test_a_failed_source_gives_its_targets_a_reason(store: Store) -> None:
    suite = toy_suite({"name": "after_sleep", "broken": True}, "raise", seeds=[1])
    plan, summary = run_toy(store, suite, **HERE_AND_NOW)
    assert (summary.done, summary.failed) == (0, 4)
    failures = store.failures(plan.cells).values()
    lost = [record for record in failures if record.cell.method == "after_sleep"]
    assert {record.reason for record in lost} == {Reason.NEEDS_FAILED}
    source = next(record.cell for record in failures if record.cell.key == lost[0].cell.needs[0])
    assert lost[0].message == f"it needs cell {source.key[:12]}, which failed"
    assert make_plan(suite, store).missing == {
        record.cell.key for record in lost
    }  # tried again: a source may be mended


def test_want_of_memory_is_tried_once_more_in_the_same_run(store: Store) -> None:
    _, summary = run_toy(store, toy_suite("memory", datasets=["red"], seeds=[1]), **HERE_AND_NOW)
    assert (summary.done, summary.failed) == (0, 1)
    assert list(executions(store).values()) == [2]


def test_threads_are_one_while_it_runs_and_as_before_afterwards(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, commit = [], Store.commit
    monkeypatch.setattr(Store, "commit", lambda *given: seen.append(torch.get_num_threads()) or commit(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_toy(store, toy_suite(), **HERE_AND_NOW)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


@pytest.mark.parametrize(
    ("method", "seeds", "said"),
    [("exit", [1, 2], "the process ended with exit status 9"), ("segfault", [2], "the process was ended by SIGSEGV")],
)
def test_a_cell_that_ends_its_process_fails_alone(store: Store, method: str, seeds: list[int], said: str) -> None:
    plan, summary = run_toy(store, toy_suite(method, "sleep", datasets=["red"], seeds=seeds), **LOCAL)
    assert (summary.done, summary.failed) == (2 * len(seeds) - 1, 1)
    (record,) = store.failures(plan.cells).values()
    assert (record.cell.seed, record.reason) == (2, Reason.WORKER_LOST)
    assert record.message.endswith(said)
    assert not list((store.root / "ray").glob("*"))


def test_an_interrupt_that_a_plugin_raises_is_its_cells_failure(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite("interrupt", datasets=["red"]), **HERE_AND_NOW)
    assert (summary.done, summary.failed, summary.interrupted) == (1, 2, None)
    assert {record.reason for record in store.failures(plan.cells).values()} == {Reason.PLUGIN_ERROR}


@pytest.mark.parametrize("method", ["hang", "hold"])
def test_a_cell_that_hangs_is_ended_and_what_it_was_at_is_told(store: Store, method: str) -> None:
    """``hold`` keeps Python's lock, so that no thread of the worker could end it."""
    options = Options(mirror=False, quiet=True, stall_seconds=2.0)
    plan, summary = run_toy(store, toy_suite(method, datasets=["red"], seeds=[2]), options, **LOCAL)
    assert (summary.done, summary.failed) == (0, 1)
    (record,) = store.failures(plan.cells).values()
    assert (record.reason, record.message) == (Reason.TIMEOUT, "no progress for 2 s")
    assert "toy_track.py" in record.log_tail


def test_a_stall_limit_is_the_flags_else_the_suites_else_half_an_hour(store: Store) -> None:
    suite = toy_suite(stall_limit=30)
    (pack, *_) = make_plan(suite, store).packs
    assert Options(stall_seconds=7.0).stall_of(suite) == 7.0
    assert Options().stall_of(suite) == 30.0
    assert stall_limit(Options().stall_of(toy_suite()), pack) == 1800.0
    assert stall_limit(None, Pack(pack.cells, seconds=200.0)) == 4000.0
    with pytest.raises(Refused, match="stall_limit"):
        parse_suite(suite.model_dump() | {"stall_limit": 0}, "toy")


def test_a_worker_runs_one_order_after_another_and_is_replaced_when_it_has_gone(store: Store, tmp_path: Path) -> None:
    def write(method: str) -> Path:
        pack = make_plan(toy_suite(method, datasets=["red"], seeds=[2]), store).packs[0]
        WorkOrder(pack, WorkerSetup(str(store.root), "cpu", 1, 60.0)).write(tmp_path / f"{method}.json")
        return tmp_path / f"{method}.json"

    with LocalWorker() as worker:
        for method in ("sleep", "nan"):
            assert len(list(worker.run(write(method), lambda: None))) == 1
        with pytest.raises(WorkerGone, match="exit status 9"):
            list(worker.run(write("exit"), lambda: None))
        assert len(list(worker.run(write("raise"), lambda: None))) == 1
    pids = [int(line.split()[1]) for line in log_lines(store)]
    assert pids[0] == pids[1] == pids[2] != pids[3]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert os.getpid() not in pids


def test_a_worker_that_cannot_read_its_order_says_so(tmp_path: Path) -> None:
    with LocalWorker() as worker, pytest.raises(OSError, match="this worker does not see"):
        list(worker.run(tmp_path / "nothing.json", lambda: None))
