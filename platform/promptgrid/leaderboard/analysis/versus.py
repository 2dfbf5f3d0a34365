"""Two sides on the same cells: who wins by dataset, by class and by example, and with what test.

An example counts once a dataset, however many seeds were scored on it: it is won by the side that has it right in more
of its seeds. The sign test over examples is then McNemar's exact test where there is one seed (McNemar, 1947).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from promptgrid.leaderboard.analysis.statistics import (
    Interval,
    dataset_difference,
    holm,
    pooled_interval,
    win_tie_loss,
)
from promptgrid.spec.metrics import Metric


@dataclass(frozen=True)
class Answers:
    """What both sides answered on the test examples of one pair of cells, in one order.

    Attributes:
        keys: what tells the N examples apart, the same for every pair of a dataset.
        names: what people know them by, which two may share.
        classes: names of the classes.
        label: (N,) true class, a position in ``classes``.
        first: (N,) bool, whether the first side is right.
        second: (N,) bool, whether the second side is right.
    """

    keys: Sequence[Hashable]
    names: Sequence[str]
    classes: Sequence[str]
    label: npt.NDArray[np.int64]
    first: npt.NDArray[np.bool_]
    second: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """One cell of each side that have everything in common but what is compared; ``answers`` where both are kept."""

    label: str
    dataset: str
    backbone: str
    shots: int
    seed: int
    first: float
    second: float
    answers: Answers | None = None


@dataclass(frozen=True)
class OnDataset:
    """Both sides on one dataset; scores are means over its pairs.

    ``seeds`` are pairs won, tied and lost by the first side. ``alone`` are examples that the first, and that the second
    side has right in more of the seeds; ``p`` is the sign test over them, ``p_holm`` over all datasets (None without
    answers, and of a metric that right answers do not decide).
    """

    dataset: str
    first: float
    second: float
    seeds: tuple[int, int, int]
    alone: tuple[int, int] | None = None
    p: float | None = None
    p_holm: float | None = None

    @property
    def gap(self) -> float:
        """First minus second."""
        return self.first - self.second


@dataclass(frozen=True)
class OnClass:
    """Accuracy of both sides on the examples of one class, over all pairs of its dataset."""

    dataset: str
    name: str
    examples: int
    first: float
    second: float


@dataclass(frozen=True)
class OnExample:
    """An example that one side has right in more seeds than the other: in how many of ``seeds`` each."""

    dataset: str
    name: str
    label: str
    first: int
    second: int
    seeds: int


@dataclass(frozen=True)
class Versus:
    """Two sides, called ``first`` and ``second``.

    ``seeds``: mean difference with the interval of new seeds on these datasets; ``datasets``: with that of new datasets
    (paired t), None where there is one dataset.
    """

    first: str
    second: str
    metric: Metric
    pairs: int
    seeds: Interval
    datasets: Interval | None
    by_dataset: tuple[OnDataset, ...]
    by_class: tuple[OnClass, ...]
    by_example: tuple[OnExample, ...]

    @property
    def alone(self) -> tuple[int, int] | None:
        """Examples of all datasets that one side leads on, as of one dataset; None where a dataset has none to tell."""
        counts = [row.alone for row in self.by_dataset if row.alone is not None]
        if len(counts) < len(self.by_dataset):
            return None
        return sum(count[0] for count in counts), sum(count[1] for count in counts)


def versus(first: str, second: str, metric: Metric, pairs: Sequence[Pair]) -> Versus:
    """All of it, from pairs that have everything in common but what is compared.

    Raises:
        ValueError: no pairs.
    """
    if not pairs:
        raise ValueError("there is nothing to compare")
    scores = pd.DataFrame(
        [(pair.dataset, pair.first, pair.second) for pair in pairs], columns=["dataset", "first", "second"]
    )
    gaps = [
        (group["first"] - group["second"]).to_numpy(dtype=float) for _, group in scores.groupby("dataset", sort=True)
    ]
    own = {name: [pair for pair in pairs if pair.dataset == name] for name in sorted({pair.dataset for pair in pairs})}
    counted = {name: _counted(name, some) for name, some in own.items()}
    found = [_on_dataset(name, some, counted[name], metric) for name, some in own.items()]
    means = np.array([gap.mean() for gap in gaps])
    return Versus(
        first=first,
        second=second,
        metric=metric,
        pairs=len(pairs),
        seeds=pooled_interval(gaps),
        datasets=dataset_difference(means) if len(own) > 1 else None,
        by_dataset=tuple(_corrected(found)),
        by_class=tuple(row for name, some in counted.items() for row in _classes(name, some or ())),
        by_example=tuple(row for some in counted.values() for row in _leads(some or ())),
    )


def sign_test(first: int, second: int) -> float:
    """Two-sided exact p of ``first`` against ``second`` wins under even odds; 1 where there are none."""
    return float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0


def _on_dataset(name: str, pairs: Sequence[Pair], counted: Sequence[OnExample] | None, metric: Metric) -> OnDataset:
    gaps = metric.sign * np.array([pair.first - pair.second for pair in pairs])
    row = OnDataset(
        name,
        float(np.mean([pair.first for pair in pairs])),
        float(np.mean([pair.second for pair in pairs])),
        win_tie_loss(gaps, metric.tie),
    )
    if counted is None or not metric.by_answers:
        return row
    alone = sum(one.first > one.second for one in counted), sum(one.first < one.second for one in counted)
    return replace(row, alone=alone, p=sign_test(*alone))


def _corrected(rows: Sequence[OnDataset]) -> list[OnDataset]:
    """The rows with Holm's correction over those that have a test."""
    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else replace(row, p_holm=next(corrected)) for row in rows]


def _counted(name: str, pairs: Sequence[Pair]) -> list[OnExample] | None:
    """Every example of one dataset; None where a pair kept no answers."""
    found: dict[Hashable, OnExample] = {}
    for pair in pairs:
        if pair.answers is None:
            return None
        own = pair.answers
        for place, key in enumerate(own.keys):
            before = found.get(key, OnExample(name, own.names[place], own.classes[int(own.label[place])], 0, 0, 0))
            found[key] = replace(
                before,
                first=before.first + int(own.first[place]),
                second=before.second + int(own.second[place]),
                seeds=before.seeds + 1,
            )
    return list(found.values())


def _classes(name: str, counted: Sequence[OnExample]) -> list[OnClass]:
    by_class: dict[str, list[OnExample]] = defaultdict(list)
    for one in counted:
        by_class[one.label].append(one)
    rows = []
    for label, own in by_class.items():
        seeds = sum(one.seeds for one in own)
        shares = (sum(one.first for one in own) / seeds, sum(one.second for one in own) / seeds)
        rows.append(OnClass(name, label, len(own), *shares))
    return sorted(rows, key=lambda row: (-(row.first - row.second), row.name))


def _leads(counted: Sequence[OnExample]) -> list[OnExample]:
    """Examples that one side leads on: the first side's largest leads first, the second's last."""
    return sorted(
        (one for one in counted if one.first != one.second), key=lambda one: (one.second - one.first, one.name)
    )
