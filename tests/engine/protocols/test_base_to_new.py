from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.engine.draws.sampling import few_shot_sample
from promptgrid.engine.protocols.base_to_new import BaseToNew, harmonic_mean
from promptgrid.spec import Refused

FRACTION = st.integers(0, 10_000).map(lambda right: right / 10_000)


def test_halves_of_an_odd_number_of_classes(numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3, 4] * 3, val=[4, 3, 2, 1, 0], test=[4, 0, 3, 1, 2])
    split = BaseToNew().split(dataset, 2, 1)
    assert split.classes == (0, 1, 2)
    base, new = split.evaluations
    assert (base.name, base.classes, base.indices) == ("base", (0, 1, 2), (21, 23, 24))
    assert (new.name, new.classes, new.indices) == ("new", (3, 4), (20, 22))


def test_published_numbers_of_base_and_new_classes(numbers) -> None:
    """The halves of CoOp's datasets as papers count them: Food101 51/50, UCF101 51/50, Pets 19/18, DTD 24/23."""
    for classes, halves in ((101, (51, 50)), (37, (19, 18)), (47, (24, 23)), (100, (50, 50)), (397, (199, 198))):
        dataset = numbers(train=range(classes), test=range(classes))
        assert tuple(len(e.classes) for e in BaseToNew().split(dataset, 1, 1).evaluations) == halves


@given(classes=st.integers(4, 12), shots=st.integers(1, 6), seed=st.integers(0, 1000))
def test_sampling_comes_before_the_choice_of_classes(numbers, classes: int, shots: int, seed: int) -> None:
    dataset = numbers(train=list(range(classes))[::-1] * 5, val=list(range(classes)) * 5, test=list(range(classes)) * 2)
    split = BaseToNew().split(dataset, shots, seed)
    train, val = few_shot_sample(dataset, shots, seed)
    base = set(range(math.ceil(classes / 2)))
    assert list(split.train) == [i for i in train if dataset.labels[i] in base]
    assert list(split.val) == [i for i in val if dataset.labels[i] in base]
    assert len(split.train) == len(base) * min(shots, 5)
    scored = {i for evaluation in split.evaluations for i in evaluation.indices}
    assert scored == set(dataset.splits["test"])
    assert not scored & {*split.train, *split.val}


@pytest.mark.parametrize("classes", [2, 3])
def test_too_few_classes_are_refused(numbers, classes: int) -> None:
    card = numbers(train=list(range(classes)), test=list(range(classes))).card
    with pytest.raises(Refused, match=rf"2 classes in each half; got {classes}; expected 4"):
        BaseToNew().check(card, 1)


def test_four_classes_are_enough(numbers) -> None:
    BaseToNew().check(numbers(train=[0, 1, 2, 3], test=[0, 1, 2, 3]).card, 1)


def test_a_half_without_test_images_is_refused(numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3], test=[0, 1])
    with pytest.raises(Refused, match="no test examples of new classes"):
        BaseToNew().split(dataset, 1, 1)


def test_selection_on_validation_needs_a_val_split(numbers) -> None:
    with pytest.raises(Refused, match="no val split"):
        BaseToNew().check(numbers(train=[0, 1, 2, 3], test=[0, 1, 2, 3]).card, 1, "val")


def test_metrics_carry_both_halves_and_their_harmonic_mean() -> None:
    metrics = BaseToNew().metrics({"base": {"accuracy": 0.8, "macro_f1": 0.1}, "new": {"accuracy": 0.4}})
    assert metrics == {"base_accuracy": 0.8, "new_accuracy": 0.4, "harmonic_mean": pytest.approx(0.64 / 1.2)}
    assert BaseToNew.headline in metrics
    assert BaseToNew.open_vocabulary


def test_harmonic_mean_of_the_paper_row() -> None:
    """CoCoOp's average row: base 80.47, new 71.69, H 75.83."""
    assert round(100 * harmonic_mean(0.8047, 0.7169), 2) == 75.83


@given(FRACTION, FRACTION)
def test_harmonic_mean_lies_between_and_is_zero_with_a_zero(base: float, new: float) -> None:
    mean = harmonic_mean(base, new)
    assert min(base, new) * (1 - 1e-9) <= mean <= max(base, new) * (1 + 1e-9)
    assert harmonic_mean(base, 0.0) == 0.0
