"""All methods against all: whether a critical-difference diagram can say something, and what it says.

With N datasets the smallest two-sided Wilcoxon p is 2/2^N; Holm over all pairs of M methods needs .05/pairs. Where
the first is not below the second nothing can ever be significant, and a diagram would only look like evidence.
Source: Demšar, JMLR 2006; Benavoli et al., JMLR 2016 (Wilcoxon and Holm instead of Nemenyi).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from promptgrid.leaderboard.analysis.statistics import SAME, dataset_ranks, holm

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """Mean ranks of the complete rows, best first, and the groups no test tells apart; or why there is no diagram."""

    ranks: dict[str, float]
    groups: tuple[tuple[str, ...], ...] = ()
    friedman_p: float | None = None
    why_not: str = ""


def compare_all(table: pd.DataFrame) -> Comparison:
    """Friedman, then Wilcoxon over all pairs with Holm, on the complete rows of ``table`` (labels x datasets)."""
    complete = table.dropna().round(SAME)
    ranks = dataset_ranks(table).mean(axis=1).sort_values(kind="stable")
    named = {str(label): float(rank) for label, rank in ranks.items()}
    methods, datasets = complete.shape
    pairs = methods * (methods - 1) // 2
    if methods < 3:
        return Comparison(named, why_not=f"it takes 3 complete methods, there are {methods}")
    smallest = 2 / 2**datasets
    if smallest >= ALPHA / pairs:
        return Comparison(
            named,
            why_not=f"with {datasets} datasets the smallest possible Wilcoxon p is {smallest:.2g}, and Holm over the "
            f"{pairs} pairs of {methods} methods asks for less than {ALPHA / pairs:.2g}: "
            "no pair could ever be told apart",
        )
    friedman = float(stats.friedmanchisquare(*complete.to_numpy(dtype=float)).pvalue)
    if not friedman < ALPHA:
        return Comparison(
            named,
            friedman_p=friedman,
            why_not=f"Friedman's test does not reject that all methods are alike (p = {friedman:.2g})",
        )
    return Comparison(named, _groups(complete, list(named)), friedman)


def _groups(complete: pd.DataFrame, order: list[str]) -> tuple[tuple[str, ...], ...]:
    """Longest runs of neighbours by rank in which no pair differs."""
    pairs = list(itertools.combinations(order, 2))
    p_values = [
        _wilcoxon(complete.loc[a].to_numpy(dtype=float) - complete.loc[b].to_numpy(dtype=float)) for a, b in pairs
    ]
    differs = {pair for pair, p in zip(pairs, holm(p_values), strict=True) if p < ALPHA}
    runs: list[tuple[str, ...]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any((order[i], order[end]) in differs for i in range(start, end)):
            end += 1
        run = tuple(order[start:end])
        if len(run) > 1 and not any(set(run) <= set(other) for other in runs):
            runs.append(run)
    return tuple(runs)


def _wilcoxon(gaps: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Two-sided signed-rank p; 1 where every difference is 0. Differences that print alike to SAME digits tie."""
    gaps = np.round(gaps, SAME)
    return float(stats.wilcoxon(gaps).pvalue) if np.any(gaps != 0) else 1.0
