"""Matrices of a study: which cell stands where, what a pair is compared with, what is tested."""

import dataclasses
import math

import numpy as np
import pytest
from tests.leaderboard.transfer_study import make_study

from promptgrid.leaderboard.inputs import Similarities
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.leaderboard.transfer.summary import best_sources, correlations, summary

TASKS = ("animals", "digits", "food", "mnist")
ZERO = {"name": "zero_shot", "label": "zero-shot", "readings": []}
COOP = {"name": "coop", "label": "CoOp"}
SMALL = {"tasks": TASKS, "methods": (ZERO, COOP), "decide": lambda cell: "done"}


def transfers(report):
    return {item.label: item for item in build_board(report).transfers}


def accuracy(report, **wanted):
    (cell,) = [c for _, c in report.grid if all(getattr(c, name) == value for name, value in wanted.items())]
    return report.records[cell.key].metrics["accuracy"]


def test_every_score_stands_at_its_pair_and_seed():
    report = make_study(**SMALL)
    found = transfers(report)
    assert list(found) == ["CoOp, evaluate", "CoOp, adapt"]
    item = found["CoOp, adapt"]
    assert (item.sources, item.targets, item.seeds) == (TASKS, TASKS, (1, 2, 3))
    for i, source in enumerate(TASKS):
        for j, target in enumerate(TASKS):
            for n, seed in enumerate(item.seeds):
                pair = {"source": source, "dataset": target, "seed": seed, "reading": "adapt"}
                assert item.raw[i, j, n] == accuracy(report, **pair)
    for j, target in enumerate(TASKS):
        plain = {"dataset": target, "seed": 2, "reading": ""}
        assert item.scratch[j, 1] == accuracy(report, method="coop", **plain)
        assert set(item.zero_shot[:, j, 1]) == {accuracy(report, method="zero_shot", **plain)}
    assert np.diag(item.own).all()
    assert item.own.sum() == 4
    assert item.base == "scratch"


def test_scratch_is_of_the_same_settings_whatever_the_label():
    """Rows learned together are compared with another entry of the same method and settings."""
    methods = (
        ZERO,
        {"name": "coop", "label": "long", "context_length": 16},
        {"name": "coop", "label": "short", "context_length": 4, "readings": []},
        {"name": "coop", "label": "plain long", "context_length": 16, "readings": []},
    )
    small = {**SMALL, "methods": methods, "sources": ["animals"], "readings": ("evaluate",)}
    report = make_study(**small)
    item = transfers(report)["long, evaluate"]
    cells = {
        (label, cell.dataset, cell.seed): report.records[cell.key].metrics["accuracy"] for label, cell in report.grid
    }
    assert item.scratch[1, 0] == cells["plain long", "digits", 1]


def test_without_cells_from_scratch_the_gain_is_over_zero_shot():
    small = {**SMALL, "sources": ["animals"], "readings": ("evaluate",), "protocol": "cross_dataset"}
    item = transfers(make_study(**small))["CoOp, evaluate"]
    assert item.base == "zero_shot"
    assert np.isfinite(item.scratch).any(axis=1).tolist() == [True, False, False, False]
    assert math.isnan(summary(item)["gain_over_scratch"])
    assert summary(item)["asymmetry_pairs"] == 0


def test_holes_are_named_and_leave_the_rest_alone():
    def decide(cell):
        if (cell.source, cell.dataset) == ("food", "mnist"):
            return "missing" if cell.seed == 3 else "done"
        return "NEEDS_FAILED" if cell.source == "digits" else "done"

    item = transfers(make_study(**{**SMALL, "decide": decide}))["CoOp, evaluate"]
    assert item.reasons[2, 3] == "MISSING"
    assert {item.reasons[1, j] for j in range(4)} == {"NEEDS_FAILED"}
    assert len(item.reasons) == 5
    assert np.isnan(item.measures["scratch"][1]).all()
    assert item.measures["raw"][2, 3] == pytest.approx(item.raw[2, 3, :2].mean())
    found = summary(item)
    assert (found["planned"], found["scored"], found["partial"]) == (12, 9, 4)
    assert all(row["source"] != "digits" for row in best_sources(item))


def test_q_values_are_corrected_over_the_pairs_of_different_tasks():
    item = transfers(make_study(**SMALL))["CoOp, evaluate"]
    p = tr.below_zero_by_seeds(item.gains["scratch"])
    p[item.own] = math.nan
    assert item.q_values["scratch"]["seeds"] == pytest.approx(tr.false_discovery(p), nan_ok=True)
    assert set(item.q_values["scratch"]) == {"seeds", "images"}
    assert np.isfinite(item.q_values["scratch"]["images"]).sum() == 12


def test_images_are_counted_against_the_right_cells():
    report = make_study(**{**SMALL, "seeds": (1,)})
    item = transfers(report)["CoOp, evaluate"]
    keys = {
        (cell.method, cell.source, cell.dataset): cell.key
        for _, cell in report.grid
        if cell.reading in ("", "evaluate")
    }
    moved, base = report.correct[keys["coop", "food", "digits"]], report.correct[keys["coop", "", "digits"]]
    assert item.counts["scratch"][2, 1].tolist() == [(moved & ~base).sum(), (~moved & base).sum()]
    zero = report.correct[keys["zero_shot", "", "digits"]]
    assert item.counts["zero_shot"][2, 1].tolist() == [(moved & ~zero).sum(), (~moved & zero).sum()]


def test_marks_need_every_test_that_was_made():
    whole = make_study(**SMALL)
    item = transfers(whole)["CoOp, evaluate"]
    by_seeds, by_images = item.negative("scratch", "seeds"), item.negative("scratch", "images")
    marks = np.array(item.marks("scratch"))
    assert ((marks == "all") == (by_seeds & by_images)).all()
    assert ((marks == "some") == (by_seeds ^ by_images)).all()
    assert not by_images[item.own].any()
    one = transfers(dataclasses.replace(whole, correct={}))["CoOp, evaluate"]
    assert set(one.q_values["scratch"]) == {"seeds"}
    assert ((np.array(one.marks("scratch")) == "all") == by_seeds).all()
    none = transfers(make_study(**{**SMALL, "seeds": (1,), "images": 0}))["CoOp, evaluate"]
    assert none.q_values["scratch"] == {}
    assert {mark for row in none.marks("scratch") for mark in row} == {""}


def test_predictions_of_another_length_are_not_compared():
    report = make_study(**{**SMALL, "seeds": (1,)})
    plain = next(cell for _, cell in report.grid if (cell.method, cell.dataset, cell.source) == ("coop", "food", ""))
    cut = {**report.correct, plain.key: report.correct[plain.key][:-1]}
    item = transfers(dataclasses.replace(report, correct=cut))["CoOp, evaluate"]
    assert np.isnan(item.counts["scratch"][:, 2]).all()
    assert np.isfinite(item.counts["scratch"][:, [0, 1, 3]]).all()


def test_the_best_source_is_the_greatest_mean_gain_and_seeds_vote():
    item = transfers(make_study(**SMALL))["CoOp, adapt"]
    for j, row in enumerate(best_sources(item)):
        means = {TASKS[i]: item.gains["scratch"][i, j].mean() for i in range(4) if i != j}
        assert row["source"] == max(means, key=means.get)
        assert row["gain_over_scratch"] == pytest.approx(max(means.values()))
        votes = [max((i for i in range(4) if i != j), key=lambda i: item.raw[i, j, n]) for n in range(3)]
        assert row["agreeing"] == sum(TASKS[i] == row["source"] for i in votes)
        assert row["helpful"] == sum(gain > 0 for gain in means.values())


def test_correlations_are_over_tasks_whose_similarity_is_known():
    tasks = (*TASKS, "vehicles", "weather")
    report = make_study(**{**SMALL, "tasks": tasks})
    item = transfers(report)["CoOp, evaluate"]
    assert [row["pairs"] for row in correlations(item)] == [30, 30]
    known = report.similarities["bundled"]
    fewer = Similarities(known.tasks[:5], {name: matrix[:5, :5] for name, matrix in known.matrices.items()})
    item = transfers(dataclasses.replace(report, similarities={"bundled": fewer}))["CoOp, evaluate"]
    assert [row["pairs"] for row in correlations(item)] == [20, 20]
    item = transfers(dataclasses.replace(report, similarities={}))["CoOp, evaluate"]
    assert correlations(item) == []


def test_pairs_that_nobody_planned_are_no_holes():
    small = {**SMALL, "sources": "others", "readings": ("evaluate",), "protocol": "domain_generalization"}
    item = transfers(make_study(**small))["CoOp, evaluate"]
    assert item.planned.sum() == 4
    assert summary(item)["planned"] == 4
    assert summary(item)["partial"] == 0


def test_a_protocol_that_narrows_pairs_has_zero_shot_on_the_pair():
    small = {**SMALL, "sources": "others", "readings": ("evaluate",), "protocol": "domain_generalization"}
    report = make_study(**{**small, "methods": ({"name": "zero_shot", "label": "zero-shot"}, COOP)})
    board = build_board(report)
    assert [item.label for item in board.transfers] == ["CoOp, evaluate"]
    (item,) = board.transfers
    source = "|".join(TASKS[1:])
    pair = {"source": source, "dataset": "animals", "seed": 1}
    i = item.sources.index(source)
    assert item.zero_shot[i, 0, 0] == accuracy(report, method="zero_shot", **pair)
    assert item.gains["zero_shot"][i, 0, 0] == item.raw[i, 0, 0] - item.zero_shot[i, 0, 0]
    (leaderboard,) = board.leaderboards
    assert board.reference == "zero-shot"
    assert {row.label for row in leaderboard.rows} == {"zero-shot", "CoOp, evaluate"}
    assert [row.reference for row in leaderboard.rows].count(True) == 1
