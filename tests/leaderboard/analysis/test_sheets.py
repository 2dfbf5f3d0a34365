import dataclasses

import numpy as np
import pytest
from tests.leaderboard.answering import CLASSES, EXAMPLES, answers_of

from promptgrid.leaderboard.analysis.sheets import sheets
from promptgrid.leaderboard.leaderboard import build_board


@pytest.fixture(scope="module")
def board(make_report):
    report = make_report(methods=["zero_shot", "coop", "maple"], datasets=["digits", "fashion"], shots=(1, 16))
    return build_board(dataclasses.replace(report, answers=answers_of(report)))


def test_a_sheet_holds_what_records_say(board):
    found = board.sheets["bundled"]
    assert [(sheet.dataset, sheet.evaluation) for sheet in found] == [("digits", "test"), ("fashion", "test")]
    sheet = found[0]
    assert sheet.index == tuple(range(100, 100 + EXAMPLES))
    assert sheet.names[3] == "pictures/03"
    for label, row in sheet.rows.items():
        own = [one.record.metrics["accuracy"] for one in board.leaderboards[-1].grid
               if (one.label, one.cell.dataset) == (label, "digits")]  # fmt: skip
        rounded = [round(EXAMPLES * value) / EXAMPLES for value in own]
        assert row.right(sheet.label).mean() == pytest.approx(np.mean(rounded))
        counts = row.confusion(sheet.label, len(CLASSES))
        assert counts.sum() == EXAMPLES * len(own)
        assert np.trace(counts) == pytest.approx(EXAMPLES * sum(rounded))
        assert sheet.by_class(label) @ sheet.counts / EXAMPLES == pytest.approx(np.mean(rounded))
        sure = float(np.exp(2) / (np.exp(2) + np.exp(1) + 2))
        assert row.error(sheet.label) == pytest.approx(np.mean([abs(value - sure) for value in rounded]), abs=1e-6)


def test_the_hardest_are_right_least_and_the_disputed_part_the_rows(board):
    sheet = board.sheets["bundled"][0]
    hardest = sheet.hardest(4)
    assert sheet.right[:, hardest].mean(axis=0).max() <= np.sort(sheet.right.mean(axis=0))[3]
    disputed = sheet.disputed(5, hardest)
    assert not set(disputed) & set(hardest)
    assert all(0 < sheet.right[:, place].mean() < 1 for place in disputed)


def test_cells_on_other_examples_are_counted_not_mixed(make_report):
    report = make_report(methods=["coop", "maple"], datasets=["digits"], shots=(16,), seeds=(1, 2))
    own = answers_of(report)
    grid = build_board(report).grid
    last = grid[-1].cell.key

    def read(key):
        (one,) = own(key)
        return (one if key != last else dataclasses.replace(one, example=one.example + 1),)

    (sheet,) = sheets(grid, read)
    assert sheet.left_out == 1
    assert sum(len(row.guesses) for row in sheet.rows.values()) == 3


def test_without_answers_there_is_nothing(make_report):
    assert build_board(make_report(methods=["coop", "maple"])).sheets == {"bundled": []}


def test_an_answer_of_an_unknown_class_is_left_out(make_report):
    """Answers of old records name no classes: how many there are is told by the first cell."""
    report = make_report(methods=["coop", "maple"], datasets=["digits"], shots=(16,), seeds=(1,))
    own, grid = answers_of(report), build_board(report).grid
    last = grid[-1].cell.key

    def read(key):
        (one,) = own(key)
        top = one.top.copy()
        top[0, 0] = 9 if key == last else top[0, 0]
        return (dataclasses.replace(one, top=top, classes=()),)

    (sheet,) = sheets(grid, read)
    assert sheet.left_out == 1
    assert sheet.rows["coop"].confusion(sheet.label, len(sheet.classes)).sum() == EXAMPLES


def test_nothing_is_disputed_where_all_agree_and_nothing_hard_where_all_are_right(make_report):
    report = make_report(methods=["coop", "maple"], datasets=["digits"], shots=(16,), seeds=(1, 2, 3))
    records = {key: record.model_copy(update={"metrics": {"accuracy": 0.5}}) for key, record in report.records.items()}
    alike = dataclasses.replace(report, records=records)
    (sheet,) = sheets(build_board(alike).grid, answers_of(alike))
    assert sheet.disputed(5) == []
    assert len(sheet.hardest(EXAMPLES)) == EXAMPLES // 2
