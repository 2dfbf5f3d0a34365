"""Totals of a submission: means of whole rows, under names that MLflow takes and no two rows share."""

from __future__ import annotations

import pytest
from tests.store.synthetic import make_cell, make_failure, make_record

from promptgrid.store.mirror.summary import Totals


def test_a_mean_is_over_datasets_of_means_over_seeds() -> None:
    cells = [make_cell(seed, dataset=name) for name, seeds in (("a", (1, 2, 3)), ("b", (1,))) for seed in seeds]
    totals = Totals([("CoOp", cell) for cell in cells])
    scores = [0.1, 0.2, 0.3, 0.8]
    totals.add([make_record(cell, metrics={"accuracy": s}) for cell, s in zip(cells, scores, strict=True)] * 2)
    found = totals.metrics()
    assert found["mean/accuracy/CoOp 4 shots"] == pytest.approx((0.2 + 0.8) / 2)
    assert found["cells/finished"] == 4


def test_a_row_that_lacks_a_cell_has_no_mean() -> None:
    cells = [make_cell(1), make_cell(2)]
    totals = Totals([("CoOp", cell) for cell in cells])
    totals.add([make_record(cells[0]), make_failure(cells[1])])
    assert totals.metrics() == {"cells/finished": 1, "cells/failed": 1}


def test_names_that_mlflow_would_take_for_one_are_kept_apart() -> None:
    first, second = make_cell(1), make_cell(2)
    totals = Totals([("LP++", first), ("LP__", second)])
    totals.add([make_record(first, metrics={"accuracy": 0.25}), make_record(second, metrics={"accuracy": 0.5})])
    means = {name: value for name, value in totals.metrics().items() if name.startswith("mean/accuracy")}
    assert sorted(means.values()) == [0.25, 0.5]
