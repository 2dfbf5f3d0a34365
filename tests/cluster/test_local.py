from __future__ import annotations

import torch
from tests.cluster.toy.driving import executions, log_lines, run_toy, toy_suite

from promptgrid.cluster import make_plan
from promptgrid.spec import Reason
from promptgrid.store import Store

LOCAL = {"local": True, "workers": None}


def test_every_cell_once_and_a_summary(store: Store) -> None:
    plan, summary = run_toy(store, toy_suite("sleep", "nan"), **LOCAL)
    assert (summary.done, summary.failed, summary.skipped, summary.interrupted) == (10, 2, 0, None)
    assert set(executions(store).values()) == {1}
    assert store.finished(plan.cells) | store.failures(plan.cells).keys() == plan.cells.keys()


def test_a_second_run_runs_nothing_and_says_so(store: Store) -> None:
    run_toy(store, toy_suite(), **LOCAL)
    _, summary = run_toy(store, toy_suite(), **LOCAL)
    assert (summary.done, summary.failed, summary.skipped) == (0, 0, 6)
    assert set(executions(store).values()) == {1}


def test_sources_before_targets_then_one_pack_of_each_method_then_the_longest(store: Store) -> None:
    suite = toy_suite("after_sleep", "sleep", {"name": "nan", "seconds": 0.05}, seeds=[1])
    _, summary = run_toy(store, suite, **LOCAL)
    assert (summary.done, summary.failed) == (6, 0)
    started = [line.split()[2] for line in log_lines(store)]
    assert started == ["sleep", "nan", "after_sleep", "nan", "sleep", "after_sleep"]


def test_a_failed_source_gives_its_targets_a_reason(store: Store) -> None:
    suite = toy_suite({"name": "after_sleep", "broken": True}, "raise", seeds=[1])
    plan, summary = run_toy(store, suite, **LOCAL)
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
    _, summary = run_toy(store, toy_suite("memory", datasets=["red"], seeds=[1]), **LOCAL)
    assert (summary.done, summary.failed) == (0, 1)
    assert list(executions(store).values()) == [2]


def test_threads_are_one_while_it_runs_and_as_before_afterwards(store: Store) -> None:
    seen = []

    class Watching(Store):
        def commit(self, outcome):  # type: ignore[no-untyped-def]
            seen.append(torch.get_num_threads())
            return super().commit(outcome)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_toy(Watching(store.root), toy_suite(), **LOCAL)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
