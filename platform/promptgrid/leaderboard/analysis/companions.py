"""Metrics that stand beside a headline which does not say enough by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.analysis.targets import score_frame
from promptgrid.leaderboard.planned_grid import PlannedCell
from promptgrid.spec.metrics import metric_of

COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "expected calibration error": ("base_ece", "new_ece"),
    "AUROC": ("fpr95", "accuracy"),
    "accuracy": ("tail_accuracy",),
}
"""By the title of the headline."""


def companions(
    grid: Sequence[PlannedCell], headline: str, labels: list[str], datasets: list[str]
) -> dict[str, dict[str, float]]:
    """{label: {metric: mean over datasets of means over seeds}}; rows with holes are adjusted as every other mean is.

    Args:
        grid: of one leaderboard.
        headline: what it is ranked by.
        labels: its rows.
        datasets: its columns.
    """
    known = {name for planned in grid if planned.record for name in planned.record.metrics}
    found: dict[str, dict[str, float]] = {label: {} for label in labels}
    for name in COMPANIONS.get(metric_of(headline).title, ()):
        if name in known:
            means = st.adjusted_means(st.dataset_means(score_frame(grid, name), labels, datasets))
            for label in labels:
                found[label][name] = float(means[label])
    return found
