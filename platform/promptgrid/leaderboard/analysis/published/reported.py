"""What each of our rows measured, in the papers' terms: seed by seed, on datasets and in averages papers know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from promptgrid.leaderboard.analysis.statistics import harmonic
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.planned_grid import PlannedCell, is_zero_shot, planned_cells
from promptgrid.spec import Cell

Seeds = dict[int, float]
"""A metric by seed, as fractions."""


@dataclass(frozen=True)
class Measured:
    """One of our rows on one dataset, or on an average over several: metrics by name, each by seed.

    ``cell`` is any of the cells behind it: they differ in seed, in an average also in dataset.
    """

    label: str
    cell: Cell
    dataset: str
    metrics: Mapping[str, Seeds]


def measured(report: ReportInput) -> list[Measured]:
    """Every finished row on every dataset whose papers' name is known, in plan order.

    A method that learns nothing from examples gives the same at each number of shots: only the largest is kept.
    """
    groups: dict[tuple[object, ...], list[PlannedCell]] = {}
    for planned in planned_cells(report):
        cell = planned.cell
        if planned.status == "done" and planned.label not in report.searched and report.known_as.get(cell.dataset):
            groups.setdefault((planned.label, cell.source, cell.dataset, cell.backbone, planned.shots), []).append(
                planned
            )
    found = [_measured(report, grid) for grid in groups.values()]
    most = max((each.cell.shots for each in found), default=0)
    return [each for each in found if not is_zero_shot(report, each.cell.method) or each.cell.shots == most]


def averages(rows: Sequence[Measured], over: Mapping[str, Sequence[str]]) -> list[Measured]:
    """Means of ``rows`` over the datasets of ``over`` (by the average's name), where a row finished all of them.

    Base and new accuracies also give both harmonic means, each under its name; a seed counts where every dataset
    finished it.
    """
    groups: dict[tuple[object, ...], dict[str, Measured]] = {}
    for row in rows:
        place = (row.label, row.cell.source, row.cell.backbone, row.cell.shots)
        groups.setdefault(place, {})[row.dataset] = row
    return [
        _average(name, [group[dataset] for dataset in datasets])
        for group in groups.values()
        for name, datasets in over.items()
        if set(datasets) <= group.keys()
    ]


def _measured(report: ReportInput, grid: Sequence[PlannedCell]) -> Measured:
    first = grid[0]
    metrics: dict[str, Seeds] = {}
    for planned in grid:
        assert planned.record is not None  # done cells have one
        for name, value in planned.record.metrics.items():
            metrics.setdefault(name, {})[planned.seed] = value
    return Measured(first.label, first.cell, report.known_as[first.cell.dataset], metrics)


def _average(name: str, parts: Sequence[Measured]) -> Measured:
    metrics: dict[str, Seeds] = {}
    for metric in set.intersection(*(set(part.metrics) for part in parts)):
        seeds = sorted(set.intersection(*(set(part.metrics[metric]) for part in parts)))
        metrics[metric] = {seed: fmean(part.metrics[metric][seed] for part in parts) for seed in seeds}
    if "harmonic_mean" in metrics:
        metrics["mean_of_h"] = metrics.pop("harmonic_mean")
        base, new = metrics["base_accuracy"], metrics["new_accuracy"]
        metrics["h_of_means"] = {seed: harmonic(base[seed], new[seed]) for seed in base.keys() & new.keys()}
    return Measured(parts[0].label, parts[0].cell, name, metrics)
