"""The scores that a protocol may name are those of scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from promptgrid.engine.scoring import SCORES, scores_of
from promptgrid.spec.metrics import METRICS

CLASSES = 4
RNG = torch.Generator().manual_seed(0)
LOGITS, LABELS = torch.randn(60, CLASSES, generator=RNG), torch.randint(CLASSES, (60,), generator=RNG)


def test_they_are_scikit_learns() -> None:
    found = scores_of(LOGITS, LABELS, tuple(SCORES), left_out=2, scored_by="matthews")
    answers, labels = LOGITS.argmax(1).numpy(), LABELS.numpy()
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, answers))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, answers, average="macro"))
    assert found["micro_f1"] == pytest.approx(f1_score(labels, answers, labels=[0, 1, 3], average="micro"))
    assert found["matthews"] == pytest.approx(matthews_corrcoef(labels, answers))
    assert found["task_score"] == found["matthews"]


def test_micro_f1_of_all_classes_is_the_accuracy() -> None:
    found = scores_of(LOGITS, LABELS, ("accuracy", "micro_f1"))
    assert found["micro_f1"] == pytest.approx(found["accuracy"])


def test_one_answer_for_all_correlates_with_nothing() -> None:
    constant = torch.nn.functional.one_hot(torch.zeros(60, dtype=torch.int64), CLASSES).float()
    assert scores_of(constant, LABELS, ("matthews",)) == {"matthews": 0.0}


def two_classes(answers: list[int], labels: list[int], name: str) -> float:
    logits = torch.nn.functional.one_hot(torch.tensor(answers), 2).float()
    return scores_of(logits, torch.tensor(labels), ("task_score",), scored_by=name)["task_score"]


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_two_classes_are_scikit_learns(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    answers, labels = (torch.randint(2, (17,), generator=rng).tolist() for _ in range(2))
    assert two_classes(answers, labels, "matthews") == pytest.approx(matthews_corrcoef(labels, answers))
    assert two_classes(answers, labels, "f1") == pytest.approx(f1_score(labels, answers))


def test_matthews_by_hand() -> None:
    """(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)) = (3 * 2 - 1 * 2) / sqrt(4 * 5 * 3 * 4)."""
    answers, labels = [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 1, 1]
    assert two_classes(answers, labels, "matthews") == pytest.approx(4 / 240**0.5)
    assert two_classes(labels, labels, "matthews") == 1.0
    assert two_classes([1 - label for label in labels], labels, "matthews") == -1.0


def test_chance_and_a_single_class_are_no_correlation() -> None:
    assert two_classes([0, 1, 0, 1], [0, 0, 1, 1], "matthews") == 0.0
    assert two_classes([1, 1, 1, 1], [0, 0, 1, 1], "matthews") == 0.0
    assert two_classes([0, 1, 0, 1], [1, 1, 1, 1], "matthews") == 0.0
    assert two_classes([0, 0], [0, 0], "f1") == 0.0


def test_a_task_without_a_score_of_its_own_has_its_accuracy() -> None:
    found = scores_of(LOGITS, LABELS, ("task_score", "accuracy"))
    assert found["task_score"] == found["accuracy"]


def test_each_is_a_metric_with_a_range() -> None:
    assert SCORES.keys() <= METRICS.keys()
    assert METRICS["matthews"].low == -1


@pytest.mark.parametrize("seed", range(4))
def test_quadratic_weighted_kappa_is_scikit_learns(seed: int) -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (60,), generator=rng)
    answers = (labels + torch.randint(-1, 2, (60,), generator=rng)).clamp(0, 4)
    logits = torch.nn.functional.one_hot(answers, 5).float()
    wanted = cohen_kappa_score(labels.numpy(), answers.numpy(), weights="quadratic", labels=list(range(5)))
    assert scores_of(logits, labels, ("qwk",))["qwk"] == pytest.approx(wanted)
    assert scores_of(torch.eye(5)[torch.zeros(3, dtype=torch.long)], torch.zeros(3, dtype=torch.long), ("qwk",)) == {
        "qwk": 0.0
    }
