"""Every rule about rows, each broken alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import results_frame
from promptgrid.leaderboard.contributed.checks import Grid, rows_of, wrong_rows, wrong_scores_digest
from promptgrid.spec import Reason, scores_digest

REPORT = make_report(methods=["zero_shot", "coop"], datasets=["digits", "flags"], shots=(1,), seeds=(1, 2))
GRID = Grid({"few_shot"}, [1, 2], [1], ["bundled"], ["digits", "flags"], {"coop": "coop"})


def rows() -> list[dict[str, Any]]:
    return rows_of(results_frame(REPORT))


def found(changed: list[dict[str, Any]], grid: Grid | None = GRID) -> list[str]:
    return [f"{one.kind} {one.line}" for one in wrong_rows(changed, grid)]


def test_rows_of_a_report_hold() -> None:
    assert found(rows()) == []
    digest = scores_digest(REPORT.records.values())
    assert wrong_scores_digest(rows(), digest) == []
    assert [one.kind for one in wrong_scores_digest(rows()[1:], digest)] == ["digest"]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"value": 1.2}, "range", "accuracy is 1.2, expected 0 to 1"),
        ({"value": None}, "range", "accuracy is None"),
        ({"train_seconds": -1.0}, "range", "train_seconds is -1.0"),
        ({"status": "great"}, "schema", "expected done or failed"),
        ({"status": "missing", "value": None}, "seed", "has not run"),
        ({"status": "failed"}, "schema", "failed, with value"),
        ({"reason": "NAN_LOSS"}, "schema", "done, with the reason 'NAN_LOSS'"),
        ({"settings": "{'a': 1}"}, "schema", "no canonical JSON"),
        ({"settings": '{"b":1,"a":[2]}'}, "schema", "no canonical JSON"),
        ({"label": "=HYPERLINK(1)"}, "schema", "no name that a table can show"),
        ({"label": "co\u202eop"}, "schema", "no name that a table can show"),
        ({"cell_key": "c1"}, "key", "no key of 64 hex digits"),
        ({"seed": 9}, "seed", "seed 9 is none of the suite's: 1, 2"),
        ({"shots": 3}, "suite", "shots 3 is none of the suite's: 1"),
        ({"dataset": "mnist"}, "suite", "dataset 'mnist' is none of the suite's"),
        ({"backbone": "huge"}, "suite", "backbone 'huge'"),
        ({"protocol": "base_to_new"}, "suite", "protocol 'base_to_new'"),
        ({"method": "imported:CoOp"}, "suite", "was imported from another tool"),
        ({"label": "coop"}, "suite", "gives the label 'coop' to 'coop', not 'zero_shot'"),
    ],
)
def test_a_row_that_is_wrong_is_named(change: dict[str, Any], kind: str, said: str) -> None:
    changed = rows()
    changed[0] |= change
    lines = [line for line in found(changed) if said in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{kind} {kind}: row 1 (")


def test_a_failed_cell_is_no_finding() -> None:
    changed = rows()
    changed[0] |= {"status": "failed", "value": None, "reason": Reason.NAN_LOSS.value}
    assert found(changed) == []


def test_a_row_stands_once() -> None:
    repeated = found([*rows(), rows()[0]])
    assert len(repeated) == 1
    assert repeated[0].startswith("duplicate duplicate: row 17 (")
    assert "row 1 is about the same cell and metric" in repeated[0]


def test_one_key_is_one_cell_with_one_value() -> None:
    changed = rows()
    changed[2] |= {"cell_key": changed[0]["cell_key"]}
    lines = found(changed)
    assert any("of row 1, which differs in seed" in line for line in lines)
    again = rows()
    again.append(again[0] | {"label": "a copy", "value": 0.999})
    assert any("row 1 has" in line and "for the same cell" in line for line in found(again))


def test_the_best_seed_alone_is_found() -> None:
    kept = [row for row in rows() if not (row["label"] == "coop" and row["seed"] == 2)]
    assert found(kept) == [
        "seed seed: coop on digits, 1 shots, bundled: no row of seed 2",
        "seed seed: coop on flags, 1 shots, bundled: no row of seed 2",
    ]


def test_without_a_grid_each_row_stands_for_itself() -> None:
    assert found([rows()[0], rows()[0]], grid=None) == []
