from __future__ import annotations

import pytest

from promptgrid.contract.clip import Evaluation
from promptgrid.engine.draws.sampling import few_shot_sample
from promptgrid.engine.protocols.few_shot import FewShot


def test_all_classes_train_and_the_whole_test_split_is_scored(numbers) -> None:
    dataset = numbers(train=[0, 1, 2] * 5, val=[0, 1, 2] * 5, test=[2, 1, 0, 0])
    split = FewShot().split(dataset, 2, 1)
    assert split.classes == (0, 1, 2)
    assert (list(split.train), list(split.val)) == few_shot_sample(dataset, 2, 1)
    assert split.evaluations == (Evaluation("test", (0, 1, 2), (30, 31, 32, 33)),)


def test_metrics_are_accuracy_and_macro_f1() -> None:
    metrics = FewShot().metrics({"test": {"accuracy": 0.5, "macro_f1": 0.25, "other": 1.0}})
    assert metrics == {"accuracy": 0.5, "macro_f1": 0.25}
    assert FewShot.headline in metrics


def test_a_score_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        FewShot().metrics({"test": {"accuracy": 0.5}})
