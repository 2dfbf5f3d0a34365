"""Few-shot relations between two marked words, scored by micro-F1 without the class that means no relation."""

from __future__ import annotations

from typing import ClassVar, cast

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Evaluation, Split
from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.text import TextDataset
from promptgrid.tracks.text.protocols.drawing import drawn
from promptgrid.tracks.text.protocols.text_few_shot import TextFewShot


class Relation(TextFewShot):
    """KnowPrompt's protocol (Chen et al., WWW 2022): k sentences a relation, micro-F1 without "no relation".

    Where a dataset has no such class micro-F1 is the accuracy. Version 2 leaves that class out on validation sentences
    too, and chooses by their micro-F1.
    """

    name = "relation"
    version = 2
    about = "k sentences a relation to learn from, micro-F1 of all relations but 'none' (KnowPrompt)"
    headline = "micro_f1"
    scores: ClassVar[tuple[str, ...]] = ("micro_f1", "accuracy", "macro_f1")
    choose_by = "micro_f1"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        own = cast(TextDataset, dataset)
        if own.read(own.splits["test"][0]).spans is None:
            raise Refused("protocol 'relation' needs sentences with two marked words", where=own.card.name)
        train, val = drawn(dataset, shots, seed)
        classes = tuple(range(len(own.card.classes)))
        none = None if own.none_class is None else own.card.classes.index(own.none_class)
        return Split(classes, train, val, (Evaluation("test", classes, tuple(own.splits["test"]), none),))
