"""How much a table rests on single datasets and seeds, and summaries that outliers move less. Pure functions.

Scores count in the metric's own direction where more is better; callers turn the others round. Source of the
interquartile mean and the probability of improvement: Agarwal et al., NeurIPS 2021.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from promptgrid.leaderboard.analysis.statistics import SAME, dataset_ranks, holm, win_tie_loss


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half of the values: a quarter of them, rounded down, is cut off at either end."""
    return float(stats.trim_mean(np.asarray(values, dtype=float), 0.25))


def probability_of_improvement(scores: pd.DataFrame, label: str, reference: str) -> float | None:
    """How often a seed of ``label`` beats a seed of ``reference``, ties counting half; mean over shared datasets."""
    shares = []
    own, others = (scores[scores["label"] == name].groupby("dataset")["value"] for name in (label, reference))
    theirs = {name: group.to_numpy(dtype=float) for name, group in others}
    for name, group in own:
        if name in theirs:
            gaps = np.round(group.to_numpy(dtype=float)[:, None] - theirs[name][None, :], SAME)
            shares.append(float(((gaps > 0) + 0.5 * (gaps == 0)).mean()))
    return float(np.mean(shares)) if shares else None


@dataclass(frozen=True)
class Duel:
    """Two rows over the datasets of a table: mean difference, datasets won, tied and lost, Wilcoxon's p and Holm's."""

    first: str
    second: str
    gap: float
    wins: tuple[int, int, int]
    p: float
    p_holm: float = 1.0


def duels(table: pd.DataFrame, tie: float) -> list[Duel]:
    """Every pair of the rows of ``table`` (labels x datasets, no holes), Holm over all of them."""
    found = []
    for first, second in itertools.combinations(table.index, 2):
        gaps = np.round((table.loc[first] - table.loc[second]).to_numpy(dtype=float), SAME)
        p = float(stats.wilcoxon(gaps).pvalue) if np.any(gaps != 0) else 1.0
        found.append(Duel(str(first), str(second), float(gaps.mean()), win_tie_loss(gaps, tie), p))
    corrected = holm([one.p for one in found])
    return [Duel(o.first, o.second, o.gap, o.wins, o.p, p) for o, p in zip(found, corrected, strict=True)]


@dataclass(frozen=True)
class LeftOut:
    """The places of a row by mean, and of its mean rank, where each dataset in turn is left out."""

    label: str
    place: int
    best: int
    worst: int
    mean_rank: float
    rank_low: float
    rank_high: float


def left_out(table: pd.DataFrame) -> list[LeftOut]:
    """One a row of ``table`` (labels x datasets, no holes), in its order; empty with fewer than three datasets."""
    if table.shape[1] < 3:
        return []
    whole = _places(table)
    ranks = dataset_ranks(table)
    without = [table.drop(columns=[name]) for name in table.columns]
    places = np.stack([_places(part) for part in without])
    means = np.stack([ranks.drop(columns=[name]).mean(axis=1).to_numpy() for name in table.columns])
    return [
        LeftOut(
            label=str(label),
            place=int(whole[row]),
            best=int(places[:, row].min()),
            worst=int(places[:, row].max()),
            mean_rank=float(ranks.loc[label].mean()),
            rank_low=float(means[:, row].min()),
            rank_high=float(means[:, row].max()),
        )
        for row, label in enumerate(table.index)
    ]


def leaders_without(table: pd.DataFrame) -> dict[str, str]:
    """{dataset: who leads by mean without it} for those datasets whose absence changes who leads."""
    if table.shape[1] < 3 or len(table) < 2:
        return {}
    leader = str(table.mean(axis=1).round(SAME).idxmax())
    found = {str(name): str(table.drop(columns=[name]).mean(axis=1).round(SAME).idxmax()) for name in table.columns}
    return {name: other for name, other in found.items() if other != leader}


def _places(table: pd.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(table.mean(axis=1).round(SAME).rank(ascending=False, method="min").to_numpy(dtype=float))


def variance_split(scores: pd.DataFrame) -> dict[str, float] | None:
    """Shares of the variance of scores by what explains it: dataset, method, both together, and the seed.

    Sums of squares of a balanced two-way table with replication; None unless every method has the same seeds, at least
    two, on every dataset, and something varies.
    """
    cells = scores.groupby(["label", "dataset"])["value"]
    sizes = cells.size().unstack()
    if sizes.isna().any(axis=None) or sizes.to_numpy().min() < 2 or sizes.to_numpy().min() != sizes.to_numpy().max():
        return None
    n = int(sizes.to_numpy().max())
    means = cells.mean().unstack().to_numpy(dtype=float)
    methods, datasets = means.shape
    grand = means.mean()
    rows, columns = means.mean(axis=1), means.mean(axis=0)
    parts = {
        "dataset": n * methods * float(((columns - grand) ** 2).sum()),
        "method": n * datasets * float(((rows - grand) ** 2).sum()),
        "method × dataset": n * float(((means - rows[:, None] - columns[None, :] + grand) ** 2).sum()),
        "seed": float((scores["value"] - cells.transform("mean")).pow(2).sum()),
    }
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items()} if total > 0 else None
