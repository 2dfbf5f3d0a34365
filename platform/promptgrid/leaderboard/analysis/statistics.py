"""Means, intervals, ranks and differences over tables of scores. Pure functions; scores in any unit.

A *score frame* has one row per finished cell: label, dataset, seed, value. A *table* is labels x datasets of means
over seeds, NaN where nothing finished. The choices (additive model for holes, two t intervals for a difference,
no seed bootstrap) were made on simulated grids of 12 methods x 11 datasets: the pooled-seed t interval covers
.96 and the paired t over datasets .95 where a seed bootstrap covers .87.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Vector = npt.NDArray[np.float64]
LEVEL = 0.95
SAME = 9
"""Scores that agree in so many digits are one score: sums in another order differ in the last bits of a float."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; ``low`` and ``high`` are None where there is nothing to compute them from.

    ``n`` counts what the mean is over, ``freedom`` the values that are free to vary around it.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    freedom: int = 0

    @property
    def holds_zero(self) -> bool:
        """Whether 0 lies inside; False where there is no interval."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high

    @property
    def firm(self) -> bool:
        """Whether more than two values stand behind the interval; one from two is so wide that it says nothing."""
        return self.low is not None and self.high is not None and (self.freedom > 1 or self.low == self.high)


def dataset_means(scores: pd.DataFrame, labels: Sequence[str], datasets: Sequence[str]) -> pd.DataFrame:
    """Table of means over seeds, labels x datasets in the orders given; NaN where no seed finished."""
    return _pivot(scores, labels, datasets, "mean")


def dataset_deviations(scores: pd.DataFrame, labels: Sequence[str], datasets: Sequence[str]) -> pd.DataFrame:
    """Table of standard deviations over seeds (n - 1); NaN below two seeds."""
    return _pivot(scores, labels, datasets, "std")


def _pivot(scores: pd.DataFrame, labels: Sequence[str], datasets: Sequence[str], how: str) -> pd.DataFrame:
    if scores.empty:
        return pd.DataFrame(np.nan, index=list(labels), columns=list(datasets), dtype=float)
    table = scores.groupby(["label", "dataset"], sort=False)["value"].agg(how).unstack()
    return table.reindex(index=list(labels), columns=list(datasets)).astype(float)


def adjusted_means(table: pd.DataFrame) -> pd.Series:
    """Mean over all datasets per label under y = method + dataset, fitted by least squares to what is there.

    For a complete row this equals its plain mean. NaN where the model cannot tell: the label shares no chain of
    datasets with labels that together cover every dataset.
    """
    values = table.to_numpy(dtype=float)
    seen = np.isfinite(values)
    result = np.full(len(table), np.nan)
    rows = _connected_to_all(seen)
    if rows.any():
        row, column = np.nonzero(seen & rows[:, None])
        n_rows, n_columns = values.shape
        design = np.zeros((len(row), n_rows + n_columns))
        design[np.arange(len(row)), row] = 1.0
        design[np.arange(len(row)), n_rows + column] = 1.0
        fitted = np.linalg.lstsq(design, values[row, column], rcond=None)[0]
        result[rows] = fitted[:n_rows][rows] + fitted[n_rows:].mean()
    complete = seen.all(axis=1)
    result[complete] = values[complete].mean(axis=1)
    return pd.Series(result, index=table.index)


def _connected_to_all(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Rows of a component of the label-dataset graph that reaches every dataset; all False where none does."""
    for start in range(len(seen)):
        rows = np.zeros(len(seen), dtype=bool)
        rows[start] = True
        while True:
            columns = seen[rows].any(axis=0)
            grown = rows | seen[:, columns].any(axis=1)
            if (grown == rows).all():
                break
            rows = grown
        if columns.all():
            return rows
    return np.zeros(len(seen), dtype=bool)


def pooled_interval(groups: Sequence[Vector], level: float = LEVEL) -> Interval:
    """The mean of group means with a t interval from the pooled spread inside the groups.

    One group per dataset, its values over seeds: the interval holds *on these datasets*, for new seeds.
    variance = s_pooled² · Σ(1/n_d) / D², degrees of freedom Σ(n_d − 1). No interval where that sum is 0.
    """
    if not groups or any(len(group) == 0 for group in groups):
        return Interval(math.nan)
    value = float(np.mean([group.mean() for group in groups]))
    freedom = sum(len(group) - 1 for group in groups)
    if freedom == 0:
        return Interval(value, n=len(groups))
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    error = math.sqrt(squares / freedom * sum(1 / len(group) for group in groups)) / len(groups)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(value, value - half, value + half, n=len(groups), freedom=freedom)


def mean_interval(scores: pd.DataFrame, label: str, level: float = LEVEL) -> Interval:
    """Mean over datasets of means over seeds of ``label``, with :func:`pooled_interval`."""
    mine = scores[scores["label"] == label]
    return pooled_interval([group.to_numpy(dtype=float) for _, group in mine.groupby("dataset")["value"]], level)


def seed_difference(scores: pd.DataFrame, label: str, reference: str, level: float = LEVEL) -> Interval:
    """``label`` minus ``reference`` on the datasets and seeds both finished: *on these datasets*, for new seeds.

    Differences are taken seed by seed (a seed names the same draw of examples for both), then
    :func:`pooled_interval`.
    """
    wide = paired_scores(scores, label, reference)
    gaps = wide[label] - wide[reference]
    return pooled_interval([group.to_numpy(dtype=float) for _, group in gaps.groupby("dataset")], level)


def paired_scores(scores: pd.DataFrame, label: str, reference: str) -> pd.DataFrame:
    """Scores by dataset and seed, one column a label, only where both finished."""
    both = scores[scores["label"].isin([label, reference])]
    wide = both.pivot(index=["dataset", "seed"], columns="label", values="value")
    return wide.reindex(columns=[label, reference]).dropna()


def dataset_difference(gaps: Vector, level: float = LEVEL) -> Interval:
    """Mean of one difference per dataset with the paired t interval and its p-value: *on new datasets*."""
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps) == 0:
        return Interval(math.nan)
    value, gaps = float(gaps.mean()), np.round(gaps, SAME)
    if len(gaps) < 2:
        return Interval(value, n=len(gaps))
    spread = float(gaps.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(gaps) - 1)) * spread / math.sqrt(len(gaps))
    p = float(stats.ttest_1samp(gaps, 0.0).pvalue) if np.ptp(gaps) > 0 else float(not gaps.any())
    return Interval(value, value - half, value + half, p=p, n=len(gaps), freedom=len(gaps) - 1)


def win_tie_loss(gaps: Vector, tie: float) -> tuple[int, int, int]:
    """How many differences lie above ``tie``, within it, and below ``-tie``; NaN counts nowhere."""
    gaps = gaps[np.isfinite(gaps)]
    wins, losses = int((gaps > tie).sum()), int((gaps < -tie).sum())
    return wins, len(gaps) - wins - losses, losses


def dataset_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of each complete row on each dataset, 1 the best, ties sharing their average; other rows are left out."""
    complete = table.dropna().round(SAME)
    return complete.rank(axis=0, ascending=False, method="average")


def rank_intervals(
    ranks: pd.DataFrame, rng: np.random.Generator, draws: int = 10_000, level: float = LEVEL
) -> dict[str, Interval]:
    """Mean rank per label with a percentile bootstrap interval over datasets; approximate. None on one dataset."""
    values = ranks.to_numpy(dtype=float)
    count = values.shape[1]
    if count < 2:
        return {
            str(label): Interval(float(row.mean()), n=count) for label, row in zip(ranks.index, values, strict=True)
        }
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws) / count
    low, high = np.quantile(values @ weights.T, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return {
        str(label): Interval(float(values[i].mean()), float(low[i]), float(high[i]), n=count, freedom=count - 1)
        for i, label in enumerate(ranks.index)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, running = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[int(index)]))
        adjusted[int(index)] = running
    return adjusted


def harmonic(first: float, second: float) -> float:
    """Harmonic mean 2ab / (a + b); 0 where both are 0, NaN where one is NaN."""
    if math.isnan(first) or math.isnan(second):
        return math.nan
    return 2 * first * second / (first + second) if first + second > 0 else 0.0
