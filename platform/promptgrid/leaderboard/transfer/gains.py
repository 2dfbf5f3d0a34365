"""What learning on one task does to another: gains, tests of negative transfer, clustering, what goes with similarity.

Pure functions on arrays. S sources x T targets x N seeds; scores are fractions, NaN where a cell has not finished.
Nothing here assumes that a matrix is symmetric, or square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.cluster import hierarchy

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

DISCOVERY = 0.05
"""Expected share of false marks among the marks of one matrix (q of Benjamini and Hochberg)."""
PERMUTATIONS = 1_999


def seed_mean(values: Array) -> Array:
    """Mean over the last axis of what is there; NaN where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=-1)
    total = np.where(there, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def gains(raw: Array, base: Array) -> Array:
    """m_ij - b_j seed by seed.

    Args:
        raw: (S, T, N) scores.
        base: (T, N) scores of the baseline on each target, from scratch (m_jj) or zero-shot; or (S, T, N) by pair.

    Returns:
        (S, T, N), NaN where either is missing.
    """
    return raw - base


def normalised(raw: Array, scratch: Array, zero_shot: Array, floor: float = 0.02) -> Array:
    """(S, T): (m_ij - zs_j) / (m_jj - zs_j), the share of the headroom that transfer reaches; 1 is as good as scratch.

    A ratio of means over the seeds on which all three finished; NaN where the headroom is within ``floor`` of 0.
    """
    whole = np.isfinite(raw) & np.isfinite(scratch) & np.isfinite(zero_shot)
    above = seed_mean(np.where(whole, raw - zero_shot, np.nan))
    room = seed_mean(np.where(whole, np.broadcast_to(scratch - zero_shot, raw.shape), np.nan))
    usable = np.abs(room) >= floor
    return np.where(usable, above / np.where(usable, room, 1.0), np.nan)


def below_zero_by_seeds(gain: Array) -> Array:
    """(S, T) one-sided p of a t test over seeds that the mean gain is below 0: would new draws of examples agree?

    NaN below two seeds, and where all seeds agree to the last digit: then there is no spread to judge by.
    """
    count = np.isfinite(gain).sum(axis=-1)
    mean = seed_mean(gain)
    squares = np.where(np.isfinite(gain), (gain - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    tested = (count > 1) & (squares > 1e-18)
    error = np.sqrt(np.where(tested, squares, 1.0) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    p = stats.t.cdf(np.where(tested, mean, 0.0) / error, np.maximum(count - 1, 1))
    return np.where(tested, p, np.nan)


def below_zero_by_examples(better: Array, worse: Array) -> Array:
    """(S, T) one-sided p of the exact sign test (McNemar's) over examples: is the baseline right more often?

    ``better`` and ``worse`` count the test examples on which transfer is right in more, or in fewer, seeds than the
    baseline. An example counts once however many seeds met it, so seeds that share test examples do not pass for
    independent. NaN where counts are.
    """
    known = np.isfinite(better) & np.isfinite(worse)
    lost, n = np.where(known, worse, 0.0), np.where(known, better + worse, 0.0)
    return np.where(known, stats.binom.sf(lost - 1, n, 0.5), np.nan)


def sign_counts(moved: Mask, base: Mask) -> tuple[int, int]:
    """(better, worse): examples that ``moved`` gets right in more (fewer) seeds than ``base``; both (N, examples)."""
    net = moved.sum(axis=0, dtype=np.int64) - base.sum(axis=0, dtype=np.int64)
    return int((net > 0).sum()), int((net < 0).sum())


def false_discovery(p_values: Array) -> Array:
    """Benjamini-Hochberg adjusted p over all that are not NaN, in place; NaN stays NaN."""
    adjusted = np.full(p_values.shape, np.nan)
    tested = np.isfinite(p_values)
    if tested.any():
        adjusted[tested] = stats.false_discovery_control(p_values[tested], method="bh")
    return adjusted


def asymmetry(matrix: Array) -> tuple[float, int]:
    """(Pearson correlation of the off-diagonal of ``matrix`` with its transpose, pairs i < j that have both).

    1 where what i does for j is what j does for i. NaN below three pairs or without spread.
    """
    upper = np.triu_indices(len(matrix), 1)
    there, back = matrix[upper], matrix.T[upper]
    both = np.isfinite(there) & np.isfinite(back)
    one, other = np.concatenate([there[both], back[both]]), np.concatenate([back[both], there[both]])
    pairs = int(both.sum())
    if pairs < 3 or np.ptp(one) == 0:
        return math.nan, pairs
    return float(np.corrcoef(one, other)[0, 1]), pairs


def cluster_order(profiles: Array) -> list[int]:
    """Order of the rows of ``profiles`` (K, features): average linkage on Euclidean distance, optimal leaf ordering.

    Holes take their column's mean: a task that failed somewhere is not thrown to the edge for it.
    """
    if len(profiles) < 3:
        return list(range(len(profiles)))
    kept = profiles[:, np.isfinite(profiles).any(axis=0)]
    filled = np.where(np.isfinite(kept), kept, seed_mean(kept.T)[None])
    if filled.shape[1] == 0 or np.ptp(filled, axis=0).max() == 0:
        return list(range(len(profiles)))
    tree = hierarchy.linkage(filled, method="average", optimal_ordering=True)
    return [int(leaf) for leaf in hierarchy.leaves_list(tree)]


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho between gains and a similarity over ``pairs``, with permutation p-values.

    ``within`` compares only sources of one target: both sides are centred target by target first. It answers "which
    source should I take?", where ``rho`` also holds what makes a target easy or hard for everybody.
    """

    rho: float
    p: float
    within: float
    within_p: float
    pairs: int


def correlation(
    gain: Array,
    rows: Places,
    columns: Places,
    similarity: Array,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Correlation:
    """Spearman between ``gain`` and ``similarity[rows, columns]``, p-values by Mantel's permutations.

    Args:
        gain: (P,) gains of the pairs source -> target.
        rows: (P,) place of the source in ``similarity``.
        columns: (P,) place of the target.
        similarity: (K, K), not necessarily symmetric.

    Pairs that share a task are not independent, so whole tasks are relabelled (rows and columns alike): two-sided,
    p = (1 + draws at least as far from 0) / (1 + draws). NaN below four tasks or where one side is constant.
    """
    shuffles = np.stack([np.arange(len(similarity)), *(rng.permutation(len(similarity)) for _ in range(permutations))])
    there = np.isfinite(gain) & np.isfinite(similarity[rows, columns])
    gain, rows, columns = gain[there], rows[there], columns[there]
    if len(set(rows.tolist()) | set(columns.tolist())) < 4:
        return Correlation(math.nan, math.nan, math.nan, math.nan, len(gain))
    drawn = similarity[shuffles[:, rows], shuffles[:, columns]]
    rho, p = _against(gain, drawn)
    within, within_p = _against(_centred(gain[None], columns)[0], _centred(drawn, columns))
    return Correlation(rho, p, within, within_p, len(gain))


def _centred(values: Array, columns: Places) -> Array:
    """(B, P) ``values`` minus their mean over the pairs of the same target."""
    member = (columns[:, None] == np.unique(columns)[None]).astype(float)
    return np.where(np.isfinite(values), values - (values @ member / member.sum(axis=0)) @ member.T, np.nan)


def _against(gain: Array, drawn: Array) -> tuple[float, float]:
    """Spearman of ``gain`` (P,) with the first row of ``drawn`` (1 + B, P), and where that lies among the others."""
    found = _spearman(gain, drawn)
    if not math.isfinite(found[0]):
        return math.nan, math.nan
    rest = found[1:][np.isfinite(found[1:])]
    return float(found[0]), float((1 + (np.abs(rest) >= abs(found[0]) - 1e-12).sum()) / (1 + len(rest)))


def _spearman(gain: Array, drawn: Array) -> Array:
    """(B,) rank correlations of ``gain`` with the rows of ``drawn``; NaN for a constant side."""
    left = stats.rankdata(np.round(gain, 12))
    right = stats.rankdata(np.round(drawn, 12), axis=1)
    left, right = left - left.mean(), right - right.mean(axis=1, keepdims=True)
    size = np.sqrt((left**2).sum() * (right**2).sum(axis=1))
    return np.where(size > 0, right @ left / np.where(size > 0, size, 1.0), np.nan)
