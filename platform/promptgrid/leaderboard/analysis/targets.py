"""Which cells of a study with sources a leaderboard ranks, and the mean over sources it ranks them by.

Cross-dataset tables average over the targets and report the source apart; domain generalisation averages over the
shifted domains, the source domain apart; leave-one-domain-out over the domains left out. All three are one rule: a
target counts where it is no part of what was learned from. With several sources a target's score is the mean over them.
Sources: Zhou et al., CVPR 2022 (CoCoOp), tables 2 and 3; Gulrajani and Lopez-Paz, ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.planned_grid import PlannedCell, is_multitask, pair_frame, parts_of
from promptgrid.spec import Cell

SCORES = ["label", "dataset", "seed", "value"]


def is_own(cell: Cell) -> bool:
    """Whether the target of ``cell`` is (part of) what its source learned from, and so no test of transfer.

    In multitask rows (see :mod:`promptgrid.leaderboard.planned_grid`) being part of it is the point.
    """
    if not cell.reading:
        return False
    return cell.dataset == cell.source or (cell.dataset in parts_of(cell.source) and not is_multitask(cell))


def ranked(grid: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Those of ``grid`` (one backbone, one number of shots) that a leaderboard ranks; all where there is no source.

    Of a study with sources: every cell whose target is no part of its source, and the plain cells on those targets
    of methods that have one on each of them (zero-shot, learning from scratch).
    """
    targets = {planned.cell.dataset for planned in grid if planned.cell.reading and not is_own(planned.cell)}
    if not any(planned.cell.reading for planned in grid):
        return list(grid)
    covered: dict[str, set[str]] = {}
    for planned in grid:
        if not planned.cell.reading:
            covered.setdefault(planned.label, set()).add(planned.cell.dataset)
    return [
        planned
        for planned in grid
        if (planned.cell.reading and not is_own(planned.cell))
        or (not planned.cell.reading and planned.cell.dataset in targets and targets <= covered[planned.label])
    ]


def apart(grid: Sequence[PlannedCell]) -> list[PlannedCell]:
    """The plain cells of ``grid`` that :func:`ranked` leaves out: scores on the sources themselves."""
    kept = {id(planned) for planned in ranked(grid)}
    return [planned for planned in grid if not planned.cell.reading and id(planned) not in kept]


def score_frame(grid: Sequence[PlannedCell], metric: str) -> pd.DataFrame:
    """label, dataset, seed, value: ``metric`` of each finished cell, averaged over sources where there are some.

    Where some of a method's sources have not finished on a target, the mean over all of them is adjusted by the
    additive model (method + source), as everywhere a plain mean would reward a failure; NaN rows are left out.
    """
    pairs = pair_frame(grid, metric)
    plain = pairs[pairs["source"] == ""][SCORES]
    sources: dict[str, set[str]] = {}
    for planned in grid:
        if planned.cell.source:
            sources.setdefault(planned.label, set()).add(planned.cell.source)
    if not sources:
        return plain.reset_index(drop=True)
    wanted = {(planned.label, planned.cell.dataset, planned.cell.source) for planned in grid if planned.cell.source}
    moved = pairs[pairs["source"] != ""]
    parts = [plain]
    for (dataset, seed), part in moved.groupby(["dataset", "seed"], sort=False):
        for names, labels in _alike(sources, wanted, str(dataset)).items():
            table = part.pivot(index="label", columns="source", values="value").reindex(index=labels, columns=names)
            means = st.adjusted_means(table.astype(float)).dropna()
            rows = [(label, dataset, seed, value) for label, value in means.items()]
            parts.append(pd.DataFrame(rows, columns=SCORES).astype(plain.dtypes.to_dict()))
    return pd.concat([part for part in parts if len(part)] or [plain], ignore_index=True)


def _alike(
    sources: dict[str, set[str]], wanted: set[tuple[str, str, str]], dataset: str
) -> dict[tuple[str, ...], list[str]]:
    """Labels by the sources they meet ``dataset`` from: only those with the same ones fill each other's holes."""
    found: dict[tuple[str, ...], list[str]] = {}
    for label, names in sources.items():
        mine = tuple(sorted(name for name in names if (label, dataset, name) in wanted))
        if mine:
            found.setdefault(mine, []).append(label)
    return found
