"""A board as text: sorted, whole digits, nothing overwritten, the same bytes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import results_frame
from promptgrid.leaderboard.contributed.board import KINDS, merged, read_rows, rows_text, write_files
from promptgrid.leaderboard.contributed.checks import rows_of
from promptgrid.leaderboard.contributed.standing import board_files
from promptgrid.spec import Refused

REPORT = make_report(methods=["zero_shot", "coop"], datasets=["digits", "flags"], shots=(1,), seeds=(1, 2))


def rows() -> list[dict[str, Any]]:
    return [{name: row.get(name, "") for name in KINDS} for row in rows_of(results_frame(REPORT))]


def test_rows_read_back_as_they_were_written(tmp_path: Path) -> None:
    odd = rows()
    odd[0] |= {"label": 'a "quoted", label', "value": 0.1 + 0.2, "trainable_parameters": None}
    (tmp_path / "results.csv").write_text(rows_text(odd), encoding="utf-8")
    back = read_rows(tmp_path)
    assert rows_text(back) == rows_text(odd) == rows_text(reversed(odd))
    assert 0.1 + 0.2 in [row["value"] for row in back]


def test_what_is_no_board_is_refused_with_its_line(tmp_path: Path) -> None:
    lines = rows_text(rows()).splitlines()
    path = tmp_path / "results.csv"
    path.write_text("\n".join([*lines[:2], "<<<<<<< HEAD", *lines[2:]]), encoding="utf-8")
    with pytest.raises(Refused, match="line 3: 1 fields; expected 21; was a merge left open"):
        read_rows(tmp_path)
    path.write_text("\n".join([lines[0], lines[1].replace(",done,", ",done,").replace(",1,1,", ",one,1,")]))
    with pytest.raises(Refused, match="line 2: invalid literal"):
        read_rows(tmp_path)
    path.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(Refused, match="not the columns of a board"):
        read_rows(tmp_path)


def test_an_equal_cell_is_skipped_and_costs_may_differ() -> None:
    slower = [row | {"train_seconds": 99.0} for row in rows()]
    done = merged(rows(), slower)
    assert (len(done.added), len(done.skipped)) == (0, 8)
    assert rows_text(done.rows) == rows_text(rows())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 0.25}, "accuracy is 0.[0-9]+ there, 0.25 in what is added"),
        ({"cell_key": "f" * 64}, "its key is [0-9a-f]{12}, the new one's ffffffffffff"),
        ({"status": "failed", "value": None, "reason": "NAN_LOSS"}, "there, 'NAN_LOSS' in what is added"),
        ({"label": "mine"}, "this very cell .* is on the board as 'zero_shot'"),
    ],
)
def test_another_result_is_refused_naming_both(change: dict[str, Any], said: str) -> None:
    first = rows()[0]
    with pytest.raises(Refused, match=said) as refused:
        merged(rows(), [first | change])
    assert "digits, bundled, 1 shots, seed 1" in str(refused.value)


def test_order_of_adding_does_not_matter() -> None:
    halves = [[row for row in rows() if (row["label"] == "coop") == flag] for flag in (True, False)]
    one = merged(merged([], halves[0]).rows, halves[1])
    other = merged(merged([], halves[1]).rows, halves[0])
    assert rows_text(one.rows) == rows_text(other.rows)


def test_the_page_is_that_of_the_records(tmp_path: Path) -> None:
    files = board_files(REPORT.suite, rows(), REPORT)
    again = board_files(REPORT.suite, list(reversed(rows())), REPORT)
    assert set(files) == {"report.html", "leaderboard.csv"}
    assert files["leaderboard.csv"] == again["leaderboard.csv"]
    assert REPORT.suite.labels[1].encode() in files["leaderboard.csv"]
    write_files(tmp_path / "new", files)
    before = (tmp_path / "new" / "report.html").stat().st_mtime_ns
    write_files(tmp_path / "new", files)
    assert (tmp_path / "new" / "report.html").stat().st_mtime_ns == before


def test_a_cut_row_is_never_ranked() -> None:
    cut = [row | {"cut": "1 of 200 epochs" if row["label"] == "coop" else ""} for row in rows()]
    table = board_files(REPORT.suite, cut, REPORT)["leaderboard.csv"].decode().splitlines()
    places = {line.split(",")[3]: line.split(",")[2] for line in table[1:]}
    assert places == {"zero_shot": "1", "coop": ""}
