"""Few-shot samples as CoOp draws them, so that our splits are those of the published index files.

The rule (Zhou et al., IJCV 2022; Dassl's ``generate_fewshot_dataset``), which reproduces 105 of 105 published files:
one generator is seeded with the run's seed; the labels of the train split are visited in order of first appearance,
``shots`` examples are drawn from each; then the same generator draws ``min(shots, 4)`` a label from the val split.

Policies declared here:

* A class with fewer examples than asked for gives all it has, in split order, and draws nothing (CoOp's rule).
* A dataset without a val split gives no validation examples (CoOp: ImageNet). A suite with ``selection: val`` is
  refused for it; methods that search on validation examples keep their defaults.
* Datasets joined of several (``a+b``, ``a|b``) give ``shots`` examples a class of each part.
* Base-to-new samples over ALL classes first and takes its classes' share afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Selection
from promptgrid.spec import DatasetCard, Refused

VAL_SHOTS = 4


def few_shot_sample(
    dataset: Dataset, shots: int, seed: int, val_shots: int | None = None
) -> tuple[list[int], list[int]]:
    """Indices of (train, val) examples for one run, in the order drawn.

    Args:
        dataset: with a train split.
        shots: training examples a class.
        seed: of the run.
        val_shots: validation examples a class; ``min(shots, 4)`` when None.

    Raises:
        Refused: there are no training examples, or a test example stands in train or val.
    """
    splits = dataset.splits
    if not splits.get("train"):
        raise Refused("there are no training examples", where=dataset.card.name)
    refuse_leaks(dataset.card.name, splits)
    draw = random.Random(seed)
    strata = _strata(dataset)
    train = _per_label(splits["train"], strata, shots, draw)
    val = _per_label(splits.get("val", []), strata, min(shots, VAL_SHOTS) if val_shots is None else val_shots, draw)
    return train, val


def _strata(dataset: Dataset) -> Sequence[Hashable]:
    """What k examples are drawn from: a label; in joined datasets a label of one part."""
    if not dataset.parts:
        return dataset.labels
    return list(zip(dataset.parts, dataset.labels, strict=True))


def _per_label(indices: Iterable[int], labels: Sequence[Hashable], count: int, draw: random.Random) -> list[int]:
    by_label: dict[Hashable, list[int]] = {}
    for index in indices:
        by_label.setdefault(labels[index], []).append(index)
    sample: list[int] = []
    for examples in by_label.values():
        sample += draw.sample(examples, count) if len(examples) >= count else examples
    return sample


def refuse_leaks(name: str, splits: Mapping[str, Sequence[int]]) -> None:
    """Refuse splits in which a test example may train or select."""
    test = set(splits.get("test", ()))
    for split in ("train", "val"):
        shared = test.intersection(splits.get(split, ()))
        if shared:
            raise Refused(f"{len(shared)} examples stand in {split} and test, first example {min(shared)}", where=name)


def of_classes(indices: Iterable[int], labels: Sequence[int], classes: Collection[int]) -> tuple[int, ...]:
    """Those of ``indices`` whose label is one of ``classes``, order kept."""
    wanted = set(classes)
    return tuple(index for index in indices if labels[index] in wanted)


def check_few_shot(card: DatasetCard, shots: int, selection: Selection) -> None:
    """Refuse a card that cannot give ``shots`` training examples a class, or validation examples where they select."""
    if shots < 1:
        raise Refused("shots", where=card.name, got=shots, expected="an integer from 1 up")
    if not card.splits.get("train"):
        raise Refused("there are no training examples", where=card.name, got=dict(card.splits))
    if selection == "val" and not card.splits.get("val"):
        raise Refused("selection: val needs validation examples and this dataset has no val split", where=card.name,
                      got=dict(card.splits), hint="use selection: last")  # fmt: skip
