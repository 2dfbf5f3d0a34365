"""Rows learned together stand beside rows that learned each task alone."""

import math

import numpy as np
import pytest
from tests.leaderboard.transfer_study import make_study

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.sections import multitask

TASKS = ("animals", "digits", "food", "mnist")
ZERO = {"name": "zero_shot", "label": "zero-shot", "readings": []}
ALONE = {"name": "coop", "label": "CoOp, one task", "context_length": 4, "readings": []}
TOGETHER = {"name": "mvlpt_coop", "label": "MVLPT", "context_length": 4}
SMALL = {
    "tasks": TASKS,
    "methods": (ZERO, ALONE, TOGETHER),
    "sources": ["animals+digits", "food+mnist"],
    "readings": ("adapt",),
    "decide": lambda cell: "done",
    "images": 0,
}


def table_of(report):
    return multitask.facts(build_board(report))["tables"][0]


def mean(report, label, dataset, source=""):
    cells = [c for name, c in report.grid if (name, c.dataset, c.source) == (label, dataset, source)]
    return np.mean([report.records[cell.key].metrics["accuracy"] for cell in cells])


def test_differences_are_to_the_same_settings_alone():
    report = make_study(**SMALL)
    rows = {row["label"]: row for row in table_of(report)["rows"]}
    assert list(rows) == ["CoOp, one task", "MVLPT, learned together, adapt", "MVLPT, new to the group, adapt"]
    together = rows["MVLPT, learned together, adapt"]
    assert together["single"] == "CoOp, one task"
    groups = {"animals": "animals+digits", "digits": "animals+digits", "food": "food+mnist", "mnist": "food+mnist"}
    for name, score, gap in zip(TASKS, together["scores"], together["differences"], strict=True):
        assert score == pytest.approx(mean(report, "MVLPT", name, groups[name]))
        assert gap == pytest.approx(score - mean(report, "CoOp, one task", name))
    assert together["mean_difference"] == pytest.approx(np.mean(together["differences"]))
    assert together["better"] == sum(gap > 0 for gap in together["differences"])
    assert table_of(report)["groups"] == ["animals+digits", "food+mnist"]


def test_other_settings_or_two_candidates_are_no_partner():
    other = {**ALONE, "context_length": 16}
    rows = table_of(make_study(**{**SMALL, "methods": (ZERO, other, TOGETHER)}))["rows"]
    assert [row["single"] for row in rows] == [None, None]
    assert all(math.isnan(row["mean_difference"]) for row in rows)
    twice = (ZERO, ALONE, {**ALONE, "name": "vpt", "label": "VPT"}, TOGETHER)
    assert {row["single"] for row in table_of(make_study(**{**SMALL, "methods": twice}))["rows"]} == {None}
    own = (*twice, {**TOGETHER, "label": "MVLPT, one task", "readings": []})
    rows = table_of(make_study(**{**SMALL, "methods": own}))["rows"]
    assert [(row["single"], row["plain"]) for row in rows] == [
        (None, True),
        ("MVLPT, one task", False),
        ("MVLPT, one task", False),
    ]


def test_a_row_says_in_which_form_tasks_were_learned_together(tmp_path):
    form = {"softmax": "all_tasks", "batches": "mixed"}
    report = make_study(**{**SMALL, "methods": (ZERO, ALONE, {**TOGETHER, **form})})
    rows = {row["label"]: row for row in table_of(report)["rows"]}
    together = rows["MVLPT, learned together, adapt"]
    assert together["single"] == "CoOp, one task", "what it says of several tasks beside is no other setting"
    assert together["form"] == "batches mixed, softmax all tasks"
    assert rows["CoOp, one task"]["form"] == ""
    assert "against CoOp, one task; batches mixed, softmax all tasks" in write_report(report, tmp_path).html.read_text()
    assert {row["form"] for row in table_of(make_study(**SMALL))["rows"]} == {""}


def test_the_section_is_on_the_page_and_only_there(tmp_path, full):
    text = write_report(make_study(**SMALL), tmp_path).html.read_text()
    assert 'id="multitask"' in text
    assert "against CoOp, one task" in text
    assert multitask.facts(build_board(full)) is None
    assert multitask.facts(build_board(make_study(**{**SMALL, "sources": "datasets"}))) is None
