"""Which learned states are kept: up to the suite's bound, all that a study of transfer starts from, never unsaid."""

from __future__ import annotations

import shutil
from collections import namedtuple
from typing import Any

import pytest
from tests.cluster.toy.driving import INLINE, executions, toy_suite

import promptgrid
from promptgrid.cluster import execute, make_plan
from promptgrid.cluster.dispatch import Dispatcher
from promptgrid.cluster.planner import track_named
from promptgrid.cluster.progress import ProgressDisplay
from promptgrid.cluster.states import States
from promptgrid.spec import Refused, Suite
from promptgrid.spec.suite import STATES_MB
from promptgrid.store import Store

SMALL = 4 / 1e6
"""MB of what a toy learns: one number of float32."""


def ran(store: Store, suite: Suite) -> int:
    """How many cells a run of ``suite`` found missing."""
    plan = make_plan(suite, store)
    summary = execute(plan, store, local=True, options=INLINE)
    assert (summary.done, summary.failed) == (len(plan.missing), 0)
    return len(plan.missing)


def kept(store: Store) -> list[int]:
    """How many arrays each cell left behind."""
    return [len(store.state(record.cell.key)) for record in store.records()]


@pytest.mark.parametrize(
    ("states", "arrays"), [("all", 1), ("none", 0), (SMALL, 1), (SMALL / 2, 0), (STATES_MB, 1), (0, 0)]
)
def test_states_are_kept_up_to_the_bound(store: Store, states: Any, arrays: int) -> None:
    ran(store, toy_suite(states=states))
    assert set(kept(store)) == {arrays}
    assert {store.left_out(record.cell.key) is None for record in store.records()} == {arrays == 1}


def test_what_was_left_out_is_run_again_where_every_state_is_kept_and_only_there(store: Store) -> None:
    cells = ran(store, toy_suite(states="none"))
    before = {record.cell.key: record.metrics for record in store.records()}
    assert ran(store, toy_suite()) == 0
    assert ran(store, toy_suite(states="all")) == cells
    assert ran(store, toy_suite(states="all")) == 0
    assert set(executions(store).values()) == {2}
    assert set(kept(store)) == {1}
    assert {record.cell.key: record.metrics for record in store.records()} == before
    assert not list((store.root / "temporary").iterdir())
    assert not (store.root / "quarantine").exists()


def test_a_state_that_is_there_stays(store: Store) -> None:
    ran(store, toy_suite())
    ran(store, toy_suite(states="none"))
    assert set(kept(store)) == {1}


def test_a_study_of_transfer_keeps_what_its_targets_start_from() -> None:
    assert toy_suite(states="none").states_mb == 0.0
    assert toy_suite(states="none", sources=["red"]).states_mb is None
    assert toy_suite().states_mb == STATES_MB


def test_a_learned_method_that_was_not_kept_says_what_to_do(store: Store) -> None:
    ran(store, toy_suite(states="none"))
    with pytest.raises(Refused, match=r"not kept.*`states: all`"):
        promptgrid.load_method(store.records()[0], store)


def test_a_target_does_not_start_from_a_source_whose_state_was_left_out(store: Store) -> None:
    sources = ran(store, toy_suite("sleep", states="none"))
    plan = make_plan(toy_suite("sleep", "after_sleep", states="all"), store)
    assert len(plan.missing) == 2 * sources, "each source again, and its target"
    dispatcher = Dispatcher(plan, store, ProgressDisplay(len(plan.missing), quiet=True))
    taken = [pack for place in range(len(plan.packs)) if (pack := dispatcher.take(str(place))) is not None]
    assert {cell.method for pack in taken for cell in pack.cells} == {"sleep"}, "a target waits for its source"


def test_a_run_is_refused_on_a_disk_without_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    track = track_named("toy")
    monkeypatch.setattr(type(track), "state_mb", lambda self, cell: 60.0)
    plan = make_plan(toy_suite(), store)
    assert plan.states == States(60.0 * len(plan.missing), 0)
    assert plan.to_json()["states_mb"] == 60.0 * len(plan.missing)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=100 * 10**6))
    with pytest.raises(Refused, match=r"no room.*100.0 MB free.*360.0 MB"):
        execute(plan, store, local=True, options=INLINE)
    small = make_plan(toy_suite(states=10), store)
    assert small.states == States(0.0, len(plan.missing))
    assert execute(small, store, local=True, options=INLINE).failed == 0


def test_a_crash_between_two_records_leaves_one_to_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(store, toy_suite(states="none"))
    monkeypatch.setenv("PROMPTGRID_FAILPOINT", "manifest:raise")
    with pytest.raises(OSError, match="failpoint"):
        execute(make_plan(toy_suite(states="all"), store), store, local=True, options=INLINE)
    assert set(kept(store)) == {0}, "the new one was not whole, so the old one is there"
