import math

import numpy as np
import pytest

from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.analysis.split_metrics import split_metrics
from promptgrid.leaderboard.analysis.statistics import harmonic
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.spec import Cell


def leaderboard_of(report, shots=16):
    return next(leaderboard for leaderboard in build_board(report).leaderboards if leaderboard.shots == shots)


def by_label(leaderboard):
    return {row.label: row for row in leaderboard.rows}


def scores(report, label, shots=16, metric="accuracy"):
    """{dataset: values over seeds}, straight from the records."""
    found = {}
    for name, cell in report.grid:
        if name == label and cell.shots == shots and cell.key in report.records:
            found.setdefault(cell.dataset, []).append(report.records[cell.key].metrics[metric])
    return found


def test_means_places_and_differences_follow_the_records(full):
    rows = by_label(leaderboard_of(full))
    plain = {label: np.mean([np.mean(v) for v in scores(full, label).values()]) for label in full.suite.labels}
    for label, row in rows.items():
        assert row.mean.value == pytest.approx(plain[label])
    order = sorted(plain, key=plain.get, reverse=True)
    assert [row.label for row in leaderboard_of(full).rows] == order
    assert [row.place for row in leaderboard_of(full).rows] == list(range(1, 10))
    gap = rows["coop"].mean.value - rows["zero_shot"].mean.value
    assert rows["coop"].seeds.value == pytest.approx(gap)
    assert rows["coop"].datasets.value == pytest.approx(gap)
    assert sum(rows["coop"].wins) == 8


def test_rows_with_holes_are_adjusted_marked_and_not_ranked(holed):
    leaderboard = leaderboard_of(holed)
    rows = by_label(leaderboard)
    for label in ("maple", "prograd", "kgcoop"):
        assert rows[label].adjusted
        assert rows[label].place is None
        assert rows[label].rank is None
        assert rows[label].mean.low is None
    assert (rows["maple"].done, rows["maple"].planned) == (21, 24)
    assert rows["maple"].reasons == {"OOM_GPU": 3}
    assert rows["kgcoop"].reasons == {"MISSING": 1}
    assert [row.adjusted for row in leaderboard.rows] == [False] * 6 + [True] * 3
    naive = np.mean([np.mean(values) for values in scores(holed, "maple").values()])
    assert abs(rows["maple"].mean.value - naive) > 1e-4
    assert max(row.rank.value for row in leaderboard.rows if row.rank) <= 6


def test_an_adjusted_difference_is_over_the_datasets_both_finished(holed):
    row = by_label(leaderboard_of(holed))["maple"]
    mine, theirs = scores(holed, "maple"), scores(holed, "zero_shot")
    expected = np.mean([np.mean(mine[name]) - np.mean(theirs[name]) for name in mine])
    assert row.seeds.value == pytest.approx(expected)
    assert row.seeds.n == 7


def test_the_reference_is_the_first_method_unless_declared(full, make_report):
    assert (build_board(full).reference, build_board(full).declared) == ("zero_shot", False)
    declared = build_board(make_report(reference="coop"))
    assert (declared.reference, declared.declared) == ("coop", True)
    rows = by_label(declared.leaderboards[0])
    assert rows["coop"].reference
    assert rows["coop"].seeds is None
    assert rows["zero_shot"].seeds is not None


def test_holm_is_over_the_rows_shown(full):
    rows = [row for row in leaderboard_of(full, 1).rows if row.datasets]
    smallest = min(rows, key=lambda row: row.datasets.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 8 * smallest.datasets.p))


def test_one_seed_gives_means_without_seed_intervals(make_report):
    leaderboard = leaderboard_of(make_report(seeds=(1,)))
    assert all(row.mean.low is None and row.place for row in leaderboard.rows)
    coop = by_label(leaderboard)["coop"]
    assert coop.seeds.low is None
    assert coop.datasets.low is not None


def test_each_backbone_and_number_of_shots_stands_alone(make_report):
    board = build_board(make_report(backbones=("one", "two"), shots=(16, 1)))
    assert [(s.backbone, s.shots) for s in board.leaderboards] == [("one", 1), ("one", 16), ("two", 1), ("two", 16)]
    assert all(len(leaderboard.rows) == 9 for leaderboard in board.leaderboards)


def test_base_to_new_shows_both_harmonic_means(make_report):
    report = make_report(protocol="base_to_new", methods=["zero_shot", "coop"])
    row = by_label(leaderboard_of(report))["coop"]
    base = [np.mean(v) for v in scores(report, "coop", metric="base_accuracy").values()]
    new = [np.mean(v) for v in scores(report, "coop", metric="new_accuracy").values()]
    assert row.split.base == pytest.approx(np.mean(base))
    assert row.split.new == pytest.approx(np.mean(new))
    assert row.split.h_of_means == pytest.approx(harmonic(np.mean(base), np.mean(new)))
    assert row.split.mean_of_h == pytest.approx(np.mean([harmonic(b, n) for b, n in zip(base, new, strict=True)]))
    assert row.split.h_of_means > row.split.mean_of_h


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["accuracy", "macro_f1"], None),
        (["base_accuracy", "new_accuracy", "base_macro_f1", "new_macro_f1"], ("base_accuracy", "new_accuracy")),
        (["accuracy/base", "accuracy/new", "h"], ("accuracy/base", "accuracy/new")),
        (["base", "new", "h"], ("base", "new")),
        (["base_accuracy"], None),
    ],
)
def test_split_metrics_are_found_by_name(names, pair):
    assert split_metrics(names) == pair


def test_a_cell_that_ignores_shots_and_seed_stands_in_every_table(full):
    """A track may resolve every zero-shot cell to one cell with shots 0 and seed 0."""
    grid, records = [], {}
    for label, cell in full.grid:
        record = full.records[cell.key]
        if label == "zero_shot":
            identity = {"method": "zero_shot", "dataset": cell.dataset}
            cell = cell.model_copy(update={"shots": 0, "seed": 0, "identity": identity})
            cell = Cell.model_validate(cell.model_dump())
            record = record.model_copy(update={"cell": cell})
        grid.append((label, cell))
        records[cell.key] = record
    report = ReportInput(full.suite, grid, records, {}, "accuracy")
    for leaderboard in build_board(report).leaderboards:
        row = by_label(leaderboard)["zero_shot"]
        assert row.complete
        assert row.planned == 24
        assert by_label(leaderboard)["coop"].seeds.low is not None


def test_matrix_marks_the_best_its_neighbours_and_the_reasons(holed):
    leaderboard = leaderboard_of(holed)
    cells = matrix_cells(leaderboard)
    for dataset in leaderboard.datasets:
        column = {label: cells[label, dataset] for label in leaderboard.means.index}
        whole = {label: cell for label, cell in column.items() if cell.done == cell.planned}
        top = max(whole.values(), key=lambda cell: cell.mean)
        assert [label for label, cell in column.items() if cell.best] == [
            label for label, cell in whole.items() if cell.mean == top.mean
        ]
        floor = top.mean - 4.302652729911275 * top.sd / math.sqrt(3)  # t(.975, 2)
        assert {label for label, cell in whole.items() if cell.near} == {
            label for label, cell in whole.items() if floor <= cell.mean < top.mean
        }
    gone = cells["maple", "digits"]
    assert (gone.done, gone.reason, gone.best) == (0, "OOM_GPU", False)
    assert math.isnan(gone.mean)
    assert (cells["prograd", "flags"].done, cells["prograd", "flags"].reason) == (2, "NAN_LOSS")


def test_a_method_with_fewer_seeds_than_planned_is_never_best(make_report):
    def decide(cell):
        return "TIMEOUT" if (cell.method, cell.seed) == ("coop", 3) else "done"

    report = make_report(methods=["zero_shot", "coop"], decide=decide)
    cells = matrix_cells(leaderboard_of(report))
    assert all(cells["zero_shot", name].best for name in leaderboard_of(report).datasets)


@pytest.mark.parametrize("status", ["missing", "OOM_HOST"])
def test_nothing_finished_is_still_a_leaderboard(make_report, status):
    leaderboard = leaderboard_of(make_report(decide=lambda cell: status))
    assert len(leaderboard.rows) == 9
    assert all(math.isnan(row.mean.value) and row.place is None for row in leaderboard.rows)
