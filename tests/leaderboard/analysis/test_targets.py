"""Which cells of a study with sources the ordinary tables hold, and the averages of the papers."""

import math

import numpy as np
import pandas as pd
import pytest
from tests.leaderboard.transfer_study import make_study

from promptgrid.leaderboard import results_frame
from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.planned_grid import is_multitask, parts_of

TASKS = ("animals", "digits", "food", "mnist")
ZERO = {"name": "zero_shot", "label": "zero-shot", "readings": []}
COOP = {"name": "coop", "label": "CoOp"}
SMALL = {"tasks": TASKS, "methods": (ZERO, COOP), "decide": lambda cell: "done", "images": 0}


def only_leaderboard(report):
    (leaderboard,) = build_board(report).leaderboards
    return leaderboard, {row.label: row for row in leaderboard.rows}


def score(report, **wanted):
    """Mean accuracy of the cells that match."""
    cells = [cell for _, cell in report.grid if all(getattr(cell, name) == value for name, value in wanted.items())]
    return float(np.mean([report.records[cell.key].metrics["accuracy"] for cell in cells]))


def test_a_transfer_study_ranks_readings_beside_scratch_and_zero_shot():
    report = make_study(**SMALL)
    leaderboard, rows = only_leaderboard(report)
    assert set(rows) == {"zero-shot", "CoOp, from scratch", "CoOp, evaluate", "CoOp, adapt"}
    assert leaderboard.datasets == TASKS
    assert all(row.complete and row.source is None for row in rows.values())
    assert (rows["CoOp, evaluate"].planned, rows["CoOp, from scratch"].planned) == (4 * 3 * 3, 4 * 3)
    per_target = [
        np.mean([score(report, dataset=j, source=i, reading="evaluate") for i in TASKS if i != j]) for j in TASKS
    ]
    assert rows["CoOp, evaluate"].mean.value == pytest.approx(np.mean(per_target))
    assert leaderboard.means.loc["CoOp, evaluate"].tolist() == pytest.approx(per_target)
    plain = [score(report, dataset=j, method="coop", reading="") for j in TASKS]
    assert leaderboard.means.loc["CoOp, from scratch"].tolist() == pytest.approx(plain)


def test_a_target_cell_never_enters_a_row_of_plain_cells():
    report = make_study(**SMALL)
    leaderboard, _ = only_leaderboard(report)
    for planned in leaderboard.grid:
        assert planned.cell.source != planned.cell.dataset
        assert (", evaluate" in planned.label) == (planned.cell.reading == "evaluate")
        assert (", adapt" in planned.label) == (planned.cell.reading == "adapt")
    frame = results_frame(report)
    assert set(frame["label"]) == {"zero-shot", "CoOp"}
    assert set(frame["reading"]) == {"", "evaluate", "adapt"}
    plain = frame[frame["reading"] == ""]
    assert set(plain["source"]) == {""}
    assert set(plain["protocol"]) == {"few_shot"}
    assert len(frame[frame["source"] == "digits"]) == 2 * 4 * 3


def test_cross_dataset_averages_the_targets_and_keeps_the_source_apart():
    targets = TASKS[1:]
    small = {**SMALL, "tasks": targets, "sources": ["animals"], "readings": ("evaluate",), "protocol": "cross_dataset"}
    report = make_study(**small)
    leaderboard, rows = only_leaderboard(report)
    assert set(rows) == {"zero-shot", "CoOp, evaluate"}
    assert leaderboard.datasets == targets
    moved = [score(report, dataset=j, reading="evaluate") for j in targets]
    assert rows["CoOp, evaluate"].mean.value == pytest.approx(np.mean(moved))
    assert rows["CoOp, evaluate"].source == pytest.approx(score(report, method="coop", dataset="animals"))
    assert rows["zero-shot"].source is None


def test_a_source_listed_among_the_targets_is_no_target():
    report = make_study(**{**SMALL, "sources": ["animals"], "readings": ("evaluate",)})
    leaderboard, rows = only_leaderboard(report)
    assert leaderboard.datasets == TASKS[1:]
    assert rows["zero-shot"].source == pytest.approx(score(report, method="zero_shot", dataset="animals"))


def test_leave_one_domain_out_averages_the_domains_left_out():
    small = {**SMALL, "sources": "others", "readings": ("evaluate",), "protocol": "domain_generalization"}
    report = make_study(**small)
    _, rows = only_leaderboard(report)
    assert set(rows) == {"zero-shot", "CoOp, evaluate"}
    moved = [score(report, dataset=j, reading="evaluate") for j in TASKS]
    assert rows["CoOp, evaluate"].mean.value == pytest.approx(np.mean(moved))
    assert rows["CoOp, evaluate"].planned == 4 * 3
    sources = [score(report, dataset="|".join(i for i in TASKS if i != j)) for j in TASKS]
    assert rows["CoOp, evaluate"].source == pytest.approx(np.mean(sources))


def test_a_failed_source_is_adjusted_for_never_averaged_away():
    def decide(cell):
        return "NEEDS_FAILED" if (cell.method, cell.source) == ("vpt", "digits") else "done"

    methods = (ZERO, COOP, {"name": "vpt", "label": "VPT"})
    report = make_study(**{**SMALL, "methods": methods, "decide": decide, "readings": ("evaluate",)})
    leaderboard, rows = only_leaderboard(report)
    vpt = rows["VPT, evaluate"]
    assert (vpt.place, vpt.adjusted, vpt.done, vpt.planned) == (None, True, 27, 36)
    assert vpt.reasons == {"NEEDS_FAILED": 9}
    # on animals: VPT from food and mnist, plus what digits is above the mean of the others for CoOp
    coop = {i: [cell_score(report, "coop", i, "animals", n) for n in (1, 2, 3)] for i in TASKS[1:]}
    mine = {i: [cell_score(report, "vpt", i, "animals", n) for n in (1, 2, 3)] for i in ("food", "mnist")}
    offset = np.mean([np.subtract(mine[i], coop[i]) for i in mine], axis=0)
    expected = np.mean(list(coop.values()), axis=0) + offset
    assert leaderboard.means.at["VPT, evaluate", "animals"] == pytest.approx(np.mean(expected))
    assert matrix_cells(leaderboard)["VPT, evaluate", "animals"].reason == "NEEDS_FAILED"


def cell_score(report, method, source, target, seed):
    return score(report, method=method, source=source, dataset=target, seed=seed)


def test_where_nobody_met_a_source_a_target_has_no_mean():
    report = make_study(**{**SMALL, "decide": lambda cell: "CONFIG" if cell.source == "food" else "done"})
    leaderboard, rows = only_leaderboard(report)
    assert rows["CoOp, evaluate"].adjusted
    assert leaderboard.means.loc["CoOp, evaluate"].isna().tolist() == [True, True, False, True]


def test_the_interval_of_the_best_counts_seeds_and_not_sources():
    report = make_study(**SMALL)
    leaderboard, _ = only_leaderboard(report)
    cells = matrix_cells(leaderboard)
    best = max(cells["CoOp, adapt", "food"], cells["CoOp, from scratch", "food"], key=lambda cell: cell.mean)
    floor = best.mean - 4.302652729911275 * best.sd / math.sqrt(3)  # t(.975, 2)
    for label in ("CoOp, adapt", "CoOp, from scratch"):
        assert cells[label, "food"].near == (floor <= cells[label, "food"].mean < best.mean)


def test_several_tasks_learned_together_are_rows_of_their_own():
    small = {**SMALL, "sources": ["animals+digits"], "readings": ("adapt",)}
    _, rows = only_leaderboard(make_study(**small))
    assert set(rows) == {"zero-shot", "CoOp, learned together, adapt", "CoOp, new to the group, adapt"}
    assert rows["CoOp, learned together, adapt"].planned == 2 * 3


@pytest.mark.parametrize(
    ("source", "parts", "multitask"),
    [
        ("a", ["a"], False),
        ("a+b", ["a", "b"], True),
        ("a|b|c", ["a", "b", "c"], False),
        ("folder:/data/a+b", ["folder:/data/a+b"], False),
        ("folder:/a+folder:/b", ["folder:/a", "folder:/b"], True),
    ],
)
def test_parts_of_a_source(source, parts, multitask):
    _, cell = make_study(**{**SMALL, "tasks": ("food", "mnist")}).grid[0]
    moved = cell.model_copy(update={"source": source})
    assert parts_of(source) == parts
    assert is_multitask(moved) == multitask


def test_a_suite_without_sources_is_ranked_as_before(full):
    (first, *_) = build_board(full).leaderboards
    assert first.datasets == tuple(full.suite.datasets)
    assert not build_board(full).transfers
    assert isinstance(first.scores, pd.DataFrame)
    assert list(first.scores.columns) == ["label", "dataset", "seed", "value"]
