import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from promptgrid.leaderboard.analysis.calibration import Bin, calibration_error, reliability


def test_bins_by_hand():
    sure = np.array([0.0, 0.1, 0.5, 0.51, 1.0])
    right = np.array([False, True, True, False, True])
    assert reliability(sure, right, bins=2) == [
        Bin(pytest.approx(0.2), pytest.approx(2 / 3), 3),
        Bin(pytest.approx(0.755), 0.5, 2),
    ]


def test_the_error_weighs_bins_by_their_answers():
    assert calibration_error([Bin(0.2, 0.5, 3), Bin(0.9, 0.8, 1)]) == pytest.approx((3 * 0.3 + 0.1) / 4)
    assert calibration_error([]) == 0.0


def test_bins_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    sure = rng.uniform(size=500)
    right = rng.uniform(size=500) < sure**2
    accuracy, confidence = calibration_curve(right, sure, n_bins=15)
    found = reliability(sure, right)
    assert [one.accuracy for one in found] == pytest.approx(accuracy)
    assert [one.confidence for one in found] == pytest.approx(confidence)
