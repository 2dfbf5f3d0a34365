"""Base and new classes: both means, and the two harmonic means the literature calls H, each under its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from promptgrid.leaderboard.analysis.statistics import adjusted_means, harmonic


@dataclass(frozen=True)
class SplitMeans:
    """Fractions. ``h_of_means`` = H(mean base, mean new), as papers print; ``mean_of_h`` averages one H a dataset."""

    base: float
    new: float
    h_of_means: float
    mean_of_h: float


def split_metrics(names: Iterable[str]) -> tuple[str, str] | None:
    """The pair of metrics (base, new) among ``names``, accuracy first; None where there is no such pair.

    A pair differs in one word: ``base_accuracy`` and ``new_accuracy``, ``accuracy/base`` and ``accuracy/new``.
    """
    known = set(names)
    pairs = [(name, name.replace("base", "new")) for name in known if "base" in name]
    found = sorted((pair for pair in pairs if pair[1] in known), key=lambda pair: ("acc" not in pair[0], pair))
    return found[0] if found else None


def split_means(base: pd.DataFrame, new: pd.DataFrame) -> dict[str, SplitMeans]:
    """Per label, over tables labels x datasets; rows with holes are adjusted as every other mean is."""
    per_dataset = base.combine(new, lambda left, right: pd.Series(map(harmonic, left, right), index=left.index))
    bases, news = adjusted_means(base), adjusted_means(new)
    mean_h = adjusted_means(per_dataset.reindex(index=base.index, columns=base.columns))
    return {
        str(label): SplitMeans(
            float(bases[label]),
            float(news[label]),
            harmonic(float(bases[label]), float(news[label])),
            float(mean_h[label]),
        )
        for label in base.index
    }
