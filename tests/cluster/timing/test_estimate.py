"""What earlier cells took corrects what later packs are expected to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.cluster.simulated import whole
from tests.store.synthetic import make_cell, make_outcome
from toy_track import ToyTrack

from promptgrid.cluster.timing.cost_model import CELL_SECONDS
from promptgrid.cluster.timing.estimate import corrected, here, scouts, spread
from promptgrid.spec import Cell, Cost, Machine, Pack, Provenance, Record, Refused
from promptgrid.store import Store


class Guessing(ToyTrack):
    """Guesses one second a cell; knows no dataset called ``gone``."""

    name = "image"

    def pack(self, cells: Any, machine: Machine = "cpu") -> list[Pack]:
        if any(cell.dataset == "gone" for cell in cells):
            raise Refused("unknown dataset")
        return [whole((cell,), 1.0) for cell in cells]


def finish(store: Store, cell: Cell, device: str = "", seconds: float = 4.0, **when: Any) -> Record:
    """Commit ``cell``: 4 seconds, 3,000 MB, on ``device``."""
    cost = Cost(train_seconds=seconds, peak_memory_mb=3000.0)
    outcome = make_outcome(cell, cost=cost, provenance=Provenance(device=device, **when))
    store.commit(outcome)
    return outcome.record


@pytest.mark.parametrize(("device", "memory"), [("NVIDIA H100 80GB HBM3", 3000.0), ("cpu: Xeon", 1500.0)])
def test_memory_measured_on_a_gpu_replaces_the_guess(store: Store, device: str, memory: float) -> None:
    packs = [replace(whole((make_cell(seed),), 1.0), gpu_memory_mb=1500.0) for seed in (1, 2)]
    finish(store, packs[0].cells[0], device)
    found, _ = corrected(packs, store, {packs[0].cells[0].key}, Guessing())
    assert [pack.gpu_memory_mb for pack in found] == [memory, memory]
    assert [pack.seconds for pack in found] == pytest.approx([4.0 + CELL_SECONDS] * 2)


def test_nothing_measured_leaves_the_guess_and_adds_the_handling(store: Store) -> None:
    pack = replace(whole((make_cell(),), 1.0), gpu_memory_mb=1500.0)
    expected = [replace(pack, seconds=1.0 + CELL_SECONDS)]
    assert corrected([pack], store, set(), Guessing()) == (expected, frozenset({pack.key}))


def test_records_of_other_plans_teach_where_the_plan_has_none(store: Store) -> None:
    finish(store, make_cell(7, dataset="elsewhere"))
    finish(store, make_cell(8, method="another"), seconds=100.0)
    finish(store, make_cell(9, dataset="gone"), seconds=100.0)
    (found,), _ = corrected([whole((make_cell(),), 1.0)], store, set(), Guessing())
    assert found.seconds == pytest.approx(4.0 + CELL_SECONDS)


def test_the_plans_own_records_are_enough_once_there_are_some(store: Store) -> None:
    packs = [whole((make_cell(seed),), 1.0) for seed in range(10)]
    for pack in packs[:9]:
        finish(store, pack.cells[0])
    finish(store, make_cell(7, dataset="elsewhere"), seconds=4000.0)
    done = {pack.cells[0].key for pack in packs[:9]}
    (found,), _ = corrected(packs[9:], store, done, Guessing(), packs)
    assert found.seconds == pytest.approx(4.0 + CELL_SECONDS)


def test_only_the_kind_of_device_used_last_counts(store: Store) -> None:
    slow = finish(store, make_cell(1), "cpu: Xeon", finished="2026-01-01T00:00:00+00:00")
    fast = finish(store, make_cell(2), "NVIDIA H100", finished="2026-01-02T00:00:00+00:00")
    assert here([slow, fast]) == [fast]
    assert here([]) == []


def test_a_sample_is_spread_from_first_to_last() -> None:
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread(range(3), 4) == [0, 1, 2]


def test_the_shortest_pack_of_each_unknown_method_scouts() -> None:
    packs = [whole((make_cell(seed, method=method),), 10.0 - seed) for method in ("old", "new") for seed in (1, 2)]
    assert scouts(packs, {("old", "bundled")}) == {packs[3].key}
