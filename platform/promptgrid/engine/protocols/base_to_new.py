"""Base-to-new generalisation: learn on half of the classes, be scored on both halves apart."""

from __future__ import annotations

from collections.abc import Mapping

from promptgrid.contract import Dataset, Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample, of_classes
from promptgrid.spec import DatasetCard, Refused


class BaseToNew(Protocol):
    """CoCoOp's protocol: base is the first half of the labels (rounded up), new is the rest.

    The few-shot sample is drawn over all classes, then the base classes' share of it trains and validates. Each half
    is scored on its own test examples among its own class names. ``harmonic_mean`` is that of one dataset, 2BN/(B+N);
    papers average B and N over datasets before they take H, which the leaderboard derives from these two columns.
    """

    name = "base_to_new"
    about = (
        "k examples a class of the first half of the classes, accuracy on both halves and their harmonic mean (CoCoOp)"
    )
    headline = "harmonic_mean"
    open_vocabulary = True

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = few_shot_sample(dataset, shots, seed)
        count = len(dataset.card.classes)
        base, new = tuple(range(_base(count))), tuple(range(_base(count), count))
        evaluations = []
        for name, classes in (("base", base), ("new", new)):
            examples = of_classes(dataset.splits["test"], dataset.labels, classes)
            if not examples:
                raise Refused(f"there are no test examples of {name} classes", where=dataset.card.name)
            evaluations.append(Evaluation(name, classes, examples))
        trained = of_classes(train, dataset.labels, base)
        return Split(base, trained, of_classes(val, dataset.labels, base), tuple(evaluations))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        base, new = scores["base"]["accuracy"], scores["new"]["accuracy"]
        return {"base_accuracy": base, "new_accuracy": new, "harmonic_mean": harmonic_mean(base, new)}

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
        count = len(card.classes)
        if count - _base(count) < 2:
            raise Refused("base_to_new needs at least 2 classes in each half", where=card.name, got=count,
                          expected="4 classes or more")  # fmt: skip


def harmonic_mean(base: float, new: float) -> float:
    """2BN/(B+N), and 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new > 0 else 0.0


def _base(count: int) -> int:
    """How many of ``count`` labels are base: half, rounded up."""
    return (count + 1) // 2
