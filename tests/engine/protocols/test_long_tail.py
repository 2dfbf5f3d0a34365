from __future__ import annotations

from collections import Counter

import pytest

from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.engine.protocols.long_tail import LongTail
from promptgrid.spec import Refused


def test_counts_fall_from_the_shots_to_their_share_by_the_ratio(numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3, 4] * 20, test=[0, 1, 2, 3, 4])
    split = LongTail.dialled("16").split(dataset, 16, 1)
    counts = Counter(dataset.labels[index] for index in split.train)
    assert sorted(counts.values(), reverse=True) == [16, 8, 4, 2, 1]
    tail = next(one for one in split.evaluations if one.name == "tail")
    rare = {label for label, count in counts.items() if count <= 2}
    assert {dataset.labels[index] for index in tail.indices} == rare
    assert tail.classes == split.classes


def test_it_thins_the_few_shot_sample_and_adds_nothing(numbers) -> None:
    dataset = numbers(train=[0, 1, 2] * 30, val=[0, 1, 2] * 9, test=[0, 1, 2])
    whole, thin = FewShot().split(dataset, 20, 3), LongTail().split(dataset, 20, 3)
    assert set(thin.train) < set(whole.train)
    assert thin.val == whole.val
    assert LongTail.dialled("1").split(dataset, 20, 3).train == whole.train


def test_the_seed_says_which_classes_are_rare(numbers) -> None:
    dataset = numbers(train=list(range(10)) * 20, test=list(range(10)))
    rare = set()
    for seed in range(5):
        counts = Counter(dataset.labels[index] for index in LongTail().split(dataset, 20, seed).train)
        rare.add(min(counts, key=lambda label: counts[label]))
    assert len(rare) > 1


def test_a_ratio_that_the_shots_cannot_give_is_refused(numbers) -> None:
    card = numbers(train=[0, 1] * 20, test=[0, 1]).card
    with pytest.raises(Refused, match="4 shots cannot be 10 times"):
        LongTail().check(card, 4)
    LongTail.dialled("4").check(card, 4)
