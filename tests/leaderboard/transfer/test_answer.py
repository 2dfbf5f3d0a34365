"""The sentence on top of a study of transfer, against values worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from tests.leaderboard.transfer_study import make_study

from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.report import report_files
from promptgrid.leaderboard.transfer.answer import sentence, transfer_answers
from promptgrid.leaderboard.transfer.matrices import Transfer
from promptgrid.spec.metrics import ACCURACY, metric_of

TASKS = ("a", "b", "c")
GAINS = [[9.0, 0.02, -0.01], [0.04, 9.0, 0.00], [0.06, 0.01, 9.0]]
"""Over scratch, by source and target; the 9.0 on the own pairs must count nowhere."""


def matrix(gains=GAINS, label="CoOp, adapt", **changes) -> Transfer:
    scratch = np.full((3, 1), 0.5)
    raw = scratch + np.array(gains, dtype=float)[..., None]
    zero = np.full((3, 3, 1), math.nan)
    found = Transfer(label, "CoOp", "adapt", "bundled", 16, (1,), TASKS, TASKS, raw, scratch, zero, {}, {})
    return dataclasses.replace(found, **changes)


def test_pairs_mean_interval_test_and_best_source_by_hand():
    (found,) = transfer_answers([matrix()])
    assert (found.gaining, found.pairs, found.base) == (4, 6, "scratch"), "0.00 is no gain"
    targets = [(0.04 + 0.06) / 2, (0.02 + 0.01) / 2, (-0.01 + 0.00) / 2]  # 0.05, 0.015, -0.005
    assert found.mean.value == pytest.approx(0.02)
    error = math.sqrt((0.03**2 + 0.005**2 + 0.025**2) / 2 / 3)
    half = 4.302652729911275 * error  # t of two degrees of freedom
    assert (found.mean.low, found.mean.high) == (pytest.approx(0.02 - half), pytest.approx(0.02 + half))
    assert found.mean.p == pytest.approx(stats.ttest_1samp(targets, 0).pvalue)
    assert (found.best, found.sources) == ("c", 3)
    assert found.best_gain == pytest.approx(0.035)
    assert sentence(found, ACCURACY, {"c": "Clip art"}) == (
        "gains over learning from scratch on 4 of 6 pairs of tasks (67 %); the mean gain is +2.0 points (−4.9 to "
        "+8.9), not told apart from no transfer (paired t over 3 targets, p 0.339). Best of 3 sources: Clip art, "
        "+3.5 points on average."
    )


def test_holm_over_matrices_and_what_is_worse():
    worse = matrix([[9, -0.1, -0.11], [-0.1, 9, -0.11], [-0.1, -0.1, 9]], "VPT, evaluate")
    answers = transfer_answers([matrix(), worse])
    raw = [one.mean.p for one in answers]
    assert answers[1].p_holm == pytest.approx(2 * raw[1])
    assert answers[0].p_holm == pytest.approx(max(raw[0], 2 * raw[1]))
    told = sentence(answers[1], ACCURACY, {})
    assert "on 0 of 6 pairs of tasks (0 %)" in told
    assert "worse than no transfer (paired t over 3 targets, p 0.002, Holm over 2 matrices)" in told


def test_of_equal_sources_the_first_and_of_errors_a_fall_is_a_gain():
    (found,) = transfer_answers([matrix([[9, 0.1, 0.1], [0.1, 9, 0.1], [0.1, 0.1, 9]])])
    assert found.best == "a"
    assert found.mean.value == pytest.approx(0.1)
    (errors,) = transfer_answers([matrix(metric=metric_of("mae"))])
    assert (errors.gaining, errors.best) == (1, "a")


def test_a_hole_counts_nowhere_and_one_source_makes_no_matrix():
    (found,) = transfer_answers([matrix([[9, math.nan, -0.01], *GAINS[1:]])])
    assert found.pairs == 5
    assert found.mean.value == pytest.approx((0.05 + 0.01 - 0.005) / 3)
    one = make_study(tasks=("animals", "digits", "food"), sources=["animals"], readings=("evaluate",))
    assert transfer_answers(build_board(one).transfers) == []


def test_it_stands_on_top_of_the_page_before_the_boards():
    files = report_files(
        build_board(make_study(tasks=("animals", "digits", "food", "mnist"), shots=(4, 16), images=20))
    )
    page = files["report.html"].decode()
    head = page[page.index("<header>") : page.index("</header>")]
    assert head.count("pairs of tasks") == 8, "four at once, four unfold"
    assert head.index("pairs of tasks") < head.index("first place of 7")
    assert "4 more of 8 matrices" in head
    assert '<span class="where">16 shots</span> <b>CoOp, adapt</b> gains over learning from scratch' in head
