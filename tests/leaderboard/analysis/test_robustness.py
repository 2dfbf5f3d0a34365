import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from promptgrid.leaderboard.analysis.robustness import (
    duels,
    interquartile_mean,
    leaders_without,
    left_out,
    probability_of_improvement,
    variance_split,
)
from promptgrid.leaderboard.analysis.statistics import holm

TABLE = pd.DataFrame(
    [[0.9, 0.5, 0.6, 0.6], [0.6, 0.6, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5]], ["a", "b", "c"], ["w", "x", "y", "z"]
)


def frame(values):
    """(label, dataset, seed) -> value as a score frame."""
    rows = [(*place, value) for place, value in values.items()]
    return pd.DataFrame(rows, columns=["label", "dataset", "seed", "value"])


def test_the_middle_half():
    assert interquartile_mean([0.0, 0.4, 0.6, 1.0]) == pytest.approx(0.5)
    assert interquartile_mean([3.0]) == 3.0
    assert interquartile_mean(list(range(8))) == pytest.approx(np.mean([2, 3, 4, 5]))


def test_how_often_a_seed_beats_a_seed():
    scores = frame({("a", "x", 1): 0.5, ("a", "x", 2): 0.7, ("b", "x", 1): 0.5, ("b", "x", 2): 0.6,
                    ("a", "y", 1): 0.1, ("b", "y", 1): 0.2, ("a", "only a", 1): 1.0})  # fmt: skip
    assert probability_of_improvement(scores, "a", "b") == pytest.approx(((0.5 + 0 + 1 + 1) / 4 + 0) / 2)
    assert probability_of_improvement(scores, "a", "nobody") is None
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.5, 1, 30), rng.normal(0, 1, 20)
    values = {("a", "x", k): v for k, v in enumerate(first)} | {("b", "x", k): v for k, v in enumerate(second)}
    u = stats.mannwhitneyu(first, second).statistic
    assert probability_of_improvement(frame(values), "a", "b") == pytest.approx(u / 600)


def test_every_pair_once_with_its_test():
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.uniform(size=(4, 9)), list("abcd"))
    found = duels(table, 0.0005)
    assert [(one.first, one.second) for one in found] == list(itertools.combinations("abcd", 2))
    plain = [stats.wilcoxon(table.loc[one.first] - table.loc[one.second]).pvalue for one in found]
    assert [one.p for one in found] == pytest.approx(plain)
    assert [one.p_holm for one in found] == pytest.approx(holm(plain))
    (same,) = duels(pd.DataFrame([[0.1, 0.2], [0.1, 0.2]], ["a", "b"]), 0.0005)
    assert (same.p, same.wins, same.gap) == (1.0, (0, 2, 0), 0.0)


def test_places_where_each_dataset_is_left_out():
    first, second, third = left_out(TABLE)
    assert (first.place, first.best, first.worst) == (1, 1, 2)  # without w it has 0.567, b has 0.6
    assert (second.place, second.best, second.worst) == (2, 1, 2)
    assert (third.place, third.best, third.worst) == (3, 3, 3)
    assert first.mean_rank == pytest.approx((1 + 2.5 + 1.5 + 1.5) / 4)
    assert first.rank_low == pytest.approx((1 + 1.5 + 1.5) / 3)
    assert leaders_without(TABLE) == {"w": "b"}
    assert left_out(TABLE[["w", "x"]]) == []
    assert leaders_without(TABLE[["w", "x"]]) == {}


def test_variance_by_hand_and_whole():
    values = {}
    for (m, method), (d, dataset), seed in itertools.product(enumerate("ab"), enumerate("xy"), (0, 1)):
        values[method, dataset, seed] = 10.0 * d + 2.0 * m + 1.0 * seed
    found = variance_split(frame(values))
    # dataset: 8 (5)^2, method: 8 (1)^2, seed: 8 (0.5)^2, together nothing
    assert found == pytest.approx({"dataset": 200 / 210, "method": 8 / 210, "method × dataset": 0, "seed": 2 / 210})
    del values["a", "x", 0]
    assert variance_split(frame(values)) is None, "not balanced"
    alike = dict.fromkeys(itertools.product("ab", "xy", (0, 1)), 0.5)
    assert variance_split(frame(alike)) is None, "nothing varies"


def test_parts_of_the_variance_are_those_of_the_whole():
    rng = np.random.default_rng(3)
    values = {place: rng.normal() for place in itertools.product("abc", "wxyz", range(5))}
    found = variance_split(frame(values))
    assert sum(found.values()) == pytest.approx(1)
    scores = frame(values)
    total = ((scores["value"] - scores["value"].mean()) ** 2).sum()
    seeds = scores.groupby(["label", "dataset"])["value"].var(ddof=1).sum() * 4
    assert found["seed"] == pytest.approx(seeds / total)
