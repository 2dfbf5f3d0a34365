"""A guess is corrected level by level, and never by one odd record."""

from __future__ import annotations

import pytest
from tests.store.synthetic import make_cell, make_record

from promptgrid.cluster.timing.cost_model import CELL_SECONDS, CostModel, Measured, spent
from promptgrid.spec import Cell, Cost


def measured(cell: Cell, took: float, guessed: float = 1.0) -> Measured:
    return Measured(cell, guessed, took)


def many(took: float, count: int = 9, **what: str) -> list[Measured]:
    return [measured(make_cell(seed, **what), took) for seed in range(count)]


def test_nothing_measured_changes_nothing() -> None:
    assert CostModel.learn([]).factor(make_cell()) == 1.0


def test_one_record_speaks_for_all() -> None:
    model = CostModel.learn([measured(make_cell(), 4.0)])
    assert model.factor(make_cell(2, method="other", dataset="else")) == pytest.approx(4.0)


def test_methods_are_told_apart_and_a_new_dataset_is_judged_by_its_method() -> None:
    model = CostModel.learn([*many(10.0, method="slow"), *many(0.1, method="fast")])
    assert model.factor(make_cell(method="slow")) == pytest.approx(10.0, rel=0.1)
    assert model.factor(make_cell(method="fast")) == pytest.approx(0.1, rel=0.1)
    assert model.factor(make_cell(method="slow", dataset="new")) == pytest.approx(10.0, rel=0.1)


def test_a_crowd_of_cells_that_fit_nothing_says_little_of_a_method_never_seen() -> None:
    idle = [measured(make_cell(seed, method="idle"), 0.0005, guessed=0.05) for seed in range(100)]
    busy = [measured(make_cell(seed, method="busy"), 30.0, guessed=10.0) for seed in range(3)]
    model = CostModel.learn([*idle, *busy])
    assert model.factor(make_cell(method="unseen")) == pytest.approx(3.0)
    assert model.factor(make_cell(method="idle")) == pytest.approx(0.01, rel=0.1)


def test_within_a_method_a_dataset_may_be_slower() -> None:
    model = CostModel.learn([*many(1.0, dataset="small"), *many(8.0, dataset="large")])
    assert model.factor(make_cell(dataset="large")) == pytest.approx(8.0, rel=0.25)
    assert model.factor(make_cell(dataset="small")) == pytest.approx(1.0, rel=0.25)


def test_one_stalled_record_among_many_moves_nothing() -> None:
    model = CostModel.learn([*many(2.0), measured(make_cell(99), 2000.0)])
    assert model.factor(make_cell()) == pytest.approx(2.0)


def test_records_without_a_time_teach_nothing() -> None:
    assert CostModel.learn([measured(make_cell(), 0.0), measured(make_cell(), 1.0, guessed=0.0)]).corrections == {}


def test_a_pack_takes_what_its_cells_take_and_their_handling() -> None:
    cells = [make_cell(seed) for seed in (1, 2)]
    model = CostModel.learn([measured(cells[0], 3.0)])
    assert model.seconds(cells, guessed=2.0) == pytest.approx(2 * (3.0 + CELL_SECONDS))


def test_what_a_record_says_it_took() -> None:
    record = make_record(make_cell(), cost=Cost(train_seconds=2.0, eval_seconds=1.0))
    assert spent(record) == pytest.approx(3.0 + CELL_SECONDS)
