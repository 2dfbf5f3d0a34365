"""Whether the first of a leaderboard beats the second, on what both answered or on the datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from promptgrid.leaderboard.analysis.answers import rows_compared
from promptgrid.leaderboard.analysis.statistics import Interval, dataset_difference, holm, seed_difference
from promptgrid.leaderboard.analysis.versus import Versus, sign_test
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.leaderboard import Leaderboard

LEVEL = 0.05


@dataclass(frozen=True)
class FirstTwo:
    """The first of a leaderboard against the second.

    ``gap`` is positive where the first is better. ``seeds`` is the interval of first minus second for new seeds on
    these datasets, as the metric gives it. ``test``: ``answers`` is the sign test over the examples of all datasets
    that one of the two has right in more seeds (McNemar's exact test with one seed), ``alone`` their numbers;
    ``datasets`` is the paired t test over datasets, where answers are not kept; empty with one dataset and no answers.
    ``p_holm`` is corrected over the ``boards`` of the report.
    """

    first: str
    second: str
    gap: float
    seeds: Interval
    test: Literal["answers", "datasets", ""] = ""
    alone: tuple[int, int] | None = None
    p: float | None = None
    p_holm: float | None = None
    boards: int = 1

    @property
    def verdict(self) -> Literal["first", "second", "neither", "untested"]:
        """Which of the two the test prefers."""
        if self.p_holm is None:
            return "untested"
        if self.p_holm >= LEVEL:
            return "neither"
        better = self.gap > 0 if self.alone is None else self.alone[0] > self.alone[1]
        return "first" if better else "second"


def first_against_second(report: ReportInput, leaderboards: Sequence[Leaderboard]) -> list[FirstTwo | None]:
    """One a leaderboard; None where fewer than two are ranked, or several share the first place."""
    found = [_of(report, leaderboard) for leaderboard in leaderboards]
    tested = [one for one in found if one is not None and one.p is not None]
    corrected = iter(holm([one.p for one in tested if one.p is not None]))
    return [
        one if one is None or one.p is None else replace(one, p_holm=next(corrected), boards=len(tested))
        for one in found
    ]


def _of(report: ReportInput, leaderboard: Leaderboard) -> FirstTwo | None:
    ranked = [row for row in leaderboard.rows if row.ranked]
    if len(ranked) < 2 or ranked[1].place == 1:
        return None
    first, second = ranked[0].label, ranked[1].label
    found = rows_compared(leaderboard.grid, first, second, leaderboard.metric, report.answers)
    return _by_datasets(leaderboard, first, second) if found is None else _tested(found)


def _by_datasets(leaderboard: Leaderboard, first: str, second: str) -> FirstTwo:
    """Of rows that share no cell: those of a study may start from different sources."""
    means = leaderboard.means.loc[[first, second]].dropna(axis=1)
    over = dataset_difference(np.asarray(means.loc[first] - means.loc[second], dtype=np.float64))
    seeds = seed_difference(leaderboard.scores, first, second)
    gap = leaderboard.metric.sign * over.value
    return FirstTwo(first, second, gap, seeds, "" if over.p is None else "datasets", p=over.p)


def _tested(found: Versus) -> FirstTwo:
    gap = found.metric.sign * found.seeds.value
    if found.alone is not None:
        return FirstTwo(found.first, found.second, gap, found.seeds, "answers", found.alone, sign_test(*found.alone))
    if found.datasets is not None and found.datasets.p is not None:
        return FirstTwo(found.first, found.second, gap, found.seeds, "datasets", p=found.datasets.p)
    return FirstTwo(found.first, found.second, gap, found.seeds)
