from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from promptgrid.engine.protocols.ood_detection import OodDetection
from promptgrid.engine.scoring import told_apart
from promptgrid.spec import Refused

RNG = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("decimals", [1, 6], ids=["with ties", "without"])
@pytest.mark.parametrize("known", [7, 20, 200])
def test_auroc_and_fpr95_are_those_of_scikit_learn(known: int, decimals: int) -> None:
    inside = (torch.randn(known, generator=RNG) + 1.0).round(decimals=decimals)
    outside = torch.randn(90, generator=RNG).round(decimals=decimals)
    labels, scores = [1] * known + [0] * 90, torch.cat([inside, outside]).numpy()
    found = told_apart(inside, outside)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, scores))
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert found["fpr95"] == pytest.approx(float(false[true >= 0.95 - 1e-12][0]))


def test_what_is_always_surer_is_told_apart_and_what_is_the_same_is_not() -> None:
    high, low = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])
    assert told_apart(high, low) == {"auroc": 1.0, "fpr95": 0.0}
    assert told_apart(low, high) == {"auroc": 0.0, "fpr95": 1.0}
    assert told_apart(low, low)["auroc"] == 0.5


def test_the_second_half_of_the_classes_are_strangers(numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3, 4] * 3, val=[0, 3], test=[4, 3, 2, 1, 0, 0])
    split = OodDetection().split(dataset, 2, 1)
    known, strange = split.evaluations
    assert split.classes == known.classes == strange.classes == (0, 1, 2)
    assert {dataset.labels[index] for index in (*split.train, *split.val)} == {0, 1, 2}
    assert [dataset.labels[index] for index in known.indices] == [2, 1, 0, 0]
    assert [dataset.labels[index] for index in strange.indices] == [4, 3]
    assert (known.strangers, strange.strangers) == (None, True)


def test_of_tasks_side_by_side_the_others_are_strangers(numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3], test=[0, 1, 2, 3])
    dataset.tasks = [0, 1, 1, 1]
    split = OodDetection().split(dataset, 1, 1)
    assert split.classes == (0,)
    assert [len(one.indices) for one in split.evaluations] == [1, 3]


def test_the_temperature_is_the_number_behind_the_name() -> None:
    logits = torch.tensor([[100.0, 0.0], [80.0, 75.0]])
    mcm = OodDetection.dialled("100").certainty(logits)
    torch.testing.assert_close(mcm, torch.softmax(logits.double() / 100.0, dim=1).amax(1))
    assert float(OodDetection().certainty(logits)[0]) == pytest.approx(1.0)


def test_too_few_classes_are_refused(numbers) -> None:
    with pytest.raises(Refused, match="2 known classes"):
        OodDetection().check(numbers(train=[0, 1], test=[0, 1]).card, 1)
