"""Which squares of a study with sources a leaderboard ranks, and the mean over sources it ranks them by.

Cross-dataset tables average over the targets and report the source apart; domain generalisation averages over the
shifted domains, the source domain apart; leave-one-domain-out over the domains left out. All three are one rule: a
target counts where it is no part of what was learned from. With several sources a target's score is the mean over them.
Sources: Zhou et al., CVPR 2022 (CoCoOp), tables 2 and 3; Gulrajani and Lopez-Paz, ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.planned_grid import Square, is_multitask, pair_frame, parts_of
from promptgrid.spec import Cell

SCORES = ["label", "dataset", "seed", "value"]


def is_own(cell: Cell) -> bool:
    """Whether the target of ``cell`` is (part of) what its source learned from, and so no test of transfer.

    In multitask rows (see :mod:`promptgrid.leaderboard.planned_grid`) being part of it is the point.
    """
    if not cell.reading:
        return False
    return cell.dataset == cell.source or (cell.dataset in parts_of(cell.source) and not is_multitask(cell))


def ranked(squares: Sequence[Square]) -> list[Square]:
    """Those of ``squares`` (one backbone, one number of shots) that a leaderboard ranks; all where there is no source.

    Of a study with sources: every square whose target is no part of its source, and the plain squares on those targets
    of methods that have one on each of them (zero-shot, learning from scratch).
    """
    targets = {square.cell.dataset for square in squares if square.cell.reading and not is_own(square.cell)}
    if not any(square.cell.reading for square in squares):
        return list(squares)
    covered: dict[str, set[str]] = {}
    for square in squares:
        if not square.cell.reading:
            covered.setdefault(square.label, set()).add(square.cell.dataset)
    return [
        square
        for square in squares
        if (square.cell.reading and not is_own(square.cell))
        or (not square.cell.reading and square.cell.dataset in targets and targets <= covered[square.label])
    ]


def apart(squares: Sequence[Square]) -> list[Square]:
    """The plain squares of ``squares`` that :func:`ranked` leaves out: scores on the sources themselves."""
    kept = {id(square) for square in ranked(squares)}
    return [square for square in squares if not square.cell.reading and id(square) not in kept]


def score_frame(squares: Sequence[Square], metric: str) -> pd.DataFrame:
    """label, dataset, seed, value: ``metric`` of each finished square, averaged over sources where there are some.

    Where some of a method's sources have not finished on a target, the mean over all of them is adjusted by the
    additive model (method + source), as everywhere a plain mean would reward a failure; NaN rows are left out.
    """
    pairs = pair_frame(squares, metric)
    plain = pairs[pairs["source"] == ""][SCORES]
    sources: dict[str, set[str]] = {}
    for square in squares:
        if square.cell.source:
            sources.setdefault(square.label, set()).add(square.cell.source)
    if not sources:
        return plain.reset_index(drop=True)
    wanted = {(square.label, square.cell.dataset, square.cell.source) for square in squares if square.cell.source}
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
