"""The sentences above a table: reference, verdict, and whether the first beats the second."""

from dataclasses import replace

import pytest

from promptgrid.leaderboard.analysis.statistics import Interval
from promptgrid.leaderboard.analysis.verdicts import summary, verdict
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.spec.metrics import ACCURACY


def told(report, scores, reference="zero_shot"):
    """The sentences where label has ``scores[label]`` (by seed) on every dataset."""
    records = {}
    for label, cell in report.grid:
        metrics = {"accuracy": scores[label][cell.seed - 1], "macro_f1": 0.5}
        records[cell.key] = report.records[cell.key].model_copy(update={"metrics": metrics})
    (leaderboard,) = build_board(replace(report, records=records)).leaderboards
    return summary(leaderboard, reference)


@pytest.fixture(scope="module")
def three(make_report):
    return make_report(methods=["zero_shot", "coop", "maple"], shots=(16,))


def test_a_clear_winner_beats_reference_and_second(three):
    said = told(three, {"zero_shot": (0.5, 0.5, 0.5), "coop": (0.61, 0.6, 0.59), "maple": (0.71, 0.7, 0.69)})
    assert said.startswith("maple has the highest mean of 3 ranked methods, 70.0 %")
    assert "+20.0 points to the reference zero_shot" in said
    assert "better than it on these datasets" in said
    assert "Second is coop, 10.0 points behind: the first beats coop on these datasets." in said


def test_what_seeds_cannot_tell_apart_is_said_so(three):
    said = told(three, {"zero_shot": (0.5, 0.5, 0.5), "coop": (0.6, 0.7, 0.65), "maple": (0.7, 0.6, 0.66)})
    assert "Second is coop, 0.3 points behind (" in said
    assert said.endswith("these seeds do not tell the two apart.")


def test_a_reference_that_is_second_is_not_compared_twice(three):
    said = told(three, {"zero_shot": (0.5, 0.5, 0.5), "coop": (0.4, 0.4, 0.4), "maple": (0.71, 0.7, 0.69)})
    assert said.endswith("The reference is second.")
    assert said.count("on these datasets") == 1


def test_equals_share_the_first_place(three):
    said = told(three, {"zero_shot": (0.5, 0.5, 0.5), "coop": (0.6, 0.7, 0.8), "maple": (0.8, 0.6, 0.7)})
    assert said.startswith("coop and maple share the highest mean of 3 ranked methods, 70.0 %")
    assert "Second" not in said


def test_a_reference_that_wins_is_named_as_such(three):
    said = told(three, {"zero_shot": (0.8, 0.8, 0.8), "coop": (0.6, 0.7, 0.65), "maple": (0.7, 0.6, 0.6)})
    assert "It is the reference itself." in said


def test_one_seed_gives_no_verdict():
    assert verdict(Interval(0.1), ACCURACY, "better", "worse") == "one seed, so no verdict"
    assert verdict(Interval(0.1, 0.05, 0.15), ACCURACY, "better", "worse") == "better"
    assert verdict(Interval(-0.1, -0.15, -0.05), ACCURACY, "better", "worse") == "worse"
