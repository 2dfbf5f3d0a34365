import dataclasses

import pytest

from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.pictures.costs import Point, frontier
from promptgrid.leaderboard.sections import caveats
from promptgrid.leaderboard.sections.cost import costs, facts


def test_the_frontier_holds_what_nothing_cheaper_beats():
    points = [Point("free", 0, 0.4), Point("good", 10, 0.6), Point("worse", 20, 0.5), Point("best", 30, 0.9)]
    assert frontier(points, 1) == ["free", "good", "best"]
    assert frontier(points, -1) == ["free"]
    assert frontier([Point("a", 1, 0.5), Point("b", 1, 0.7)], 1) == ["b"]


def test_only_cells_of_one_machine_are_compared(make_report):
    report = make_report(shots=(16,))  # seeds 1 and 2 on node-a, 3 on node-b
    board = build_board(report)
    found = costs(board.leaderboards[0])
    assert found.machine == "cpu of node-a, 1 thread"
    assert found.machines == 2
    seconds = {one.label: one.cost for one in found.points["train_seconds"]}
    own = [
        planned.record.cost.train_seconds
        for planned in board.grid
        if planned.label == "coop" and planned.record.provenance.host == "node-a"
    ]
    assert seconds["coop"] == pytest.approx(sorted(own)[len(own) // 2 - 1] / 2 + sorted(own)[len(own) // 2] / 2)
    assert facts(board)["parts"][0]["frontier"]["trainable_parameters"][0] == "zero_shot"


def test_what_to_know_before_citing(make_report):
    report = dataclasses.replace(
        make_report(seeds=(1, 2), shots=(16,)),
        seen={"digits": "seen"},
        parities={"coop": {"result": "mended", "said": "mended since", "note": ""}},
    )
    told = caveats.facts(build_board(report))["told"]
    assert told["The pretraining saw"] == ["digits: seen"]
    assert told["Not compared with the authors’ code since"] == ["coop: mended since"]
    assert told["Few seeds"] == ["2 seeds: intervals rest on the spread pooled over all datasets"]
    alone = dataclasses.replace(make_report(seeds=(1, 2, 4)), parities={})
    assert "Few seeds" not in (caveats.facts(build_board(alone)) or {"told": {}})["told"]


def test_what_a_first_stage_took_is_a_column_where_a_row_has_one(make_report):
    plain = make_report(shots=(16,), seeds=(1,))
    spent = {
        key: record.model_copy(update={"metrics": record.metrics | {"stage_one_examples": 16_000.0}})
        if record.cell.method == "coop"
        else record
        for key, record in plain.records.items()
    }
    (board,), (with_it,) = (
        build_board(report).leaderboards for report in (plain, dataclasses.replace(plain, records=spent))
    )
    assert "stage_one_examples" not in [column.key for column in shown_columns(board)]
    (column,) = [column for column in shown_columns(with_it) if column.key == "stage_one_examples"]
    entries = {row.label: column.entry(row) for row in with_it.rows}
    assert entries["coop"].value == 16_000
    assert entries["kgcoop"].value is None
