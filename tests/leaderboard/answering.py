"""Answers for the cells of a synthetic report: as many right as the record's accuracy says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from promptgrid.contract.track import Predictions
from promptgrid.leaderboard import ReportInput

CLASSES = ("cat", "dog", "newt", "owl")
EXAMPLES = 40


def answers_of(report: ReportInput) -> Callable[[str], tuple[Predictions, ...]]:
    """Reads the answers of a finished cell: the first examples are the easy ones, wrong ones are the next class."""

    def read(key: str) -> tuple[Predictions, ...]:
        record = report.records.get(key)
        if record is None:
            return ()
        label = np.arange(EXAMPLES, dtype=np.int32) % len(CLASSES)
        order = np.random.default_rng(int(key[:8], 16)).permutation(EXAMPLES)  # stored in no order
        right = np.arange(EXAMPLES) < round(EXAMPLES * record.metrics["accuracy"])
        first = np.where(right, label, (label + 1) % len(CLASSES)).astype(np.int32)
        top = np.stack([first, (first + 1) % len(CLASSES)], axis=1).astype(np.int32)
        scores = np.tile(np.float32([2.0, 1.0]), (EXAMPLES, 1))
        names = tuple(f"pictures/{index:02}" for index in order)
        total = np.full(EXAMPLES, np.log(np.exp(2) + np.exp(1) + 2), dtype=np.float32)
        one = Predictions("test", order + 100, label[order], top[order], scores, scores[:, 0], total, names, CLASSES)
        return (one,)

    return read
