"""Accuracy against queries: curves from the records, the picture with both axes, the table beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.analysis.queries import QueryCurve, query_curves, unasked
from promptgrid.leaderboard.leaderboard import Board, build_board
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.leaderboard.report import report_files
from promptgrid.spec import Cell, Reason, Record

HOSTILE = "</script><b>$blackvip$"
METHODS = ["zero_shot", {"name": "bar"}, {"name": "blackvip", "label": HOSTILE}]
DATASETS = ["digits", "fashion"]


def curves_of(cell: Cell) -> dict[str, list[float]]:
    """Four epochs; ``fashion`` has twice the images, and each seed a validation score of its own."""
    each = 1000.0 if cell.dataset == "digits" else 2000.0
    asked = [each * epoch for epoch in (1, 2, 3, 4)]
    scores = [0.1 * epoch + 0.01 * cell.seed for epoch in (1, 2, 3, 4)]
    return {"train_loss": [1.0] * 4, "queries": asked, "val_queries": asked, "val_accuracy": scores}


def asked_report(curves: Any = curves_of, **changes: Any) -> ReportInput:
    report = make_report(METHODS, DATASETS, shots=(16,), seeds=(1, 2), **changes)
    records = {
        key: record if record.cell.method == "zero_shot" else record.model_copy(update={"curves": curves(record.cell)})
        for key, record in report.records.items()
    }
    return replace(report, records=records)


def found(report: ReportInput) -> tuple[Board, list[QueryCurve]]:
    board = build_board(report)
    return board, query_curves(board, board.leaderboards[0])


def test_curves_are_means_over_seeds_of_each_method_and_dataset() -> None:
    report = asked_report()
    _, curves = found(report)
    assert [(curve.label, curve.dataset) for curve in curves] == [
        (label, dataset) for label in ("bar", HOSTILE) for dataset in DATASETS
    ]
    second = curves[1]
    assert second.queries == (2000.0, 4000.0, 6000.0, 8000.0)
    assert second.asked == 8000.0
    assert second.validation == pytest.approx((0.115, 0.215, 0.315, 0.415))
    tests = [
        record.metrics["accuracy"]
        for record in report.records.values()
        if (record.cell.method, record.cell.dataset) == ("bar", "fashion")
    ]
    assert len(tests) == 2
    assert second.test == pytest.approx(sum(tests) / 2)


def test_a_share_of_the_queries_has_the_last_checkpoint_within_it() -> None:
    curve = QueryCurve("bar", "digits", (100.0, 200.0, 300.0), (0.1, 0.2, 0.3), 300.0, 0.5)
    assert [curve.at(share) for share in (0.25, 0.5, 0.7, 1.0)] == [None, 0.1, 0.2, 0.3]


def test_what_is_not_finished_is_left_out_and_no_validation_leaves_the_end() -> None:
    whole = asked_report(curves=lambda cell: {"queries": [500.0, 1000.0]} if cell.dataset == "digits" else {})
    _, curves = found(whole)
    assert [(curve.dataset, curve.queries, curve.asked) for curve in curves] == [("digits", (), 1000.0)] * 2
    assert curves[0].at(1.0) is None
    gone = {key for key, record in whole.records.items() if record.cell.method == "bar" and record.cell.seed == 2}
    kept = {key: record for key, record in whole.records.items() if key not in gone}
    failed = {
        key: Record(cell=whole.records[key].cell, status="failed", reason=Reason.NAN_LOSS, message="gone")
        for key in gone
    }
    _, curves = found(replace(whole, records=kept, failures=failed))
    (one,) = [record for record in kept.values() if (record.cell.method, record.cell.dataset) == ("bar", "digits")]
    assert curves[0].test == one.metrics["accuracy"]


def test_zero_shot_asks_nothing_and_is_what_gains_are_counted_from() -> None:
    report = asked_report()
    board, curves = found(report)
    flat = unasked(board, board.leaderboards[0])
    assert list(flat) == ["zero_shot"]
    told = json.loads(report_files(board)["report.json"])["queries"]
    plain, bar, _ = told["parts"][0]["rows"]
    assert (plain["asks"], plain["queries"], plain["validation"]) == (False, 0.0, [None] * 3)
    assert bar["queries"] == 6000.0
    assert bar["validation"] == pytest.approx([0.115, 0.215, 0.415])
    wanted = sum(curve.test - flat["zero_shot"][curve.dataset] for curve in curves[:2]) / 2
    assert bar["gain"] == pytest.approx(wanted)


def test_the_section_shows_picture_and_table_and_is_written_alike_twice() -> None:
    first, second = (report_files(build_board(asked_report())) for _ in range(2))
    assert first == second
    page = first["report.html"].decode()
    picture = pictures(page)["queries_16shot.svg"]
    assert 'id="queries"' in page
    assert "<b>$blackvip$" not in page
    assert "<b>$blackvip$" not in picture
    for said in ("queries (images asked about)", "accuracy (%)", "digits", "fashion", "zero_shot", "bar"):
        assert said in picture
        assert said in page
    assert "6,000" in page


def test_the_caption_says_whether_validation_chose() -> None:
    report = asked_report()
    chosen = replace(report, suite=report.suite.model_copy(update={"selection": "val"}))
    for each, said, other in (
        (report, "nothing is chosen by it", "the best one is kept"),
        (chosen, "the best one is kept", "nothing is chosen by it"),
    ):
        page = report_files(build_board(each))["report.html"].decode()
        assert said in page
        assert other not in page


def test_each_backbone_and_number_of_shots_has_its_own_picture() -> None:
    report = make_report(["zero_shot", "bar"], DATASETS, shots=(4, 16), seeds=(1,), backbones=("bundled", "other"))
    records = {
        key: record.model_copy(update={"curves": curves_of(record.cell) if record.cell.method == "bar" else {}})
        for key, record in report.records.items()
    }
    files = report_files(build_board(replace(report, records=records)))
    shown = pictures(files["report.html"].decode())
    assert len([name for name in shown if name.startswith("queries")]) == 4
    assert len(json.loads(files["report.json"])["queries"]["parts"]) == 4


def test_nothing_asked_no_section() -> None:
    files = report_files(build_board(make_report(["zero_shot", "coop"], DATASETS, shots=(16,))))
    assert 'id="queries"' not in files["report.html"].decode()
    assert "queries" not in json.loads(files["report.json"])
    assert not [name for name in pictures(files["report.html"].decode()) if name.startswith("queries")]
