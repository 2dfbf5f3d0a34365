import dataclasses

import pytest
from scipy import stats
from tests.leaderboard.answering import EXAMPLES, answers_of

from promptgrid.leaderboard.analysis.first_two import first_against_second
from promptgrid.leaderboard.analysis.statistics import Interval, holm
from promptgrid.leaderboard.analysis.verdicts import answer
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.spec import Noun
from promptgrid.spec.metrics import metric_of

IMAGES = Noun("image", "images")


def board_of(report):
    return build_board(dataclasses.replace(report, answers=answers_of(report)))


def test_examples_that_one_has_right_more_often_are_tested_and_corrected_over_boards(make_report):
    report = make_report(methods=["zero_shot", "coop", "maple"], datasets=["digits", "fashion"], shots=(1, 16))
    board = board_of(report)
    found = first_against_second(board.report, board.leaderboards)
    plain = []
    for one, leaderboard in zip(found, board.leaderboards, strict=True):
        assert (one.first, one.second) == tuple(row.label for row in leaderboard.rows[:2])
        counts = [0, 0]
        for name in leaderboard.datasets:
            right = {}
            for label in (one.first, one.second):
                own = [cell.record.metrics["accuracy"] for cell in leaderboard.grid
                       if (cell.label, cell.cell.dataset) == (label, name)]  # fmt: skip
                right[label] = [sum(place < round(EXAMPLES * value) for value in own) for place in range(EXAMPLES)]
            pairs = list(zip(right[one.first], right[one.second], strict=True))
            counts[0] += sum(a > b for a, b in pairs)
            counts[1] += sum(a < b for a, b in pairs)
        assert one.alone == tuple(counts)
        plain.append(stats.binomtest(counts[0], sum(counts)).pvalue)
        assert one.p == pytest.approx(plain[-1])
    assert [one.p_holm for one in found] == pytest.approx(holm(plain))


def test_without_answers_the_datasets_decide(make_report):
    board = build_board(make_report(shots=(16,)))
    (one,) = first_against_second(board.report, board.leaderboards)
    leaderboard = board.leaderboards[0]
    means = leaderboard.means.loc[[one.first, one.second]]
    assert one.test == "datasets"
    assert one.p == pytest.approx(stats.ttest_rel(means.iloc[0], means.iloc[1]).pvalue, rel=1e-6)


def test_right_answers_say_nothing_of_a_metric_that_they_do_not_decide(make_report):
    """Calibration: who is right more often need not be as sure as it is right."""
    report = make_report(methods=["zero_shot", "coop"], datasets=["digits", "fashion"], shots=(16,))
    board = board_of(report)
    (leaderboard,) = board.leaderboards
    for name, test in (("accuracy", "answers"), ("ece", "datasets"), ("auroc", "datasets"), ("macro_f1", "answers")):
        metric = dataclasses.replace(metric_of(name), name="accuracy")
        (one,) = first_against_second(board.report, [dataclasses.replace(leaderboard, metric=metric)])
        assert one.test == test, name
        assert (one.alone is None) == (test == "datasets")


def test_one_dataset_without_answers_is_no_test(make_report):
    board = build_board(make_report(datasets=["digits"], shots=(16,)))
    (one,) = first_against_second(board.report, board.leaderboards)
    assert one.verdict == "untested"
    assert "no test of the two is possible" in answer(board.leaderboards[0], board.reference, one, IMAGES)[1]


def test_no_contest_where_the_first_place_is_shared_or_alone(make_report):
    board = board_of(make_report(methods=["coop"], shots=(16,)))
    assert first_against_second(board.report, board.leaderboards) == [None]


@pytest.mark.parametrize(
    ("p", "alone", "said"),
    [
        (0.01, (30, 10), "It beats the second, b, 2.0 points behind"),
        (0.30, (30, 10), "The second, b, 2.0 points behind, is not told apart from it"),
        (0.01, (10, 30), "The second, b, 2.0 points behind in the mean, wins the test of the two all the same"),
    ],
)
def test_the_sentence_says_what_the_test_says(make_report, p, alone, said):
    board = build_board(make_report(shots=(16,)))
    (one,) = first_against_second(board.report, board.leaderboards)
    told = dataclasses.replace(one, second="b", gap=0.02, test="answers", alone=alone, p=p, p_holm=p, boards=1)
    first, rest = answer(board.leaderboards[0], board.reference, told, IMAGES)
    assert first == board.leaderboards[0].rows[0].label
    assert said in rest


def test_a_sentence_that_seeds_do_not_bear_out_says_so(make_report):
    board = build_board(make_report(shots=(16,)))
    (one,) = first_against_second(board.report, board.leaderboards)
    told = dataclasses.replace(one, gap=0.01, seeds=Interval(0.01, -0.02, 0.04, n=8, freedom=16), p=0.001, p_holm=0.001)
    said = answer(board.leaderboards[0], board.reference, told, IMAGES)[1]
    assert "though new seeds may not agree (−2.0 to +4.0)" in said
    sure = dataclasses.replace(told, seeds=Interval(0.01, 0.005, 0.02, n=8, freedom=16))
    assert "new seeds" not in answer(board.leaderboards[0], board.reference, sure, IMAGES)[1]


def test_rows_that_share_no_cell_are_compared_by_datasets(make_report):
    report = make_report(methods=["coop", "maple"], shots=(16,))
    board = build_board(report)
    (leaderboard,) = board.leaderboards
    moved = tuple(
        dataclasses.replace(one, cell=one.cell.model_copy(update={"source": "elsewhere"}))
        if one.label == leaderboard.rows[1].label
        else one
        for one in leaderboard.grid
    )
    (one,) = first_against_second(report, [dataclasses.replace(leaderboard, grid=moved)])
    assert one.test == "datasets"
    assert one.alone is None


def test_a_method_alone_leads_nobody(make_report):
    board = build_board(make_report(methods=["coop"], shots=(16,)))
    first, rest = answer(board.leaderboards[0], board.reference, None, IMAGES)
    assert first == "coop"
    assert rest.startswith("is the only ranked method, with ")
