"""A board says which of its methods were verified against their authors' code."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.leaderboard import build_board

PARITIES = {
    "coop": {"result": "equal", "said": "equal to the authors' code; apart by 6e-07", "note": "All positions."},
    "maple": {"result": "mended", "said": "has their form now", "note": ""},
}


def test_rows_are_verified_or_say_why_not(make_report, tmp_path) -> None:
    report = make_report(methods=["coop", "maple", "mine"], datasets=["digits"], parities=PARITIES)
    leaderboard = build_board(report).leaderboards[0]
    (column,) = (column for column in shown_columns(leaderboard) if column.key == "verified")
    entries = {row.method: column.entry(row) for row in leaderboard.rows}
    assert {name: entry.value for name, entry in entries.items()} == {"coop": "equal", "maple": "mended", "mine": None}
    assert entries["coop"].note == "equal to the authors' code; apart by 6e-07. All positions"
    paths = write_report(report, tmp_path)
    assert "apart by 6e-07. All positions" in paths.html.read_text()
    rows = list(csv.DictReader(io.StringIO(paths.leaderboard_csv.read_text())))
    assert {(row["method"], row["verified"]) for row in rows} == {("coop", "equal"), ("maple", "mended"), ("mine", "")}


def test_without_parities_there_is_no_such_column(make_report) -> None:
    leaderboard = build_board(make_report(methods=["coop"], datasets=["digits"])).leaderboards[0]
    assert "verified" not in {column.key for column in shown_columns(leaderboard)}


def test_columns_load_no_torch() -> None:
    code = "import sys, promptgrid.leaderboard.columns; print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == "False"
