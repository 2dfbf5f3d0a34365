"""Two sides against each other: counts by hand, tests against closed forms."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats

from promptgrid.leaderboard.analysis.versus import Answers, Pair, sign_test, versus
from promptgrid.spec.metrics import ACCURACY


def answers(first: str, second: str, labels: str = "aabb") -> Answers:
    """``1`` is right; an example is called by its place."""
    return Answers(
        keys=range(len(first)),
        names=[f"image {place}" for place in range(len(first))],
        classes=["a", "b"],
        label=np.array(["ab".index(label) for label in labels]),
        first=np.array([each == "1" for each in first]),
        second=np.array([each == "1" for each in second]),
    )


def pair(dataset: str, seed: int, first: str, second: str) -> Pair:
    scores = [each.count("1") / len(each) for each in (first, second)]
    return Pair("row", dataset, "tower", 4, seed, *scores, answers(first, second))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 5), (5, 3), (10, 1), (7, 7)])
def test_the_sign_test_is_the_binomial_by_hand(first: int, second: int) -> None:
    """Twice the tail of even odds, at most 1."""
    total = first + second
    tail = sum(comb(total, k) for k in range(min(first, second) + 1)) / 2**total
    assert sign_test(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_with_one_seed_it_is_mcnemars() -> None:
    """An example both sides answer alike says nothing."""
    found = versus("A", "B", ACCURACY, [pair("d", 1, "1110", "0010")])
    (row,) = found.by_dataset
    assert row.alone == (2, 0)
    assert row.p == pytest.approx(0.5)
    assert (row.first, row.second, row.gap) == (0.75, 0.25, 0.5)
    assert found.datasets is None


def test_an_example_counts_once_however_many_seeds() -> None:
    """Image 0 is A's in both seeds, image 1 in one and B's in the other, image 2 B's in one."""
    found = versus("A", "B", ACCURACY, [pair("d", 1, "1101", "0011"), pair("d", 2, "1001", "0101")])
    (row,) = found.by_dataset
    assert row.alone == (1, 1)
    assert [(one.name, one.first, one.second, one.seeds) for one in found.by_example] == [
        ("image 0", 2, 0, 2),
        ("image 2", 0, 1, 2),
    ]
    assert {(one.name, one.examples, one.first, one.second) for one in found.by_class} == {
        ("a", 2, 0.75, 0.25),
        ("b", 2, 0.5, 0.75),
    }


def test_differences_over_seeds_and_datasets_are_scipys() -> None:
    """Pooled spread inside the datasets for new seeds, a paired t over the datasets for new ones."""
    scores = {"c": [(0.6, 0.5), (0.8, 0.6)], "d": [(0.5, 0.4), (0.3, 0.3)], "e": [(0.9, 0.4), (0.9, 0.6)]}
    pairs = [
        Pair("row", name, "tower", 4, seed, first, second)
        for name, values in scores.items()
        for seed, (first, second) in enumerate(values)
    ]
    found = versus("A", "B", ACCURACY, pairs)
    means = [np.mean([first - second for first, second in values]) for values in scores.values()]
    assert found.seeds.value == pytest.approx(np.mean(means))
    assert found.datasets is not None
    assert found.datasets.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert [row.seeds for row in found.by_dataset] == [(2, 0, 0), (1, 1, 0), (2, 0, 0)]
    assert all(row.alone is None and row.p is None for row in found.by_dataset)


def test_holm_is_over_the_datasets() -> None:
    pairs = [pair("c", 1, "1111", "0000"), pair("d", 1, "1110", "0001")]
    rows = versus("A", "B", ACCURACY, pairs).by_dataset
    assert [row.p for row in rows] == [pytest.approx(0.125), pytest.approx(0.625)]
    assert [row.p_holm for row in rows] == [pytest.approx(0.25), pytest.approx(0.625)]


def test_nothing_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        versus("A", "B", ACCURACY, [])


def test_two_examples_of_one_name_are_two() -> None:
    found = answers("10", "00", "aa")
    twins = Answers(found.keys, ["same", "same"], found.classes, found.label, found.first, found.second)
    (row,) = versus("A", "B", ACCURACY, [Pair("row", "d", "tower", 4, 1, 0.5, 0.0, twins)]).by_class
    assert (row.examples, row.first, row.second) == (2, 0.5, 0.0)
