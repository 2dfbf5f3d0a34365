"""Boards ranked by calibration or by telling strangers: what they say, and what stands beside the headline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.leaderboard.answering import answers_of
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.analysis.first_two import first_against_second
from promptgrid.leaderboard.analysis.verdicts import answer
from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.files.tables import main_table
from promptgrid.leaderboard.leaderboard import Leaderboard, build_board


@pytest.fixture(scope="module")
def plain() -> ReportInput:
    return make_report(methods=["zero_shot", "coop", "maple"], datasets=["digits", "pets", "cars"], shots=(16,))


def told_as(report: ReportInput, headline: str, metrics: Any) -> ReportInput:
    """``report`` with ``metrics`` of its accuracies in their place."""
    records = {
        key: record.model_copy(update={"metrics": metrics(record.metrics["accuracy"])})
        for key, record in report.records.items()
    }
    return replace(report, records=records, headline=headline, published=(), answers=answers_of(report))


def calibration(right: float) -> dict[str, float]:
    base, new = 0.5 - 0.4 * right, 0.6 - 0.4 * right
    return {"base_accuracy": right, "new_accuracy": 1 - right, "base_ece": base, "new_ece": new,
            "mean_ece": (base + new) / 2}  # fmt: skip


def strangers(right: float) -> dict[str, float]:
    return {"accuracy": right, "auroc": 0.4 + right / 2, "fpr95": 1 - right}


def tail(right: float) -> dict[str, float]:
    return {"accuracy": right, "macro_f1": right, "tail_accuracy": right / 2}


def only(report: ReportInput) -> Leaderboard:
    (found,) = build_board(report).leaderboards
    return found


def test_the_least_error_leads_and_the_sentence_says_what_it_is(plain: ReportInput) -> None:
    report = told_as(plain, "mean_ece", calibration)
    board = only(report)
    means = [row.mean.value for row in board.rows]
    assert means == sorted(means)
    assert [row.label for row in board.rows] == [row.label for row in only(plain).rows]
    (contest,) = first_against_second(report, [board])
    assert contest is not None
    assert contest.test == "datasets"
    said = answer(board, "zero_shot", contest, report.examples)[1]
    assert "% (expected calibration error, lower is better), −" in said
    assert "paired t over datasets" in said
    assert "right more often" not in said


@pytest.mark.parametrize(
    ("headline", "metrics", "keys"),
    [
        ("mean_ece", calibration, ["base_ece", "new_ece"]),
        ("auroc", strangers, ["fpr95", "accuracy"]),
        ("accuracy", tail, ["tail_accuracy"]),
    ],
)
def test_what_stands_beside_a_headline(plain: ReportInput, headline: str, metrics: Any, keys: list[str]) -> None:
    board = only(told_as(plain, headline, metrics))
    columns = {column.key: column for column in shown_columns(board)}
    before = {column.key for column in shown_columns(only(plain))}
    assert [key for key in columns if key not in before | {"base", "new", "h_of_means", "mean_of_h"}] == keys
    right = {row.label: row.mean.value for row in only(plain).rows}
    for row in board.rows:
        for key in keys:
            assert columns[key].entry(row).value == pytest.approx(metrics(right[row.label])[key])
    table = main_table(board)
    assert all(columns[key].title in table for key in keys)
    direction = {"mean_ece": "expected calibration error, lower is better; ", "auroc": "AUROC, higher is better; "}
    assert direction.get(headline, "bundled; percent") in table


def test_plain_boards_have_none(plain: ReportInput) -> None:
    assert all(not row.beside for row in only(plain).rows)
