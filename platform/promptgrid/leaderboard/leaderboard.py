"""One leaderboard: every method at one number of shots on one backbone, with everything the columns show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.analysis.companions import companions
from promptgrid.leaderboard.analysis.comparison import Comparison, compare_all
from promptgrid.leaderboard.analysis.sheets import Sheet, sheets
from promptgrid.leaderboard.analysis.split_metrics import SplitMeans, split_means, split_metrics
from promptgrid.leaderboard.analysis.targets import apart, ranked, score_frame
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.planned_grid import PlannedCell, is_zero_shot, spread
from promptgrid.leaderboard.recipes import CUT, TOGETHER, WRITTEN, Recipe, recipe_of
from promptgrid.leaderboard.text import slug
from promptgrid.leaderboard.transfer.matrices import Transfer, find_transfers
from promptgrid.spec import canonical_json
from promptgrid.spec.metrics import ACCURACY, Metric

SHOWN = 10
"""So many methods have a colour of their own in pictures; more cannot be told apart."""
SEED = 20_230_621
"""Seeds the rank bootstrap, so that the same records give the same bytes."""


FIRST = "stage_one_examples"
"""The metric that says what was spent before a cell began: in a first stage that many cells begin from."""


@dataclass(frozen=True)
class Range:
    """Median of a cost over the cells of a row, with its least and greatest; NaN where no cell finished."""

    median: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Row:
    """One method of a leaderboard. ``place`` counts ranked rows by mean; None for a row with holes or apart.

    ``apart`` says why a complete row is not ranked: empty where it is. ``source`` is the mean score on the tasks
    learned from, where those are no part of ``mean``. ``metric`` is what the scores are of. ``parity`` says how the
    method stands to its authors' code; it is empty where nobody said so.
    """

    label: str
    method: str
    settings: str
    kind: str
    selection: str
    done: int
    planned: int
    mean: st.Interval
    adjusted: bool
    reference: bool
    recipe: Recipe = field(default_factory=Recipe)
    metric: Metric = ACCURACY
    apart: str = ""
    place: int | None = None
    rank: st.Interval | None = None
    seeds: st.Interval | None = None
    datasets: st.Interval | None = None
    p_holm: float | None = None
    wins: tuple[int, int, int] | None = None
    source: float | None = None
    split: SplitMeans | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    trainable: Range = Range()
    train: Range = Range()
    evaluate: Range = Range()
    memory: Range = Range()
    first_stage: Range = Range()
    reasons: dict[str, int] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every planned cell finished."""
        return self.done == self.planned

    @property
    def ranked(self) -> bool:
        """Whether it is compared with the others: complete, and trained as its paper was or as a search chose."""
        return self.complete and not self.apart


@dataclass(frozen=True)
class Leaderboard:
    """Rows, best first (those apart behind them, incomplete ones last), and their tables: labels x datasets, fractions.

    In a study with sources the datasets are the targets; see :mod:`promptgrid.leaderboard.analysis.targets`.
    """

    backbone: str
    shots: int
    rows: tuple[Row, ...]
    datasets: tuple[str, ...]
    means: pd.DataFrame
    deviations: pd.DataFrame
    scores: pd.DataFrame
    grid: tuple[PlannedCell, ...]
    comparison: Comparison
    metric: Metric = ACCURACY

    @cached_property
    def counts(self) -> dict[tuple[str, str], int]:
        """Finished seeds by (label, dataset)."""
        pairs = zip(self.scores["label"], self.scores["dataset"], strict=True)
        return dict(Counter((str(label), str(dataset)) for label, dataset in pairs))

    @cached_property
    def partial(self) -> frozenset[tuple[str, str]]:
        """(label, dataset) that lack at least one planned seed."""
        return frozenset((planned.label, planned.cell.dataset) for planned in self.grid if planned.status != "done")


@dataclass(frozen=True)
class Board:
    """The whole report, computed: what sections draw from."""

    report: ReportInput
    grid: tuple[PlannedCell, ...]
    leaderboards: tuple[Leaderboard, ...]
    reference: str
    declared: bool
    transfers: tuple[Transfer, ...] = ()

    @cached_property
    def backbones(self) -> tuple[str, ...]:
        """Backbones in plan order."""
        return tuple(dict.fromkeys(leaderboard.backbone for leaderboard in self.leaderboards))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Rows of the leaderboards, in plan order: methods, with a reading behind them in a study with sources."""
        shown = {planned.label for leaderboard in self.leaderboards for planned in leaderboard.grid}
        return tuple(dict.fromkeys(planned.label for planned in self.grid if planned.label in shown))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many (method, cell) are planned, done, failed and missing.

        A cell that stands for many places counts once, and what a search chose is no part of the plan.
        """
        own = [planned for planned in self.grid if planned.label not in self.report.searched]
        statuses = list({(planned.label, planned.cell.key): planned.status for planned in own}.values())
        found = {status: statuses.count(status) for status in ("done", "failed", "missing")}
        return {"planned": len(statuses), **found}

    @cached_property
    def sheets(self) -> dict[str, list[Sheet]]:
        """What was answered at the most shots, by backbone; empty lists where no answers are kept."""
        largest = {leaderboard.backbone: leaderboard for leaderboard in self.leaderboards}
        return {name: sheets(one.grid, self.report.answers) for name, one in largest.items()}

    def suffix(self, backbone: str) -> str:
        """What file names of ``backbone`` end with: nothing where it is the only one, else ``_2-its-name``."""
        if len(self.backbones) == 1:
            return ""
        return f"_{self.backbones.index(backbone) + 1}-{slug(backbone)}"

    @cached_property
    def shown(self) -> frozenset[str]:
        """Labels that pictures draw in colour and name: zero-shot, and the first rows of the largest leaderboard."""
        first = [leaderboard for leaderboard in self.leaderboards if leaderboard.backbone == self.backbones[0]][-1:]
        rows = [row.label for leaderboard in first for row in leaderboard.rows] + list(self.labels)
        learners = list(dict.fromkeys(self.entry(label) for label in rows if label not in self.zero_shot))[:SHOWN]
        return self.zero_shot | frozenset(label for label in self.labels if self.entry(label) in learners)

    def entry(self, label: str) -> str:
        """The method of the suite that a row belongs to: its own, or that of what a search chose."""
        chosen = self.report.searched.get(label)
        return chosen.entry if chosen else label

    @cached_property
    def zero_shot(self) -> frozenset[str]:
        """Labels whose method is of the kind ``zero-shot``, or named so where kinds are not known."""
        methods = {planned.label: planned.cell.method for planned in self.grid}
        return frozenset(label for label, method in methods.items() if is_zero_shot(self.report, method))

    def is_zero_shot(self, label: str) -> bool:
        """Whether ``label`` is a method that learns nothing from the examples: drawn dashed."""
        return label in self.zero_shot


def build_board(report: ReportInput) -> Board:
    """Everything computed once, from the records alone."""
    grid = spread(report)
    declared = report.suite.reference is not None
    places: dict[tuple[str, int], list[PlannedCell]] = {}
    for planned in grid:
        places.setdefault((planned.cell.backbone, planned.shots), []).append(planned)
    reference = _reference(report, [planned for part in places.values() for planned in ranked(part)])
    leaderboards = tuple(
        build_leaderboard(report, backbone, shots, part, reference) for (backbone, shots), part in places.items()
    )
    order = {backbone: i for i, backbone in enumerate(dict.fromkeys(backbone for backbone, _ in places))}
    leaderboards = tuple(sorted(leaderboards, key=lambda item: (order[item.backbone], item.shots)))
    return Board(report, tuple(grid), leaderboards, reference, declared, find_transfers(report, grid))


def _reference(report: ReportInput, grid: Sequence[PlannedCell]) -> str:
    """The row to compare with: the first of the suite's reference method, else the first of all."""
    entry = report.suite.reference
    rows = [planned.label for planned in grid if entry in (None, planned.entry)]
    return rows[0] if rows else entry or ""


def build_leaderboard(
    report: ReportInput, backbone: str, shots: int, every: Sequence[PlannedCell], reference: str
) -> Leaderboard:
    """The leaderboard of ``every`` cell of one backbone and number of shots."""
    grid = ranked(every)
    labels = list(dict.fromkeys(planned.label for planned in grid))
    datasets = list(dict.fromkeys(planned.cell.dataset for planned in grid))
    scores = score_frame(grid, report.headline)
    means = st.dataset_means(scores, labels, datasets)
    rows = _apart(
        report, [_row(report, [s for s in grid if s.label == label], scores, means, reference) for label in labels]
    )
    whole = [row.label for row in rows if row.ranked]
    ranks = (
        st.rank_intervals(st.dataset_ranks(report.metric.sign * means.loc[whole]), np.random.default_rng(SEED))
        if whole
        else {}
    )
    rows = _with_split(_with_holm([replace(row, rank=ranks.get(row.label)) for row in rows]), grid, labels, datasets)
    beside = companions(grid, report.headline, labels, datasets)
    rows = [replace(row, beside=beside[row.label]) for row in rows]
    rows = _with_source(rows, grid, apart(every), report.headline)
    return Leaderboard(
        backbone=backbone,
        shots=shots,
        rows=tuple(_ordered(rows)),
        datasets=tuple(datasets),
        means=means,
        deviations=st.dataset_deviations(scores, labels, datasets),
        scores=scores,
        grid=tuple(grid),
        metric=report.metric,
        comparison=compare_all(report.metric.sign * means.loc[whole]),
    )


def _row(
    report: ReportInput, grid: Sequence[PlannedCell], scores: pd.DataFrame, means: pd.DataFrame, reference: str
) -> Row:
    first = grid[0]
    label, done = first.label, [planned for planned in grid if planned.status == "done"]
    complete = len(done) == len(grid)
    mean = st.mean_interval(scores, label) if complete else st.Interval(float(st.adjusted_means(means)[label]))
    row = Row(
        label=label,
        method=first.cell.method,
        settings=canonical_json(first.cell.settings),
        kind=report.kinds.get(first.cell.method, ""),
        selection=first.cell.selection,
        done=len(done),
        planned=len(grid),
        mean=mean,
        adjusted=not complete,
        reference=label == reference,
        recipe=recipe_of(report, grid),
        metric=report.metric,
        trainable=_range([s.record.cost.trainable_parameters for s in done if s.record]),
        train=_range([s.record.cost.train_seconds for s in done if s.record]),
        evaluate=_range([s.record.cost.eval_seconds for s in done if s.record]),
        memory=_range([s.record.cost.peak_memory_mb for s in done if s.record]),
        first_stage=_range([s.record.metrics[FIRST] for s in done if s.record and FIRST in s.record.metrics]),
        reasons=dict(Counter(planned.reason for planned in grid if planned.status != "done")),
        parity=report.parities.get(first.cell.method, {}),
    )
    if row.reference or reference not in means.index:
        return row
    gaps = _gaps(scores, label, reference)
    return replace(
        row,
        seeds=st.seed_difference(scores, label, reference),
        datasets=st.dataset_difference(gaps),
        wins=st.win_tie_loss(report.metric.sign * gaps, report.metric.tie),
    )


def _apart(report: ReportInput, rows: list[Row]) -> list[Row]:
    """Cut rows stand apart, and so do rows as written beside what a search chose for the same method."""
    beside = {"searched": WRITTEN, "ensemble": TOGETHER}
    chosen = {
        report.searched[row.label].entry: beside[row.recipe.kind]
        for row in sorted(rows, key=lambda row: row.recipe.kind)
        if row.label in report.searched and row.complete and row.recipe.kind in beside
    }
    why = {row.label: CUT if row.recipe.kind == "cut" else chosen.get(row.label, "") for row in rows}
    return [replace(row, apart=why[row.label] if row.complete else "") for row in rows]


def _gaps(scores: pd.DataFrame, label: str, reference: str) -> st.Vector:
    """Mean difference to the reference per dataset, over the seeds both finished."""
    wide = st.paired_scores(scores, label, reference)
    return np.asarray((wide[label] - wide[reference]).groupby("dataset").mean().to_numpy(dtype=float))


def _range(values: Sequence[float]) -> Range:
    if not values:
        return Range()
    return Range(float(np.median(values)), float(min(values)), float(max(values)))


def _with_holm(rows: list[Row]) -> list[Row]:
    """Holm over the comparisons with the reference that this table shows."""
    tested = [
        i for i, row in enumerate(rows) if not row.apart and row.datasets is not None and row.datasets.p is not None
    ]
    adjusted = st.holm([rows[i].datasets.p or 0.0 for i in tested])  # type: ignore[union-attr]  # filtered above
    for i, p in zip(tested, adjusted, strict=True):
        rows[i] = replace(rows[i], p_holm=p)
    return rows


def _with_split(rows: list[Row], grid: Sequence[PlannedCell], labels: list[str], datasets: list[str]) -> list[Row]:
    """Base and new means for protocols that score both."""
    names = split_metrics({name for s in grid if s.record for name in s.record.metrics})
    if names is None:
        return rows
    tables = [st.dataset_means(score_frame(grid, name), labels, datasets) for name in names]
    means = split_means(tables[0], tables[1])
    return [replace(row, split=means[row.label]) for row in rows]


def _with_source(rows: list[Row], grid: Sequence[PlannedCell], own: Sequence[PlannedCell], metric: str) -> list[Row]:
    """Mean score of each row's method on the tasks of ``own``, which the ranking leaves out; where all finished."""
    entries = {planned.label: planned.entry for planned in grid}
    scores: dict[str, list[float]] = {}
    for planned in own:
        done = planned.record is not None and planned.status == "done"
        value = planned.record.metrics.get(metric, math.nan) if done and planned.record else math.nan
        scores.setdefault(planned.entry, []).append(value)
    means = {entry: float(np.mean(values)) for entry, values in scores.items()}
    return [replace(row, source=means.get(entries[row.label])) for row in rows]


def _ordered(rows: list[Row]) -> list[Row]:
    """Ranked rows, best mean first, with their places (equal means share one); those apart; the others, best first."""

    def by_mean(row: Row) -> tuple[bool, float]:
        return math.isnan(row.mean.value), -row.metric.sign * row.mean.value

    ordered = sorted(rows, key=by_mean)
    means = [round(row.mean.value, st.SAME) for row in ordered if row.ranked]
    placed = [replace(row, place=1 + means.index(round(row.mean.value, st.SAME))) for row in ordered if row.ranked]
    apart = [row for row in ordered if row.apart]
    return placed + apart + [row for row in ordered if not row.complete]
