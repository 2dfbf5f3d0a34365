"""Few-shot classification of texts where each task has the score that papers report of it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, cast

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Split
from promptgrid.tracks.text.datasets.text import TextDataset
from promptgrid.tracks.text.protocols.text_few_shot import TextFewShot


class TextGlue(TextFewShot):
    """``text_few_shot`` scored as GLUE is (Wang et al., ICLR 2019): Matthews' correlation of CoLA, F1 of MRPC and QQP.

    The card of a dataset says which score is its own (``metric``); it is the headline, ``task_score``, and chooses on
    validation texts. Accuracy, macro-F1 and Matthews' correlation stand beside it. A mean over tasks is one of unlike
    scores, as GLUE's own is.
    """

    name = "text_glue"
    about = "k texts a class to learn from, each task by its own score (CoLA: Matthews' correlation)"
    headline = "task_score"
    scores: ClassVar[tuple[str, ...]] = ("task_score", *TextFewShot.scores)
    choose_by = "task_score"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        own = cast(TextDataset, dataset)
        few = super().split(dataset, shots, seed)
        none = None if own.none_class is None else own.card.classes.index(own.none_class)
        scored = tuple(replace(one, scored_by=own.metric, left_out=none) for one in few.evaluations)
        return replace(few, evaluations=scored)
