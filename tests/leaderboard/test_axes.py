"""The report can be sliced by the taxonomy: in the page, and by scripts over leaderboard.csv."""

from __future__ import annotations

import csv
import io

from promptgrid.leaderboard import write_report

AXES = {"coop": {"where": "text", "learned": "context"}, "maple": {"where": "both", "learned": "coupled_tokens"}}


def test_rows_say_where_their_method_stands(make_report, tmp_path) -> None:
    paths = write_report(make_report(methods=["coop", "maple", "mine"], datasets=["digits"], axes=AXES), tmp_path)
    page = paths.html.read_text()
    assert 'data-axes="where:text learned:context"' in page
    assert 'data-axes="where:both learned:coupled_tokens"' in page
    rows = list(csv.DictReader(io.StringIO(paths.leaderboard_csv.read_text())))
    assert {(row["method"], row["axis_where"]) for row in rows} == {("coop", "text"), ("maple", "both"), ("mine", "")}


def test_a_hostile_place_stays_text(make_report, tmp_path) -> None:
    hostile = {"coop": {"where": '"><script>alert(1)</script>'}}
    paths = write_report(make_report(methods=["coop"], datasets=["digits"], axes=hostile), tmp_path)
    assert "<script>alert" not in paths.html.read_text()


def test_without_places_nothing_is_added(make_report, tmp_path) -> None:
    paths = write_report(make_report(methods=["coop"], datasets=["digits"]), tmp_path)
    assert 'data-axes="' not in paths.html.read_text().replace('(data-axes="axis:value ...")', "")
    assert "axis_" not in paths.leaderboard_csv.read_text()
