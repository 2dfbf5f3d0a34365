"""Out-of-distribution detection: examples of classes that a method does not know, told by how unsure it is of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from promptgrid.contract import Dataset, Dial, Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample, of_classes
from promptgrid.spec import DatasetCard, Refused


class OodDetection(Protocol):
    """Learn some classes; their test examples are known, all other test examples are strangers.

    On one dataset the first half of the labels (rounded up) is known, the rest are held-out classes. On tasks joined
    side by side (``a+b``) the classes of the first task are known, and the others are another dataset. Strangers are
    told by the probability of the most likely known class, the softmax of the logits over a temperature: 1, the number
    behind the name, is the maximum softmax probability (Hendrycks and Gimpel, ICLR 2017); ``ood_detection-100``, on a
    model whose logit scale is 100, is MCM at its temperature 1 (Ming et al., NeurIPS 2022). ``auroc`` and ``fpr95``
    take known examples for positives; ``accuracy`` is that of known examples among known classes.
    """

    name = "ood_detection"
    about = "known and strange examples told apart by confidence: AUROC and FPR95 (held-out classes, or b of a+b)"
    headline = "auroc"
    scores: ClassVar[tuple[str, ...]] = ("accuracy",)
    dial: ClassVar = Dial("the temperature that logits are divided by", 1.0, 1e-3, 1e3)

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = few_shot_sample(dataset, shots, seed)
        count = len(dataset.card.classes)
        known = tuple(label for label in range(count) if dataset.tasks[label] == 0) if dataset.tasks else _half(count)
        strange = tuple(range(len(known), count))
        examples = {name: of_classes(dataset.splits["test"], dataset.labels, own)
                  for name, own in (("known", known), ("strange", strange))}  # fmt: skip
        for name, own in examples.items():
            if not own:
                raise Refused(f"there are no test examples of {name} classes", where=dataset.card.name)
        trained, held = (of_classes(own, dataset.labels, known) for own in (train, val))
        sets = (
            Evaluation("known", known, examples["known"]),
            Evaluation("strange", known, examples["strange"], None, True),
        )
        return Split(known, trained, held, sets)

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {"accuracy": scores["known"]["accuracy"], **scores["strange"]}

    def certainty(self, logits: Tensor) -> Tensor:
        return super().certainty(logits.double() / self.at)

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
        if len(card.classes) < 3:
            raise Refused("ood_detection needs 2 known classes and a strange one", where=card.name,
                          got=len(card.classes), expected="3 classes or more")  # fmt: skip


def _half(count: int) -> tuple[int, ...]:
    return tuple(range((count + 1) // 2))
