"""Leaderboards sort by the direction of their metric and print in its unit; nothing is taken for a percentage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import ReportInput, write_report
from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.analysis.verdicts import summary
from promptgrid.leaderboard.leaderboard import Leaderboard, build_board
from promptgrid.leaderboard.sections.matrix import facts

OTHERS: dict[str, Callable[[float], float]] = {
    "mae": lambda score: 3 - 2 * score,
    "psnr": lambda score: 20 + 10 * score,
}
"""The same scores as another metric: one of which less is better, and one in decibels."""


@pytest.fixture(scope="module")
def plain() -> ReportInput:
    return make_report(methods=["zero_shot", "coop", "maple"], datasets=["digits", "pets", "cars"], shots=(16,))


def told_as(report: ReportInput, name: str) -> ReportInput:
    """``report`` with its accuracies told as the metric ``name``."""
    records = {
        key: record.model_copy(update={"metrics": {name: OTHERS[name](record.metrics["accuracy"])}})
        for key, record in report.records.items()
    }
    return replace(report, records=records, headline=name, published=())


def only(report: ReportInput) -> Leaderboard:
    (found,) = build_board(report).leaderboards
    return found


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_same_results_have_the_same_order_in_every_metric(plain: ReportInput, name: str) -> None:
    first, second = only(plain), only(told_as(plain, name))
    assert [row.label for row in second.rows] == [row.label for row in first.rows]
    assert [row.place for row in second.rows] == [row.place for row in first.rows]
    assert second.comparison.ranks == first.comparison.ranks
    wins = {row.label: row.wins for row in first.rows if row.wins}
    assert {row.label: (row.wins[0], row.wins[2]) for row in second.rows if row.wins} == {
        label: (won, lost) for label, (won, _, lost) in wins.items()
    }
    best = {place for place, cell in matrix_cells(first).items() if cell.best}
    assert {place for place, cell in matrix_cells(second).items() if cell.best} == best


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_better_is_the_darker_in_every_metric(plain: ReportInput, name: str) -> None:
    def shades(report: ReportInput) -> dict[tuple[str, str], int]:
        (table,) = facts(build_board(report))["tables"]
        titles = [dataset["name"] for dataset in table["datasets"]]
        return {
            (row["label"], dataset): cell["shade"]
            for row in table["rows"]
            for dataset, cell in zip(titles, row["cells"], strict=True)
        }

    first = shades(plain)
    assert set(first.values()) >= {0, 5}
    assert shades(told_as(plain, name)) == first


@pytest.mark.parametrize(("name", "said"), [("mae", "has the lowest mean"), ("psnr", " dB")])
def test_the_summary_speaks_the_metric(plain: ReportInput, name: str, said: str) -> None:
    text = summary(only(told_as(plain, name)), "zero_shot")
    assert said in text
    assert "%" not in text
    assert "points" not in text


def test_the_page_gives_scores_in_their_unit(plain: ReportInput, tmp_path) -> None:
    report = told_as(plain, "psnr")
    page = write_report(report, tmp_path).html.read_text(encoding="utf-8")
    best = only(report).rows[0]
    assert "Scores in dB (psnr)" in page
    assert "in percent" not in page.split('id="reading"')[0]
    assert f">{best.mean.value:.2f}<" in page
