"""Metrics: what a score is called, its unit, which direction is better, its range, and how many digits are printed.

A record keeps each value in its metric's own unit and is checked against the range; a leaderboard sorts by the
direction and prints by the unit. A name may begin with the evaluation that was scored: ``base_accuracy`` is one of
``base`` and an accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["fraction", "dB", "count", "seconds", "nats", "none"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as records spell it.
        title: for people.
        unit: of the values that records keep. A ``fraction`` is printed in percent, differences of it in points.
        better: which values are better.
        low: the least value that is possible.
        high: the greatest value that is possible.
        digits: decimals that are printed.
        by_answers: whether right and wrong answers decide it, so that a test over examples speaks of it.
    """

    name: str
    title: str
    unit: Unit = "fraction"
    better: Literal["higher", "lower"] = "higher"
    low: float = 0.0
    high: float = 1.0
    digits: int = 1
    by_answers: bool = True

    @property
    def factor(self) -> float:
        """What a value is multiplied with to be printed."""
        return 100.0 if self.unit == "fraction" else 1.0

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1: a value times it is always the better the higher it is."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def worst(self) -> float:
        """The least good value that is possible; infinite where there is none."""
        return self.low if self.better == "higher" else self.high

    @property
    def tie(self) -> float:
        """Values closer than this, half a printed digit, tie: they print alike."""
        return 0.5 * 10.0**-self.digits / self.factor

    @property
    def symbol(self) -> str:
        """What stands behind a printed value, with its space: `` %``, `` dB``, `` s``; empty where there is no unit."""
        return {"fraction": " %", "dB": " dB", "count": "", "seconds": " s", "nats": " nats", "none": ""}[self.unit]

    @property
    def axis(self) -> str:
        """What stands behind the name of an axis: `` (%)``, `` (dB)``; empty where there is no unit."""
        return f" ({self.symbol.strip()})" if self.symbol else ""

    @property
    def scale(self) -> str:
        """How values are given, in words: ``in percent``, ``in dB``, ``as they are``."""
        if self.unit == "none":
            return "as they are"
        return {"fraction": "in percent", "count": "as counts"}.get(self.unit, f"in {self.unit}")

    @property
    def steps(self) -> str:
        """The unit of a difference, with its space: `` points``, `` dB``; empty where there is no unit."""
        return " points" if self.unit == "fraction" else self.symbol

    def allows(self, value: float) -> bool:
        """Whether ``value`` is finite and in range."""
        return math.isfinite(value) and self.low <= value <= self.high


VALIDATION = "val_"
"""What metrics of validation examples begin with, so that no one takes them for test scores: ``val_accuracy``."""
ACCURACY = Metric("accuracy", "accuracy")
METRICS = {
    metric.name: metric
    for metric in (
        ACCURACY,
        Metric("task_score", "each task's own score", low=-1.0),
        Metric("f1", "F1"),
        Metric("macro_f1", "macro F1"),
        Metric("micro_f1", "micro F1"),
        Metric("matthews", "Matthews' correlation", low=-1.0),
        Metric("mean_per_class", "mean per class"),
        Metric("harmonic_mean", "harmonic mean"),
        Metric("mean_average_precision", "mean average precision"),
        Metric("map_11_point", "mean average precision, 11 points"),
        Metric("recall", "recall"),
        Metric("map_at_r", "mean average precision at R"),
        Metric("roc_auc", "area under the ROC curve", by_answers=False),
        Metric("auroc", "AUROC", by_answers=False),
        Metric("fpr95", "false positive rate at 95 % recall", better="lower", by_answers=False),
        Metric("ece", "expected calibration error", better="lower", by_answers=False),
        Metric("nll", "negative log-likelihood", "nats", "lower", high=math.inf, digits=3, by_answers=False),
        Metric("qwk", "quadratic weighted kappa", "none", low=-1.0, digits=3),
        Metric("top1_or_qwk", "accuracy, or quadratic weighted kappa where classes are ordered", low=-1.0),
        Metric("stage_one_examples", "examples of the first stage", "count", "lower", high=math.inf, digits=0),
        Metric("srcc", "Spearman's rank correlation", "none", low=-1.0, digits=3),
        Metric("plcc", "Pearson's correlation", "none", low=-1.0, digits=3),
        Metric("mae", "mean absolute error", "none", "lower", high=math.inf, digits=3),
        Metric("psnr", "peak signal-to-noise ratio", "dB", high=math.inf, digits=2),
        Metric("ssim", "structural similarity", "none", low=-1.0, digits=4),
    )
}
"""The metrics that are known by name."""


def metric_of(name: str) -> Metric:
    """The metric that ``name`` is of, under that name: what it ends with, behind the evaluation that was scored.

    ``recall@5`` is a recall. A name of no known metric is a fraction of which more is better.
    """
    plain = name.split("@")[0]
    parts = plain.split("_")
    for first in range(len(parts)):
        known = METRICS.get("_".join(parts[first:]))
        if known is not None:
            return replace(known, name=name)
    return Metric(name, plain.replace("_", " "))
