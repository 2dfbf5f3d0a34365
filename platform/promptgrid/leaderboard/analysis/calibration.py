"""Whether a method is as often right as it is sure. Pure functions of confidences and of what was right.

Confidence is the probability of the class answered. Source: Guo et al., ICML 2017: bins of equal width, and the
expected calibration error as the mean distance between accuracy and confidence over them, weighed by examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15


@dataclass(frozen=True)
class Bin:
    """One bin of confidence: its mean confidence and accuracy, fractions, and how many answers fell into it."""

    confidence: float
    accuracy: float
    answers: int


def reliability(confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """The bins that hold an answer, from the least to the most sure; (N,) confidences in 0..1 and (N,) bool.

    Bin b of n holds what lies above b/n and up to (b + 1)/n; 0 falls into the first.
    """
    confidence = confidence.astype(np.float64)
    place = np.maximum(np.minimum(np.ceil(confidence * bins).astype(np.int64), bins) - 1, 0)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=right.astype(np.float64), minlength=bins)
    return [
        Bin(float(sure[one] / counts[one]), float(hits[one] / counts[one]), int(counts[one]))
        for one in np.flatnonzero(counts)
    ]


def calibration_error(found: list[Bin]) -> float:
    """Expected calibration error of bins, a fraction; 0 is perfect."""
    answers = sum(one.answers for one in found)
    return sum(one.answers * abs(one.accuracy - one.confidence) for one in found) / answers if answers else 0.0
