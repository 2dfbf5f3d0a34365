"""The best of n trials: the closed form against every subset, and what it is drawn from."""

from __future__ import annotations

import itertools
from statistics import fmean

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard.analysis.search_curves import best_so_far, chosen_so_far, expected_best, search_curves
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.leaderboard.report import report_files
from promptgrid.spec.metrics import ACCURACY, metric_of
from promptgrid.spec.searched import PlaceFound, SearchFound, StudyFound, TrialCells

SCORES: list[float | None] = [0.3, 0.1, 0.5, None, 0.4, 0.5]


def place(label: str, scores: list[float | None], dataset: str = "digits", shots: int = 16) -> PlaceFound:
    best = max(range(len(scores)), key=lambda trial: scores[trial] or 0.0)
    tested = [
        TrialCells(trial=trial, keys=[f"{label}{dataset}{trial}a", f"{label}{dataset}{trial}b"]) for trial in {0, best}
    ]
    return PlaceFound(
        label=label, backbone="bundled", dataset=dataset, shots=shots, scores=scores, chosen=best, tested=tested
    )


def search(algorithm: str = "random", label: str = "coop", metric: str = "val_accuracy") -> SearchFound:
    return SearchFound.model_validate(
        {
            "metric": metric,
            "suite": "quickstart",
            "base": "0" * 64,
            "algorithm": algorithm,
            "trials": 6,
            "seed": 1,
            "cells": 39,
            "studies": [
                StudyFound(label="zero_shot", method="zero_shot", backbone="bundled", space={}, trials=[{}]),
                StudyFound(
                    label=label,
                    method="coop",
                    backbone="bundled",
                    space={"learning_rate": (1e-5, 1.0, True)},
                    trials=[{}, *({"learning_rate": 0.1 * trial} for trial in range(1, 6))],
                ),
            ],
            "places": [
                place("zero_shot", [0.2]),
                place(label, SCORES),
                place(label, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], "fashion"),
            ],
        }
    )


@pytest.mark.parametrize("scores", [SCORES, [0.9, 0.1, 0.2], [0.1, 0.2, 0.2, 0.3], [None, 0.2, 0.4], [0.5]])
def test_the_closed_form_is_the_mean_over_every_subset(scores: list[float | None]) -> None:
    first, *others = [score or 0.0 for score in scores]
    for count, found in enumerate(expected_best(scores, ACCURACY)):
        assert found == pytest.approx(fmean(max([first, *drawn]) for drawn in itertools.combinations(others, count)))


def test_a_thousand_trials_stay_finite_and_rise_to_the_best() -> None:
    curve = expected_best([0.0, *(0.001 * trial for trial in range(1, 1000))], ACCURACY)
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(0.999)


def test_of_an_error_the_lowest_is_the_best_and_what_failed_the_highest_found() -> None:
    error = metric_of("val_mae")
    assert best_so_far([3.0, None, 2.0, 4.0, 1.0], error) == [3.0, 3.0, 2.0, 2.0, 1.0]
    first, *others = scores = [3.0, 5.0, 2.0]
    drawn = [
        fmean(min([first, *some]) for some in itertools.combinations(others, count)) for count in range(len(scores))
    ]
    assert expected_best([3.0, None, 2.0], error) == pytest.approx(expected_best([3.0, 3.0, 2.0], error))
    assert expected_best(scores, error) == pytest.approx(drawn)


def test_the_section_says_what_was_chosen_by_in_its_own_unit() -> None:
    report = make_report(
        ["zero_shot", "coop"], ["digits", "fashion"], shots=(16,), searches=(search(metric="val_psnr"),)
    )
    page = report_files(build_board(report))["report.html"].decode()
    assert "the best mean validation peak signal-to-noise ratio over seeds was chosen" in page
    assert "peak signal-to-noise ratio, mean over datasets (dB)" in page
    assert "mean validation accuracy" not in page


def test_trials_that_depend_on_each_other_keep_their_order() -> None:
    assert best_so_far([0.3, 0.1, None, 0.5, 0.4], ACCURACY) == [0.3, 0.3, 0.3, 0.5, 0.5]
    (_, line) = search_curves(search("optuna"), {})
    assert line.validation == pytest.approx([0.45, 0.45, 0.55, 0.55, 0.55, 0.55])


def test_the_test_curve_follows_the_trial_chosen_so_far_and_has_holes_where_nothing_was_tested() -> None:
    tested = {"coopdigits0a": 0.2, "coopdigits0b": 0.4, "coopdigits2a": 0.6, "coopdigits2b": 0.8}
    found = chosen_so_far(place("coop", SCORES), ACCURACY, tested)
    assert found == pytest.approx([0.3, 0.3, 0.7, 0.7, 0.7, 0.7])
    assert chosen_so_far(place("coop", SCORES), ACCURACY, {}) == [None] * 6
    assert chosen_so_far(place("coop", [None, None]), ACCURACY, tested) == [None, None]


def test_a_method_without_knobs_is_a_flat_line_as_long_as_the_others() -> None:
    flat, line = search_curves(search(), {})
    assert flat.validation == (0.2,) * 6
    assert len(line.validation) == len(line.test) == 6


def test_the_section_shows_budget_choice_and_picture_and_is_written_alike_twice() -> None:
    hostile = "</script><b>$coop$"
    tested = {f"{hostile}digits{trial}{seed}": 0.5 for trial in (0, 2) for seed in "ab"}
    methods = ["zero_shot", {"name": "coop", "label": hostile}]
    report = make_report(methods, ["digits", "fashion"], shots=(16,), searches=(search(label=hostile),), tested=tested)
    first, second = (report_files(build_board(report)) for _ in range(2))
    assert first == second
    page = first["report.html"].decode()
    assert "6 trials" in page
    assert "39 validation cells" in page
    assert "<b>$coop$" not in page
    assert "search_1_16shot.svg" in pictures(page)


@pytest.mark.parametrize(("algorithm", "said"), [("random", 0), ("optuna", 0), ("asha", 1), ("pbt", 2)])
def test_the_section_says_what_rungs_start_from(algorithm: str, said: int) -> None:
    report = make_report(["zero_shot", "coop"], ["digits", "fashion"], shots=(16,), searches=(search(algorithm),))
    page = report_files(build_board(report))["report.html"].decode()
    words = ("Every rung trained from the start", "its settings, not its parameters")
    assert [word in page for word in words] == [said >= 1, said >= 2]


def test_no_search_no_section() -> None:
    files = report_files(build_board(make_report(["zero_shot", "coop"], ["digits", "fashion"], shots=(16,))))
    assert "Hyper-parameter search" not in files["report.html"].decode()
    assert not [name for name in pictures(files["report.html"].decode()) if name.startswith("search")]
