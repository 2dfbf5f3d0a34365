"""The committed report of the quickstart is the one that this code writes: its cells, and every page made of them."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from promptgrid import api
from promptgrid.api.reporting import report_input
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.report import report_files
from promptgrid.spec import Cost, Record

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "reports" / "quickstart"
FROM_RECORDS = {"header", "provenance", "run", "cost", "inside"}
"""Sections that tell of machines, commits and answers, which results.parquet does not hold."""
AGAIN = "write it again: make reports REPORTS=quickstart"


@pytest.fixture(scope="module")
def rows() -> Any:
    return api.load_results(COMMITTED)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> ReportInput:
    """What this code would report of the suite, before anything has run."""
    store = api.open_store(tmp_path_factory.mktemp("empty"))
    return report_input(api.plan(ROOT / "suites" / "quickstart.yaml", store), store, "")


def records(planned: ReportInput, rows: Any) -> dict[str, Record]:
    cells = {cell.key: cell for _, cell in planned.grid}
    found = {}
    for key, part in rows.groupby("cell_key"):
        first = part.iloc[0]
        cost = {name: float(first[name]) for name in ("train_seconds", "eval_seconds", "peak_memory_mb")}
        metrics = {str(name): float(value) for name, value in zip(part["metric"], part["value"], strict=True)}
        cost["trainable_parameters"] = int(first["trainable_parameters"])
        found[key] = Record(cell=cells[key], metrics=metrics, cost=Cost(**cost))
    return found


def test_its_cells_are_those_of_this_code(planned: ReportInput, rows: Any) -> None:
    assert {cell.key for _, cell in planned.grid} == set(rows["cell_key"]), AGAIN
    assert set(rows["status"]) == {"done"}


def test_its_tables_figures_and_numbers_are_those_of_this_code(planned: ReportInput, rows: Any) -> None:
    board = build_board(dataclasses.replace(planned, records=records(planned, rows)))
    files = report_files(board)
    compared = [name for name in files if name.startswith(("tables/", "figures/")) or name == "leaderboard.csv"]
    stale = [name for name in compared if (COMMITTED / name).read_bytes() != files[name]]
    assert stale == [], AGAIN
    ours, theirs = json.loads(files["report.json"]), json.loads((COMMITTED / "report.json").read_text())
    assert ours.keys() | FROM_RECORDS == theirs.keys()
    assert [name for name in ours if name not in FROM_RECORDS and ours[name] != theirs[name]] == [], AGAIN
    assert math.isfinite(ours["leaderboard"]["tables"][0]["rows"][0]["cells"]["mean"]["value"])
