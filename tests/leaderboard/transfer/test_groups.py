"""Groups of tasks that help each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from promptgrid.leaderboard.transfer.groups import gains_of, recommended_groups
from promptgrid.spec import Refused

NAN = float("nan")


def _gains(ties: dict[tuple[int, int], float], tasks: int = 5) -> np.ndarray:
    gain = np.full((tasks, tasks), -0.1)
    for (one, other), value in ties.items():
        gain[one, other] = value
    return gain


def _mutual(ties: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    return ties | {(other, one): value for (one, other), value in ties.items()}


def test_tasks_that_gain_from_each_other_are_grouped_the_firmest_first() -> None:
    gain = _gains(_mutual({(0, 3): 0.02, (1, 4): 0.05}))
    assert recommended_groups(gain, 3) == [[1, 4], [0, 3]]


def test_a_gain_in_one_direction_ties_nothing() -> None:
    assert recommended_groups(_gains({(0, 1): 0.3}), 3) == []


def test_the_loosest_tie_of_a_group_decides() -> None:
    """1 helps both 0 and 2, who harm each other: one group of two, with the firmer of them."""
    assert recommended_groups(_gains(_mutual({(0, 1): 0.05, (1, 2): 0.04})), 3) == [[0, 1]]
    triangle = _mutual({(0, 1): 0.05, (1, 2): 0.04, (0, 2): 0.01})
    assert recommended_groups(_gains(triangle), 3) == [[0, 1, 2]]


def test_groups_are_no_larger_than_asked() -> None:
    everybody = np.full((5, 5), 0.1)
    assert recommended_groups(everybody, 2) == [[0, 1], [2, 3]]
    assert recommended_groups(everybody, 5) == [[0, 1, 2, 3, 4]]
    with pytest.raises(ValueError, match="at least 2"):
        recommended_groups(everybody, 1)


def test_what_is_not_known_ties_nothing_and_the_diagonal_is_not_read() -> None:
    gain = _gains(_mutual({(0, 1): 0.05}))
    gain[1, 0] = NAN
    np.fill_diagonal(gain, 9.0)
    assert recommended_groups(gain, 3) == []


def _row(source: str, dataset: str, value: float, label: str = "CoOp", seed: int = 1) -> dict[str, object]:
    reading = "adapt" if source else ""
    return {"label": label, "source": source, "reading": reading, "dataset": dataset, "seed": seed, "shots": 4,
            "backbone": "b", "metric": "accuracy", "value": value, "status": "done"}  # fmt: skip


def test_gains_are_read_from_results_seed_by_seed() -> None:
    rows = [_row("", "a", 0.5), _row("", "b", 0.4), _row("", "a", 0.7, seed=2), _row("", "b", 0.4, seed=2)]
    rows += [_row("a", "b", 0.6), _row("a", "b", 0.5, seed=2), _row("b", "a", 0.8), _row("b", "a", 0.8, seed=2)]
    rows += [_row("", "a", 0.1, "zero"), _row("", "b", 0.1, "zero")]
    tasks, gain = gains_of(pd.DataFrame(rows), "CoOp", "adapt", "CoOp")
    assert tasks == ["a", "b"]
    np.testing.assert_allclose(gain, [[NAN, 0.15], [0.2, NAN]])
    _, above_zero = gains_of(pd.DataFrame(rows), "CoOp", "adapt", "zero")
    np.testing.assert_allclose(above_zero, [[NAN, 0.5], [0.7, NAN]])


def test_what_the_study_does_not_hold_is_refused() -> None:
    frame = pd.DataFrame([_row("", "a", 0.5), _row("a", "b", 0.6)])
    with pytest.raises(Refused, match="did you mean 'CoOp'"):
        gains_of(frame, "CoOpp", "adapt", "CoOp")
    with pytest.raises(Refused, match="no finished 'evaluate' cells"):
        gains_of(frame, "CoOp", "evaluate", "CoOp")
