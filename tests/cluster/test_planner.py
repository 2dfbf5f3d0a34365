from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.cluster.toy.driving import HERE_AND_NOW, run_toy, toy_suite
from toy_track import PACK, ToyTrack

from promptgrid.cluster import make_plan, planner
from promptgrid.cluster.dispatch import Dispatcher
from promptgrid.cluster.planner import START_SECONDS, packed_for
from promptgrid.cluster.progress import ProgressDisplay
from promptgrid.cluster.timing.cost_model import CELL_SECONDS
from promptgrid.contract.clip import Outcome
from promptgrid.spec import Cell, Cost, Machine, Pack, Reason, Record, Refused, Request
from promptgrid.store import Store


def finish(store: Store, cells: Sequence[Cell], seconds: float = 1.0) -> None:
    for cell in cells:
        record = Record(cell=cell, metrics={"accuracy": 0.5}, cost=Cost(train_seconds=seconds, eval_seconds=seconds))
        store.commit(Outcome(record))


def fail(store: Store, cell: Cell, reason: Reason) -> None:
    store.commit(Outcome(Record(cell=cell, status="failed", reason=reason)))


def test_counts_of_an_empty_store(store: Store) -> None:
    plan = make_plan(toy_suite("sleep", "raise"), store)
    found = plan.to_json()
    assert {key: found[key] for key in ("cells", "finished", "missing", "failed", "packs")} == {
        "cells": 12, "finished": 0, "missing": 12, "failed": 0, "packs": 4,
    }  # fmt: skip
    assert not store.root.exists()


def test_finished_and_failed_cells_are_not_missing(store: Store) -> None:
    cells = [cell for _, cell in make_plan(toy_suite(), store).grid]
    finish(store, cells[:2])
    fail(store, cells[2], Reason.NAN_LOSS)
    fail(store, cells[3], Reason.WORKER_LOST)
    plan = make_plan(toy_suite(), store)
    assert plan.missing == {cell.key for cell in cells[3:]}
    assert plan.failed == {cells[2].key}
    found = plan.to_json()
    assert (found["finished"], found["missing"], found["failed"]) == (2, 3, 1)
    again = make_plan(toy_suite(), store, retry_failed=True)
    assert again.missing == {cell.key for cell in cells[2:]}


def test_a_resumed_pack_keeps_its_slots_and_wants_what_is_missing(store: Store) -> None:
    before = make_plan(toy_suite(seeds=[1, 2, 3, 4]), store)
    first = before.packs[0]
    finish(store, first.cells[:1])
    after = next(pack for pack in make_plan(toy_suite(seeds=[1, 2, 3, 4]), store).packs if pack.key == first.key)
    assert after.cells == first.cells
    assert after.wanted == first.wanted - {first.cells[0].key}


def test_packs_with_nothing_to_do_are_dropped(store: Store) -> None:
    suite = toy_suite(seeds=list(range(2 * PACK)))
    packs = make_plan(suite, store).packs
    finish(store, packs[0].cells)
    assert {pack.key for pack in make_plan(suite, store).packs} == {pack.key for pack in packs[1:]}


def test_squares_that_share_a_cell_run_it_once(store: Store) -> None:
    class Careless(ToyTrack):
        """Knows no shots: cells of 1 and 4 shots are one."""

        def resolve(self, requests: Sequence[Request]) -> list[Cell]:
            return super().resolve([Request(**{**vars(request), "shots": 1}) for request in requests])

    plan = make_plan(toy_suite(shots=[1, 4]), store, track=Careless())
    assert (len(plan.grid), len(plan.missing), sum(len(pack.cells) for pack in plan.packs)) == (12, 6, 6)
    assert plan.to_json()["cells"] == plan.to_json()["missing"] == 12


def test_a_track_that_packs_a_cell_twice_is_caught(store: Store) -> None:
    class Twice(ToyTrack):
        def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
            return super().pack(cells) + super().pack(cells[:1])

    with pytest.raises(RuntimeError, match="packed 1 cells twice"):
        make_plan(toy_suite(), store, track=Twice())


def test_unknown_names_are_refused_before_anything_is_written(store: Store) -> None:
    with pytest.raises(Refused, match="unknown method"):
        make_plan(toy_suite("slep"), store)
    with pytest.raises(Refused, match="unknown track"):
        make_plan(toy_suite(track="toys"), store)
    assert not store.root.exists()


def test_a_need_that_nobody_runs_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match="neither this suite nor the store"):
        make_plan(toy_suite("after_sleep"), store)
    finish(store, [cell for _, cell in make_plan(toy_suite("sleep"), store).grid])
    assert len(make_plan(toy_suite("after_sleep"), store).missing) == 6


def test_estimates_follow_what_the_same_method_took(store: Store) -> None:
    suite = toy_suite({"name": "sleep", "seconds": 1.0}, {"name": "nan", "seconds": 1.0}, seeds=list(range(8)))
    plan = make_plan(suite, store)
    assert plan.seconds == pytest.approx(32 + 32 * CELL_SECONDS)
    slept = [pack for pack in plan.packs if pack.cells[0].method == "sleep"]
    finish(store, [cell for pack in slept for cell in pack.cells[:1]], seconds=5)
    after = make_plan(suite, store)
    by_method = {pack.cells[0].method: pack.seconds for pack in after.packs}
    pack = 40 + PACK * CELL_SECONDS
    assert by_method == pytest.approx({"sleep": pack, "nan": pack})  # nan was never measured: the overall factor
    assert after.wall_seconds(2) == pytest.approx(START_SECONDS + 4 * pack)


def test_the_plan_of_a_finished_grid_is_empty(store: Store) -> None:
    run_toy(store, toy_suite(), **HERE_AND_NOW)
    plan = make_plan(toy_suite(), store)
    assert (plan.packs, plan.missing, plan.seconds) == ((), frozenset(), 0)


@pytest.mark.parametrize("seeds", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_large_grid_is_planned_within_half_a_millisecond_a_cell(store: Store, seeds: int) -> None:
    suite = toy_suite(shots=list(range(1, 51)), seeds=list(range(seeds)))
    began = time.process_time()
    plan = make_plan(suite, store)
    spent = time.process_time() - began
    assert len(plan.missing) == 100 * seeds
    assert spent < 0.0005 * len(plan.missing)


def test_importing_the_floor_imports_neither_ray_nor_torch_nor_mlflow() -> None:
    code = "import promptgrid.cluster, sys; print([m for m in ('ray', 'torch', 'mlflow') if m in sys.modules])"
    platform = Path(__file__).parents[2] / "platform"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=platform, check=True)
    assert done.stdout.strip() == "[]"


class Larger(ToyTrack):
    """One cell a pack on a CPU, all of a group on a GPU."""

    def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
        return super().pack(cells) if machine == "cuda" else [Pack((cell,)) for cell in cells]


def test_a_plan_is_packed_again_for_another_kind_of_machine(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "track_named", lambda name: Larger())
    plan = make_plan(toy_suite(), store)
    finish(store, [next(iter(plan.cells.values()))])
    plan = make_plan(toy_suite(), store)
    again = packed_for("cuda", plan, store)
    assert (plan.machine, again.machine) == ("cpu", "cuda")
    assert len(again.packs) < len(plan.packs)
    assert again.missing == plan.missing
    assert len(again.missing) == len(plan.cells) - 1
    assert packed_for("cpu", plan, store) is plan
    dispatcher = Dispatcher(plan, store, ProgressDisplay(len(plan.missing), quiet=True))
    dispatcher.follow(again)
    taken = dispatcher.take("one")
    assert taken in again.packs
    assert taken not in plan.packs
