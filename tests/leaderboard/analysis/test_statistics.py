import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.analysis.comparison import compare_all


def frame(values: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    rows = [(label, dataset, seed, v) for (label, dataset), vs in values.items() for seed, v in enumerate(vs)]
    return pd.DataFrame(rows, columns=["label", "dataset", "seed", "value"])


def test_means_and_deviations_by_hand():
    scores = frame({("a", "x"): [1.0, 3.0], ("a", "y"): [5.0], ("b", "x"): [2.0, 2.0]})
    means = st.dataset_means(scores, ["b", "a"], ["x", "y"])
    assert means.loc["a"].tolist() == [2.0, 5.0]
    assert means.loc["b", "x"] == 2.0
    assert math.isnan(means.loc["b", "y"])
    spread = st.dataset_deviations(scores, ["b", "a"], ["x", "y"])
    assert spread.loc["a", "x"] == pytest.approx(math.sqrt(2))
    assert math.isnan(spread.loc["a", "y"])


def test_empty_scores_give_an_empty_table_of_the_right_shape():
    means = st.dataset_means(frame({}), ["a"], ["x", "y"])
    assert means.shape == (1, 2)
    assert means.isna().all().all()


def test_adjusted_mean_of_an_additive_table_is_the_truth_where_the_naive_mean_is_not():
    method, dataset = np.array([0.0, 10.0, 20.0]), np.array([1.0, 2.0, 60.0])
    table = pd.DataFrame(method[:, None] + dataset, index=list("abc"), columns=list("xyz"))
    truth = table.mean(axis=1)
    table.loc["c", "z"] = np.nan  # c failed on the easy dataset: the naive mean of the rest is 21.5
    assert table.loc["c"].mean() == 21.5
    assert st.adjusted_means(table)["c"] == pytest.approx(truth["c"]) == 41.0


def test_adjusted_mean_by_hand_for_two_methods():
    # least squares with one hole: a = (4, 8), b = (5, -): b is a + 1 on x, so its mean over both is 6 + 1
    table = pd.DataFrame([[4.0, 8.0], [5.0, np.nan]], index=list("ab"), columns=list("xy"))
    assert st.adjusted_means(table).tolist() == pytest.approx([6.0, 7.0])


def test_adjusted_mean_of_complete_rows_is_their_plain_mean():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 5)))
    table.iloc[2, 1] = np.nan
    adjusted = st.adjusted_means(table)
    complete = [0, 1, 3, 4, 5]
    assert adjusted[complete].tolist() == table.mean(axis=1)[complete].tolist()


def test_adjusted_mean_is_nan_where_the_model_cannot_tell():
    apart = pd.DataFrame([[1.0, np.nan], [np.nan, 2.0]], index=list("ab"), columns=list("xy"))
    assert st.adjusted_means(apart).isna().all()
    unseen = pd.DataFrame([[1.0, 2.0], [np.nan, np.nan]], index=list("ab"), columns=list("xy"))
    assert st.adjusted_means(unseen).isna().tolist() == [False, True]


def test_pooled_interval_of_one_group_is_scipys():
    values = np.array([0.61, 0.64, 0.66, 0.60])
    found = st.pooled_interval([values])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))


def test_pooled_interval_of_two_groups_by_hand():
    # sums of squares 2 and 8 over 2 degrees of freedom: s² = 5; variance = 5 (1/2 + 1/2) / 4
    found = st.pooled_interval([np.array([1.0, 3.0]), np.array([10.0, 14.0])])
    half = stats.t.ppf(0.975, 2) * math.sqrt(5 / 4)
    assert (found.value, found.low, found.high) == pytest.approx((7.0, 7 - half, 7 + half))


def test_one_seed_has_a_mean_and_no_interval():
    found = st.pooled_interval([np.array([0.5]), np.array([0.7])])
    assert found.value == pytest.approx(0.6)
    assert found.low is None
    assert found.high is None


def test_seed_difference_on_one_dataset_is_the_paired_t_interval():
    a, b = [0.7, 0.75, 0.71, 0.78], [0.6, 0.66, 0.65, 0.66]
    found = st.seed_difference(frame({("a", "x"): a, ("b", "x"): b}), "a", "b")
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_seed_difference_uses_only_what_both_finished():
    scores = frame({("a", "x"): [0.7, 0.8], ("a", "y"): [0.9, 0.9], ("b", "x"): [0.5, 0.6]})
    found = st.seed_difference(scores, "a", "b")
    assert found.value == pytest.approx(0.2)
    assert found.n == 1


def test_dataset_difference_is_scipys_paired_t():
    a, b = np.array([0.7, 0.8, 0.55, 0.9, 0.61]), np.array([0.65, 0.7, 0.56, 0.8, 0.6])
    found = st.dataset_difference(a - b)
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, test.pvalue))


def test_dataset_difference_without_spread_or_without_data():
    assert st.dataset_difference(np.zeros(4)).p == 1.0
    assert st.dataset_difference(np.full(4, 0.25)).p == 0.0
    assert st.dataset_difference(np.array([0.1])).low is None
    assert math.isnan(st.dataset_difference(np.array([])).value)


def test_both_difference_intervals_cover_what_they_promise():
    """600 simulated grids of 11 datasets x 3 seeds: coverage of .95 within Monte Carlo error."""
    rng, truth, hits_seeds, hits_datasets, runs = np.random.default_rng(3), 0.02, 0, 0, 600
    for _ in range(runs):
        effects = truth + rng.normal(0, 0.03, size=11)
        gaps = effects[:, None] + rng.normal(0, 0.015, size=(11, 3))
        seeds, datasets = st.pooled_interval(list(gaps)), st.dataset_difference(gaps.mean(axis=1))
        hits_seeds += seeds.low <= effects.mean() <= seeds.high
        hits_datasets += datasets.low <= truth <= datasets.high
    assert 0.925 < hits_seeds / runs < 0.975
    assert 0.925 < hits_datasets / runs < 0.975


def test_wins_ties_and_losses():
    gaps = np.array([0.01, 0.0004, -0.0004, -0.2, 0.3, np.nan])
    assert st.win_tie_loss(gaps, 0.0005) == (2, 2, 1)


def test_ranks_leave_incomplete_rows_out_and_share_ties():
    table = pd.DataFrame([[3.0, 1.0], [2.0, 1.0], [9.0, np.nan]], index=list("abc"), columns=list("xy"))
    ranks = st.dataset_ranks(table)
    assert ranks.loc["a"].tolist() == [1.0, 1.5]
    assert ranks.loc["b"].tolist() == [2.0, 1.5]
    assert "c" not in ranks.index


def test_rank_intervals_repeat_with_their_generator_and_match_a_plain_bootstrap():
    ranks = pd.DataFrame([[1, 2, 1, 3, 2, 1], [2, 1, 3, 1, 1, 2], [3, 3, 2, 2, 3, 3]], index=list("abc"), dtype=float)
    first = st.rank_intervals(ranks, np.random.default_rng(5))
    assert first == st.rank_intervals(ranks, np.random.default_rng(5))
    draws = np.random.default_rng(11).integers(0, 6, size=(20_000, 6))
    plain = np.quantile(ranks.to_numpy()[0][draws].mean(axis=1), [0.025, 0.975])
    assert (first["a"].low, first["a"].high) == pytest.approx(tuple(plain), abs=0.17)
    assert first["a"].value == pytest.approx(10 / 6)


def test_rank_on_one_dataset_has_no_interval():
    only = st.rank_intervals(pd.DataFrame([[1.0], [2.0]], index=list("ab")), np.random.default_rng(0))
    assert only["b"] == st.Interval(2.0, n=1)


def test_holm_by_hand():
    assert st.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert st.holm([0.5, 0.9]) == [1.0, 1.0]
    assert st.holm([]) == []


def test_harmonic():
    assert st.harmonic(0.5, 1.0) == pytest.approx(2 / 3)
    assert st.harmonic(0.0, 0.0) == 0.0
    assert math.isnan(st.harmonic(math.nan, 0.5))


def test_scores_that_differ_in_their_last_bits_are_one_score():
    noisy = pd.DataFrame({"x": [0.1 + 0.2, 0.3, 0.2], "y": [0.7, 0.1 * 7, 0.2]}, index=["a", "b", "c"])
    assert noisy.loc["a", "x"] != noisy.loc["b", "x"]
    ranks = st.dataset_ranks(noisy)
    assert ranks.loc["a"].tolist() == ranks.loc["b"].tolist() == [1.5, 1.5]
    gaps = np.array([1e-17, -1e-17, 2e-17, 0.0])
    assert st.dataset_difference(gaps).p == 1.0
    assert compare_all(noisy).ranks == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_an_interval_is_firm_from_three_values_on():
    assert not st.pooled_interval([np.array([0.1, 0.2])]).firm
    assert st.pooled_interval([np.array([0.1, 0.2, 0.3])]).firm
    assert st.pooled_interval([np.array([0.1, 0.2]), np.array([0.1, 0.3])]).firm
    assert not st.dataset_difference(np.array([0.1, 0.2])).firm
    assert not st.Interval(0.1).firm
