"""The arithmetic of transfer, on three tasks by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from promptgrid.leaderboard.transfer import gains as tr

NAN = math.nan
RAW = np.array(
    [
        [[0.80, 0.82], [0.50, 0.54], [0.30, 0.30]],
        [[0.60, 0.66], [0.70, 0.70], [0.33, NAN]],
        [[0.75, 0.71], [0.40, 0.44], [0.41, 0.43]],
    ]
)
SCRATCH = np.array([[0.80, 0.82], [0.70, 0.70], [0.41, 0.43]])
ZERO = np.array([[0.60, 0.60], [0.50, 0.50], [0.41, 0.41]])


def test_gains_by_hand():
    gain = tr.gains(RAW, SCRATCH)
    assert gain[0, 1] == pytest.approx([-0.20, -0.16])
    assert gain[2, 0] == pytest.approx([-0.05, -0.11])
    mean = tr.seed_mean(gain)
    assert mean[0, 1] == pytest.approx(-0.18)
    assert mean[1, 2] == pytest.approx(-0.08)  # the seed that is there
    assert np.diag(mean) == pytest.approx([0, 0, 0])
    assert tr.seed_mean(tr.gains(RAW, ZERO))[2, 1] == pytest.approx(-0.08)


def test_normalised_by_hand_and_masked_where_the_headroom_is_small():
    found = tr.normalised(RAW, SCRATCH, ZERO)
    assert found[1, 0] == pytest.approx((0.63 - 0.60) / (0.81 - 0.60))
    assert found[0, 1] == pytest.approx((0.52 - 0.50) / 0.20)
    assert np.diag(found)[:2] == pytest.approx([1, 1])
    assert np.isnan(found[:, 2]).all()  # 0.42 - 0.41 is one point of headroom
    open_floor = tr.normalised(RAW, SCRATCH, ZERO, floor=0.005)
    assert open_floor[0, 2] == pytest.approx((0.30 - 0.41) / 0.01)


def test_normalised_compares_the_same_seeds():
    found = tr.normalised(RAW, np.array([[0.9, 0.9], [0.7, 0.7], [0.51, 0.71]]), ZERO)
    assert found[1, 2] == pytest.approx((0.33 - 0.41) / (0.51 - 0.41))  # the other seed of the pair is missing


def test_p_over_seeds_is_scipys_one_sided_t_test():
    gain = np.random.default_rng(0).normal(-0.01, 0.02, size=(4, 4, 3))
    gain[1, 2, 0] = NAN
    expected = np.array(
        [[stats.ttest_1samp(row[np.isfinite(row)], 0, alternative="less").pvalue for row in rows] for rows in gain]
    )
    assert tr.below_zero_by_seeds(gain) == pytest.approx(expected)


def test_p_over_seeds_needs_two_that_differ():
    gain = np.array([[[-0.1], [NAN]]])
    assert np.isnan(tr.below_zero_by_seeds(gain)).all()
    assert np.isnan(tr.below_zero_by_seeds(np.full((1, 1, 3), -0.1))).all()


def test_p_over_images_is_scipys_binomial_test():
    better, worse = np.array([[3.0, 0.0, 10.0, NAN]]), np.array([[12.0, 0.0, 10.0, 2.0]])
    found = tr.below_zero_by_examples(better, worse)[0]
    assert found[0] == pytest.approx(stats.binomtest(12, 15, 0.5, alternative="greater").pvalue)
    assert found[1] == 1
    assert found[2] == pytest.approx(stats.binomtest(10, 20, 0.5, alternative="greater").pvalue)
    assert math.isnan(found[3])


def test_an_image_counts_once_however_many_seeds_met_it():
    base = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [1, 1, 0, 0]], dtype=bool)
    moved = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
    assert tr.sign_counts(moved, base) == (2, 1)  # image 2 won once, 3 won twice and lost once, 1 lost thrice


def test_false_discovery_is_benjamini_and_hochberg_over_what_was_tested():
    p = np.array([[NAN, 0.01, 0.02], [0.03, NAN, 0.5], [0.005, NAN, NAN]])
    found = tr.false_discovery(p)
    tested = p[np.isfinite(p)]
    assert found[np.isfinite(p)] == pytest.approx(stats.false_discovery_control(tested))
    assert np.isnan(found[~np.isfinite(p)]).all()
    assert found[2, 0] == pytest.approx(0.025)  # .005 x 5 / 1, and .01 x 5 / 2
    assert found[1, 0] == pytest.approx(0.0375)  # .03 x 5 / 4
    assert np.isnan(tr.false_discovery(np.full((2, 2), NAN))).all()


def test_asymmetry_is_the_correlation_with_the_transpose():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(5, 5))
    np.fill_diagonal(matrix, 100.0)  # must not count
    off = ~np.eye(5, dtype=bool)
    r, pairs = tr.asymmetry(matrix)
    assert (r, pairs) == (pytest.approx(np.corrcoef(matrix[off], matrix.T[off])[0, 1]), 10)
    assert tr.asymmetry(matrix + matrix.T)[0] == pytest.approx(1)
    matrix[0, 1] = NAN
    assert tr.asymmetry(matrix)[1] == 9
    assert math.isnan(tr.asymmetry(matrix[:2, :2])[0])


def test_clusters_stand_together_and_holes_do_not_matter():
    rng = np.random.default_rng(2)
    kind = np.array([0, 1, 0, 1, 0, 1])
    profiles = kind[:, None] * 4.0 + rng.normal(0, 0.1, size=(6, 8))
    profiles[3, 2] = NAN
    order = tr.cluster_order(profiles)
    assert sorted(order) == list(range(6))
    assert len({tuple(kind[order][:3]), tuple(kind[order][3:])}) == 2
    assert set(kind[order][:3]) in ({0}, {1})
    assert tr.cluster_order(np.full((4, 3), NAN)) == [0, 1, 2, 3]
    assert tr.cluster_order(np.ones((2, 3))) == [0, 1]


def grid(count):
    pairs = np.array([(i, j) for i in range(count) for j in range(count) if i != j])
    return pairs[:, 0], pairs[:, 1]


def test_rho_is_scipys_spearman_and_the_seed_decides_the_p():
    rng = np.random.default_rng(3)
    similarity = rng.normal(size=(6, 6))
    rows, columns = grid(6)
    gain = similarity[rows, columns] + rng.normal(size=30)
    gain[4] = NAN
    seen = np.isfinite(gain)
    found = tr.correlation(gain, rows, columns, similarity, np.random.default_rng(0), 99)
    assert found.rho == pytest.approx(stats.spearmanr(gain[seen], similarity[rows, columns][seen]).statistic)
    assert found.pairs == 29
    assert found == tr.correlation(gain, rows, columns, similarity, np.random.default_rng(0), 99)
    assert (found.p * 100) == pytest.approx(round(found.p * 100))


def test_rho_within_targets_ignores_how_hard_a_target_is():
    rng = np.random.default_rng(4)
    similarity = rng.normal(size=(7, 7))
    rows, columns = grid(7)
    gain = similarity[rows, columns] + np.linspace(-50, 50, 7)[columns]
    found = tr.correlation(gain, rows, columns, similarity, np.random.default_rng(0), 199)
    assert found.within == pytest.approx(1)
    assert found.within_p == pytest.approx(1 / 200)
    assert abs(found.rho) < 0.7


def test_pairs_that_share_tasks_do_not_pass_for_independent():
    """Gains and similarities made of task effects alone: p of independent pairs is tiny, Mantel's is not."""
    tiny = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows, columns = grid(8)
        gain = rng.normal(size=8)[rows] + rng.normal(size=8)[columns]
        similarity = rng.normal(size=8)[:, None] + rng.normal(size=8)[None]
        found = tr.correlation(gain, rows, columns, similarity, rng, 199)
        tiny += found.p < 0.05
        assert 0 < found.p <= 1
    assert tiny <= 4


def test_too_few_tasks_or_no_spread_give_no_correlation():
    rows, columns = grid(3)
    few = tr.correlation(np.arange(6.0), rows, columns, np.eye(3), np.random.default_rng(0), 9)
    assert math.isnan(few.rho)
    assert math.isnan(few.p)
    rows, columns = grid(5)
    flat = tr.correlation(np.arange(20.0), rows, columns, np.ones((5, 5)), np.random.default_rng(0), 9)
    assert math.isnan(flat.rho)
