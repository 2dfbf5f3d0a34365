"""A task of texts: what a method is told beside the columns of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from promptgrid.contract.task import Batch, Task
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.label_words import LabelWords, label_words
from promptgrid.tracks.text.tower import TextTower


@dataclass(frozen=True, eq=False)
class TextTask(Task):
    """Classes of texts on one frozen :class:`promptgrid.tracks.text.backbone.TextBackbone`.

    Columns of its batches, each there when a method names it in ``columns`` (B examples, L tokens of the longest):

    ======================= =============== =====================================================================
    ``tokens``              (B, L) int64    the bare text, or pair of texts, with the tower's special tokens
    ``attention``           (B, L) bool     beside ``tokens``: False at padding
    ``segments``            (B, L) int64    beside ``tokens``, only of pairs on a tower with segments
    ``templated``           (B, L) int64    the text in ``template``
    ``templated_attention`` (B, L) bool     beside ``templated``: False at padding
    ``mask_at``             (B,) int64      beside ``templated``: where its mask stands
    ``template_at``         (B, n) int64    beside ``templated``: where the template's own words stand
    ``subject_at``          (B, 2) int64    beside ``templated``, of relations: the slots around the first entity
    ``object_at``           (B, 2) int64    beside ``templated``, of relations: the slots around the second
    ``features``            (B, d) float32  frozen pooled features of the bare text
    ``mask_state``          (B, d) float32  the frozen last hidden state at the mask of the templated text
    ======================= =============== =====================================================================

    :func:`promptgrid.tracks.text.templates.fill` makes what ``templated`` and the columns beside it hold.

    What ``given`` holds: ``words``, ``word_scores``, ``template``, ``none_class`` of the dataset; ``support`` and
    ``validation`` as everywhere; ``examples``, the support's columns and ``labels``; ``pool``, the columns of the
    unlabelled pool in the order of ``unlabelled``, where a protocol gives one; ``pool_labels`` for controls that ask
    for them alone.
    """

    backbone: TextBackbone

    KEPT: ClassVar[frozenset[str]] = frozenset({"words", "word_scores", "template", "none_class"})

    @property
    def tower(self) -> TextTower:
        """The backbone as methods on any tower of tokens see it."""
        return TextTower(self.backbone)

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]:
        """Class to its label words, the one that names it first; the class's own name where the dataset gives none."""
        found: Mapping[str, tuple[str, ...]] = self.given.get("words") or {}
        return {name: found.get(name) or (name.replace("_", " "),) for name in self.classes}

    @property
    def word_scores(self) -> Mapping[str, tuple[float, ...]]:
        """Class to how near each of its label words is to it, 0 .. 1; all 1 where the dataset gives none.

        Raises:
            Refused: another number of scores than of words.
        """
        found: Mapping[str, tuple[float, ...]] = self.given.get("word_scores") or {}
        for name, words in self.words.items():
            if name in found and len(found[name]) != len(words):
                raise Refused(
                    "scores of label words", where=name, got=len(found[name]), expected=f"{len(words)} of them"
                )
        return {name: found.get(name) or (1.0,) * len(words) for name, words in self.words.items()}

    @property
    def label_words(self) -> LabelWords:
        """The label words as tokens of the backbone."""
        return label_words(self.backbone, tuple(self.words.values()))

    @property
    def template(self) -> str:
        """The dataset's own, as :mod:`promptgrid.tracks.text.templates` reads it."""
        found: str = self["template"]
        return found

    @property
    def none_class(self) -> str | None:
        """The class that means "no relation" and is left out of micro-F1; None where there is none."""
        return self.given.get("none_class")

    @property
    def examples(self) -> Batch | None:
        """The few labelled examples with all columns that the method needs, and ``labels``."""
        return self.given.get("examples")

    @property
    def pool(self) -> Batch | None:
        """The unlabelled pool with all columns that the method needs."""
        return self.given.get("pool")

    @property
    def pool_labels(self) -> Tensor | None:
        """(M,) the pool's true labels, for a control that names them in ``assets``; no other method is given them."""
        return self.given.get("pool_labels")
