"""Few-shot classification by an image tower alone: a linear head, and no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from promptgrid.contract.clip import Classifier, Dataset, Method, Split
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused

ORDERED = "ordered"
"""The name of the scored set of a task whose classes stand in order."""


class VisionFewShot(FewShot):
    """VPT's setting with few shots (Jia et al., ECCV 2022; Song et al., 2023): class names play no part.

    The draw is that of ``few_shot``. ``top1_or_qwk`` is top-1 accuracy; of a task whose classes stand in order
    (``ordered:NAME``, ``severity:KIND:NAME``) it is quadratic weighted kappa (DVPT's). Checkpoints and searches choose
    by accuracy on validation images in both. Methods that compare images with texts are refused.
    """

    name = "vision_few_shot"
    about = "k images a class, an image tower and a linear head; top-1, or quadratic weighted kappa of ordered classes"
    headline = "top1_or_qwk"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "qwk")
    learned_by: ClassVar[str] = "vision_few_shot"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        return self._named(dataset, super().split(dataset, shots, seed))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        ((name, found),) = scores.items()
        plain = {key: found[key] for key in ("accuracy", "macro_f1")}
        if name != ORDERED:
            return plain | {"top1_or_qwk": found["accuracy"]}
        return plain | {"qwk": found["qwk"], "top1_or_qwk": found["qwk"]}

    def admit(self, method: Method) -> None:
        super().admit(method)
        if isinstance(method, Classifier):
            hint = "take one with a linear head on the tower; tower_probe and tower_bitfit are such of their names"
            raise Refused(f"method {method.name!r} is written for images beside texts, and {self.name!r} has no texts",
                          where="methods", hint=hint)  # fmt: skip

    def _named(self, dataset: Dataset, split: Split) -> Split:
        """``split`` with its scored set called by whether the classes of ``dataset`` stand in order."""
        if not dataset.ordered:
            return split
        return replace(split, evaluations=tuple(replace(one, name=ORDERED) for one in split.evaluations))
