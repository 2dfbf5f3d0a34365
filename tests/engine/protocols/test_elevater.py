"""ELEVATER's draw and the part of it that selects, against the rule written out."""

from __future__ import annotations

import random
from collections import Counter
from math import ceil

import pytest

from promptgrid.engine.protocols.elevater import ElevaterShots
from promptgrid.spec import Refused


@pytest.mark.parametrize(("shots", "held"), [(2, 1), (5, 1), (15, 3), (20, 4), (50, 10)])
def test_a_fifth_of_each_class_selects_and_is_never_trained_on(numbers, shots: int, held: int) -> None:
    dataset = numbers(train=[0, 1, 2] * 60, val=[0, 1, 2] * 9, test=[0, 1, 2])
    split = ElevaterShots().split(dataset, shots, 0)
    labels = dataset.labels
    assert Counter(labels[i] for i in split.val) == dict.fromkeys(range(3), held)
    assert Counter(labels[i] for i in split.train) == dict.fromkeys(range(3), shots - held)
    assert not set(split.train) & set(split.val)
    assert set(split.val) <= set(dataset.splits["train"]), "the official validation split is not used"


def test_the_draw_is_a_shuffle_that_is_walked_through_until_every_class_has_enough(numbers) -> None:
    dataset = numbers(train=[2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2] * 3, test=[0, 1, 2])
    order = list(range(36))
    random.Random(2).shuffle(order)
    drawn = [
        i for place, i in enumerate(order) if [dataset.labels[j] for j in order[:place]].count(dataset.labels[i]) < 5
    ]
    firsts = {next(i for i in drawn if dataset.labels[i] == label) for label in range(3)}
    split = ElevaterShots().split(dataset, 5, 2)
    assert split.val == tuple(i for i in drawn if i in firsts), "the first of each class, not a random one"
    assert split.train == tuple(i for i in drawn if i not in firsts)


def test_one_shot_draws_two_and_a_lonely_image_does_both(numbers) -> None:
    split = ElevaterShots().split(numbers(train=[0, 1] * 8, test=[0, 1]), 1, 0)
    assert (len(split.train), len(split.val)) == (2, 2)
    alone = numbers(train=[0] * 8 + [1], test=[0, 1])
    split = ElevaterShots().split(alone, 5, 0)
    assert 8 in split.train
    assert 8 in split.val
    assert len(split.train) == 5 - ceil(0.2 * 5) + 1


def test_selection_needs_no_validation_split_and_no_training_images_are_refused(numbers) -> None:
    card = numbers(train=[0, 1] * 8, test=[0, 1]).card
    ElevaterShots().check(card, 5, "val")
    with pytest.raises(Refused, match="no training examples"):
        ElevaterShots().split(numbers(test=[0, 1]), 5, 0)
    leaking = numbers(train=[0, 1] * 8, test=[0, 1])
    leaking.splits["test"] = [0, 1]
    with pytest.raises(Refused, match="stand in train and test"):
        ElevaterShots().split(leaking, 5, 0)
