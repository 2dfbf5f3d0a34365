from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from promptgrid.engine.protocols.calibration import Calibration
from promptgrid.engine.scoring import BINS, scores_of
from promptgrid.spec.metrics import metric_of

RNG = torch.Generator().manual_seed(0)


def test_ece_by_hand() -> None:
    """Sure of .9 and right, of .9 and wrong, of .6 and right: (2 |.5 - .9| + |1 - .6|) / 3."""
    sure = torch.tensor([0.9, 0.9, 0.6], dtype=torch.float64)
    logits = torch.stack([sure.log(), (1 - sure).log()], dim=1)
    found = scores_of(logits, torch.tensor([0, 1, 0]), ("ece",))
    assert found["ece"] == pytest.approx((2 * 0.4 + 0.4) / 3)


def test_ece_is_that_of_scikit_learns_reliability_curve() -> None:
    logits, labels = 2.0 * torch.randn(500, 6, generator=RNG), torch.randint(6, (500,), generator=RNG)
    sure, answers = logits.double().softmax(1).max(1)
    right = (answers == labels).double().numpy()
    told, said = calibration_curve(right, sure.numpy(), n_bins=BINS, strategy="uniform")
    counts, _ = np.histogram(sure.numpy(), bins=BINS, range=(0, 1))
    shares = counts[counts > 0] / len(labels)
    assert scores_of(logits, labels, ("ece",))["ece"] == pytest.approx(float((shares * np.abs(told - said)).sum()))


def test_an_answer_that_is_sure_and_right_is_calibrated_and_one_that_is_wrong_is_not() -> None:
    logits = 100.0 * torch.eye(4)
    assert scores_of(logits, torch.arange(4), ("ece",))["ece"] == pytest.approx(0.0)
    assert scores_of(logits, torch.arange(4).roll(1), ("ece",))["ece"] == pytest.approx(1.0)


def test_both_halves_are_scored_and_the_headline_is_their_mean() -> None:
    scores = {"base": {"accuracy": 0.8, "ece": 0.02}, "new": {"accuracy": 0.6, "ece": 0.1}}
    found = Calibration().metrics(scores)
    assert found["mean_ece"] == pytest.approx(0.06)
    assert (found["base_ece"], found["new_ece"], found["base_accuracy"]) == (0.02, 0.1, 0.8)
    assert {metric_of(name).better for name in found if "ece" in name} == {"lower"}
