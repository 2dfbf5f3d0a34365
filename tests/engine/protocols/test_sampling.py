from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample
from promptgrid.spec import Refused

LABELS = [1, 0, 2, 1, 0, 2, 0, 1, 2, 0, 0, 1, 2, 1, 0]
VAL = [2, 1, 0, 2, 1, 0, 2, 1, 0, 0]
FROZEN = ([3, 0, 6, 1, 12, 5], [18, 21, 16, 22, 24, 17])


def as_published(train: list[Any], val: list[Any], shots: int, seed: int) -> tuple[list[Any], list[Any]]:
    """The published rule, written down once more and otherwise: over (image, label) pairs and the global generator."""
    state = random.getstate()
    random.seed(seed)
    drawn = []
    for pairs, k in ((train, shots), (val, min(shots, 4))):
        tracker = defaultdict(list)
        for pair in pairs:
            tracker[pair[1]].append(pair)
        chosen: list[Any] = []
        for label in tracker:
            chosen.extend(random.sample(tracker[label], k) if k <= len(tracker[label]) else tracker[label])
        drawn.append([image for image, _ in chosen])
    random.setstate(state)
    return drawn[0], drawn[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shots", [1, 2, 4, 8, 16])
def test_samples_are_those_of_the_published_rule(numbers, shots: int, seed: int) -> None:
    dataset = numbers(train=LABELS, val=VAL, test=[0, 1, 2])
    train = [(i, LABELS[i]) for i in range(len(LABELS))]
    val = [(len(LABELS) + i, VAL[i]) for i in range(len(VAL))]
    assert few_shot_sample(dataset, shots, seed) == as_published(train, val, shots, seed)


def test_samples_are_frozen(numbers) -> None:
    """Drawn once with CPython's ``random``; other numbers would mean other splits in every published table."""
    dataset = numbers(train=LABELS, val=VAL, test=[0, 1, 2])
    random.seed(1)
    ones, zeros, twos = [0, 3, 7, 11, 13], [1, 4, 6, 9, 10, 14], [2, 5, 8, 12]
    by_hand = [random.sample(ones, 2), random.sample(zeros, 2), random.sample(twos, 2)]
    by_hand_val = [random.sample([15, 18, 21], 2), random.sample([16, 19, 22], 2), random.sample([17, 20, 23, 24], 2)]
    train, val = few_shot_sample(dataset, 2, 1)
    assert train == [index for images in by_hand for index in images]
    assert val == [index for images in by_hand_val for index in images]
    assert (train, val) == FROZEN


def test_the_global_generator_is_left_alone(numbers) -> None:
    dataset = numbers(train=LABELS, val=VAL, test=[0, 1, 2])
    random.seed(5)
    expected = random.Random(5).random()
    few_shot_sample(dataset, 2, 1)
    assert random.random() == expected


def test_a_class_with_fewer_images_gives_all_and_draws_nothing(numbers) -> None:
    scarce = numbers(train=[0, 1, 1, 1, 1, 1], test=[0, 1])
    alone = numbers(train=[0] * 5, test=[0, 1])
    train, _ = few_shot_sample(scarce, 3, 7)
    assert train[0] == 0
    assert [index - 1 for index in train[1:]] == few_shot_sample(alone, 3, 7)[0]


def test_without_a_val_split_there_are_no_validation_images(numbers) -> None:
    assert few_shot_sample(numbers(train=LABELS, test=[0, 1, 2]), 4, 1)[1] == []


def test_a_test_image_in_train_is_refused(numbers) -> None:
    dataset = numbers(train=LABELS, val=VAL, test=[0, 1, 2])
    dataset.splits["val"].append(dataset.splits["test"][0])
    with pytest.raises(Refused, match="numbers: 1 examples stand in val and test, first example 25"):
        few_shot_sample(dataset, 1, 1)


def test_no_training_images_is_refused(numbers) -> None:
    dataset = numbers(test=[0, 1, 2])
    for attempt in (lambda: few_shot_sample(dataset, 1, 1), lambda: check_few_shot(dataset.card, 1, "last")):
        with pytest.raises(Refused, match="no training examples"):
            attempt()


def test_selection_on_validation_needs_a_val_split(numbers) -> None:
    check_few_shot(numbers(train=LABELS, test=[0, 1, 2]).card, 1, "last")
    check_few_shot(numbers(train=LABELS, val=VAL, test=[0, 1, 2]).card, 1, "val")
    with pytest.raises(Refused, match=r"no val split.*use selection: last"):
        check_few_shot(numbers(train=LABELS, test=[0, 1, 2]).card, 1, "val")


@pytest.mark.parametrize("shots", [0, -1])
def test_no_shots_is_refused(numbers, shots: int) -> None:
    with pytest.raises(Refused, match="from 1 up"):
        check_few_shot(numbers(train=LABELS, test=[0, 1, 2]).card, shots, "last")


@given(
    train=st.lists(st.integers(0, 5), min_size=1, max_size=80),
    val=st.lists(st.integers(0, 5), max_size=30),
    test=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    shots=st.integers(1, 20),
    seed=st.integers(0, 2**31 - 1),
)
def test_counts_and_disjointness(
    numbers, train: list[int], val: list[int], test: list[int], shots: int, seed: int
) -> None:
    dataset = numbers(train=train, val=val, test=[*test, 0, 1])
    drawn = few_shot_sample(dataset, shots, seed)
    assert drawn == few_shot_sample(dataset, shots, seed)
    for name, indices, most in (("train", drawn[0], shots), ("val", drawn[1], min(shots, 4))):
        assert len(set(indices)) == len(indices)
        assert set(indices) <= set(dataset.splits[name])
        there = Counter(dataset.labels[i] for i in dataset.splits[name])
        assert Counter(dataset.labels[i] for i in indices) == {label: min(most, n) for label, n in there.items()}
