"""Calibration: whether answers are as sure as they are right, on the classes learned and on those that were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from promptgrid.engine.protocols.base_to_new import BaseToNew


class Calibration(BaseToNew):
    """Base-to-new, scored by its expected calibration error (Guo et al., ICML 2017; 15 bins).

    What prompt learning does to confidence shows on new classes (Wang et al., ICML 2024): ``base_ece`` and ``new_ece``
    stand beside both accuracies, and ``mean_ece``, the headline, is their plain mean. Probabilities are the softmax of
    the logits as the method gives them; nothing is fitted to calibrate them.
    """

    name = "calibration"
    about = "base_to_new, and how far confidence is from accuracy on base and on new classes (ECE, 15 bins)"
    headline = "mean_ece"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "ece")

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        base, new = scores["base"]["ece"], scores["new"]["ece"]
        return super().metrics(scores) | {"base_ece": base, "new_ece": new, "mean_ece": (base + new) / 2}
