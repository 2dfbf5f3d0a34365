"""Paper, searched or cut: what a row says of its training, and that cut rows are never ranked."""

from dataclasses import replace

import pytest

from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.analysis.verdicts import summary
from promptgrid.leaderboard.files.tables import latex_tables
from promptgrid.leaderboard.inputs import SearchedRow
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.report import leaderboard_rows

LABELS = ["zero_shot", "coop", "kgcoop", "maple"]


@pytest.fixture(scope="module")
def plain(make_report):
    return make_report(methods=LABELS, shots=(16,))


def cut(report, *labels):
    """``report`` with those labels trained for less than their papers."""
    keys = {cell.key for label, cell in report.grid if label in labels}
    return replace(report, cuts=dict.fromkeys(keys, "8 of 200 epochs"))


def searched(report, label, **row):
    """``report`` with a row more, in which a search chose for ``label``: here, the same cells."""
    name = f"{label}, 20 trials"
    more = [(name, cell) for own, cell in report.grid if own == label]
    given = {"entry": label, "budget": "20 trials, random, seed 1", "lengths": True} | row
    return replace(report, grid=[*report.grid, *more], searched={name: SearchedRow(**given)}), name


def rows_of(report):
    (leaderboard,) = build_board(report).leaderboards
    return leaderboard, {row.label: row for row in leaderboard.rows}


def test_without_cuts_every_row_is_its_papers_and_ranked(plain):
    leaderboard, rows = rows_of(plain)
    assert {row.recipe.kind for row in rows.values()} == {"paper"}
    assert sorted(row.place for row in leaderboard.rows) == [1, 2, 3, 4]


def test_a_cut_row_stands_apart_whatever_it_scored(plain):
    best = rows_of(plain)[0].rows[0].label
    leaderboard, rows = rows_of(cut(plain, best))
    assert rows[best].recipe.kind == "cut"
    assert rows[best].recipe.note == "8 of 200 epochs"
    assert (rows[best].place, rows[best].rank, rows[best].p_holm) == (None, None, None)
    assert leaderboard.rows[-1].label == best
    assert sorted(row.place for row in leaderboard.rows if row.place) == [1, 2, 3]
    assert best not in leaderboard.comparison.ranks
    assert not any(cell.best or cell.near for (label, _), cell in matrix_cells(leaderboard).items() if label == best)
    assert rows[best].mean.low is not None  # its score is there to be read
    assert "1 cut below what their papers trained" in summary(leaderboard, "zero_shot")


def test_one_cut_cell_cuts_the_row(plain):
    key = next(cell.key for label, cell in plain.grid if label == "coop")
    assert rows_of(replace(plain, cuts={key: "8 of 200 epochs"}))[1]["coop"].recipe.kind == "cut"


def test_nothing_is_ranked_where_everything_is_cut(plain):
    leaderboard, _ = rows_of(cut(plain, *LABELS))
    assert {row.place for row in leaderboard.rows} == {None}
    assert summary(leaderboard, "zero_shot") == "Nothing is ranked here: 4 cut below what their papers trained."


def test_what_a_search_chose_stands_for_its_method_with_its_budget(plain):
    report, name = searched(plain, "coop")
    _, rows = rows_of(report)
    assert (rows[name].recipe.kind, rows[name].recipe.note) == ("searched", "20 trials, random, seed 1")
    assert rows[name].place is not None
    assert rows["coop"].place is None
    assert "as a search chose" in rows["coop"].apart
    assert sorted(row.place for row in rows.values() if row.place) == [1, 2, 3, 4]


def test_a_search_that_varied_the_length_is_not_cut_and_another_is(plain):
    report, name = searched(cut(plain, "coop"), "coop")
    assert rows_of(report)[1][name].recipe.kind == "searched"
    report, name = searched(cut(plain, "coop"), "coop", lengths=False)
    _, rows = rows_of(report)
    assert rows[name].recipe.kind == "cut"
    assert rows[name].place is None
    assert rows["coop"].recipe.kind == "cut"


def test_settings_that_are_not_the_papers_are_named(make_report):
    methods = ["zero_shot", {"name": "coop", "context_length": 4, "learning_rate": 0.002}]
    report = make_report(
        methods=methods, shots=(16,), defaults={"coop": {"context_length": 16, "learning_rate": 0.002}}
    )
    coop = next(row for row in rows_of(report)[0].rows if row.method == "coop")
    assert (coop.recipe.kind, coop.recipe.note) == ("paper", "context_length 4 (16)")


def test_a_row_that_a_search_chose_has_the_colour_of_its_method(plain):
    report, name = searched(plain, "coop")
    board = build_board(report)
    assert colour(board, name) == colour(board, "coop") != colour(board, "maple")


def test_files_say_it_too(plain):
    board = build_board(cut(plain, "maple"))
    line = next(line for line in leaderboard_rows(board) if line["method"] == "maple")
    assert (line["recipe"], line["recipe_note"], line["place"]) == ("cut", "8 of 200 epochs", None)
    table = latex_tables(board)["main_16shot.tex"]
    assert table.index("maple") > table.rindex("\\midrule") > table.index("kgcoop")
    assert "below the second rule: not ranked" in table


def test_wins_are_wins_with_ties_and_losses_beside(plain):
    board = build_board(plain)
    for line, row in zip(leaderboard_rows(board), board.leaderboards[0].rows, strict=True):
        assert (line["wins"], line["ties"], line["losses"]) == (row.wins or (None, None, None))
