"""Datasets made of others: ``a+b`` puts tasks side by side, ``a|b`` merges domains of one label space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from promptgrid.contract.assets import Descriptions
from promptgrid.contract.dataset import Dataset
from promptgrid.spec import DatasetCard, Refused, digest
from promptgrid.spec.dataset import alike

TASKS, DOMAINS = "+", "|"
COMMON_TEMPLATE = "a photo of a {}."
"""Where the parts speak of their classes in different ways and one sentence is asked for."""


class UnionDataset(Dataset):
    """Several datasets as one; examples keep the order of the parts, and within a part its own.

    ``a+b`` (tasks): label spaces stay apart, those of ``b`` behind those of ``a``; ``tasks`` and ``templates`` say
    whose class a label is and how its own dataset speaks of it. ``a|b`` (domains): labels merge by class name, and
    only the classes that every part has are kept, in the order of the first part, so that k shots are k examples of
    every class of every domain. In both, a few-shot sample draws k examples a class from each part.
    """

    def __init__(self, name: str, joint: str, datasets: Sequence[Dataset]) -> None:
        _refuse_repeats(name, datasets)
        self.datasets = tuple(datasets)
        classes, labels = _side_by_side(datasets) if joint == TASKS else _merged(name, datasets)
        self.labels = [label for own in labels for label in own]
        self.parts = [part for part, dataset in enumerate(datasets) for _ in dataset.labels]
        self._local = [index for dataset in datasets for index in range(len(dataset.labels))]
        self.splits = {}
        start = 0
        for dataset in datasets:
            for split, indices in dataset.splits.items():
                kept = [start + index for index in indices if self.labels[start + index] >= 0]
                self.splits.setdefault(split, []).extend(kept)
            start += len(dataset.labels)
        if joint == TASKS:
            self.tasks = [part for part, dataset in enumerate(datasets) for _ in dataset.card.classes]
            spoken = [dataset.card.template for dataset in datasets for _ in dataset.card.classes]
            self.templates = spoken if len(set(spoken)) > 1 else ()
        self.notes = tuple(f"{own.card.name}: {note}" for own in datasets for note in own.notes)
        self.card = _card(name, joint, datasets, classes, {split: len(rows) for split, rows in self.splits.items()})

    @cached_property
    def descriptions(self) -> Descriptions:
        """Of every class what all parts say of it; empty where a part says nothing."""
        if not all(dataset.descriptions for dataset in self.datasets):
            return {}
        found: dict[str, dict[str, None]] = {name: {} for name in self.card.classes}
        for dataset in self.datasets:
            for name, sentences in dataset.descriptions.items():
                found.get(name, {}).update(dict.fromkeys(sentences))
        return {name: tuple(sentences) for name, sentences in found.items()}

    @cached_property
    def domain_labels(self) -> list[str]:
        """Merged domains are called as their datasets are; tasks side by side are no domains."""
        return [] if self.tasks else [self.datasets[part].card.name for part in self.parts]

    def read(self, index: int) -> Any:
        return self.datasets[self.parts[index]].read(self._local[index])

    def example_name(self, index: int) -> str:
        part = self.datasets[self.parts[index]]
        return f"{part.card.name}/{part.example_name(self._local[index])}"


def members(dataset: Dataset) -> tuple[Dataset, ...]:
    """The datasets that ``dataset`` joins; itself alone where it joins none."""
    return dataset.datasets if isinstance(dataset, UnionDataset) else (dataset,)


def open_union(name: str, knows: Callable[[str], bool], read: Callable[[str], Dataset]) -> Dataset | None:
    """The union that ``name`` spells, or None where it spells none.

    Args:
        name: ``a+b+c`` or ``a|b|c``. A path may hold these signs itself: a name with a colon is a union only where
            every part is known.
        knows: whether a part can be opened.
        read: opens a part; raises Refused where it is unknown.

    Raises:
        Refused: both signs at once, an unknown or repeated part, domains that share fewer than two classes.
    """
    joints = [joint for joint in (DOMAINS, TASKS) if joint in name]
    if ":" in name:
        joints = [joint for joint in joints if all(map(knows, name.split(joint)))]
    if not joints:
        return None
    if len(joints) > 1 and ":" not in name:
        raise Refused("a union is of tasks (a+b) or of domains (a|b), not of both", where="datasets", got=name)
    parts = name.split(joints[0])
    return UnionDataset(name, joints[0], [read(part) for part in parts])


def _refuse_repeats(name: str, datasets: Sequence[Dataset]) -> None:
    seen: dict[str, str] = {}
    for dataset in datasets:
        card = dataset.card
        if card.sha256 in seen:
            raise Refused("a union holds one dataset twice", where=name, got=[seen[card.sha256], card.name])
        seen[card.sha256] = card.name


def _side_by_side(datasets: Sequence[Dataset]) -> tuple[list[str], list[list[int]]]:
    """All classes in order, and each part's labels moved behind those of the parts before."""
    classes: list[str] = []
    labels = []
    for dataset in datasets:
        labels.append([len(classes) + label for label in dataset.labels])
        classes += dataset.card.classes
    return classes, labels


def _merged(name: str, datasets: Sequence[Dataset]) -> tuple[list[str], list[list[int]]]:
    """The classes that every part has, and each part's labels among them (-1: of no shared class)."""
    for dataset in datasets:
        if len(set(dataset.card.classes)) < len(dataset.card.classes):
            raise Refused(f"{dataset.card.name} has two classes of one name; domains merge by name", where=name)
    shared = set.intersection(*(set(dataset.card.classes) for dataset in datasets))
    if len(shared) < 2:
        several = " and ".join(dataset.card.name for dataset in datasets)
        raise Refused(f"{several} share {len(shared)} class names", where=name, got=sorted(shared),
                      expected="domains of one label space, at least 2 classes",
                      hint="tasks with classes of their own are joined with +")  # fmt: skip
    classes = [label for label in datasets[0].card.classes if label in shared]
    place = {label: position for position, label in enumerate(classes)}
    moved = [[place.get(label, -1) for label in dataset.card.classes] for dataset in datasets]
    return classes, [[own[label] for label in d.labels] for own, d in zip(moved, datasets, strict=True)]


def _card(
    name: str, joint: str, datasets: Sequence[Dataset], classes: list[str], splits: dict[str, int]
) -> DatasetCard:
    cards = [dataset.card for dataset in datasets]
    templates, families, sizes = (
        {getattr(card, key) for card in cards} for key in ("template", "family", "image_size")
    )
    facts = [[card.sha256, list(card.classes), card.template] for card in cards]
    return DatasetCard(
        name=name,
        title=f" {joint} ".join(card.title or card.name for card in cards),
        description=f"{'Tasks side by side' if joint == TASKS else 'Domains merged by class name'}: "
        + ", ".join(card.name for card in cards),
        sources=tuple(dict.fromkeys(source for card in cards for source in card.sources)),
        licence=" and ".join(sorted({part for card in cards for part in card.licence.split(" and ")})),
        template=templates.pop() if len(templates) == 1 else COMMON_TEMPLATE,
        classes=tuple(classes),
        splits=splits,
        image_size=sizes.pop() if len(sizes) == 1 else 0,
        domains=tuple(sorted({domain for card in cards for domain in card.domains})),
        family=families.pop() if len(families) == 1 else None,
        seen_in_pretraining=any(card.seen_in_pretraining for card in cards),
        sha256=digest({"joint": joint, "parts": facts}),
        merged=bool(alike(classes)),
    )
