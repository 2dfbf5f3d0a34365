"""What a dataset of the text wing is: texts, a card with label words and templates, perhaps the source's own draws."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from promptgrid.contract import Dataset
from promptgrid.spec import DatasetCard, digest

Span = tuple[int, int]
Metric = Literal["accuracy", "matthews", "f1", "micro_f1"]
HOLES = ("text", "text_b", "subject", "object", "mask")
"""What may stand in braces in a template for mask filling."""


@dataclass(frozen=True)
class Text:
    """One example: a sentence, the second one of pair tasks, and for relations where subject and object stand in ``a``.

    ``spans`` are (start, end) in characters of ``a``, the end excluded.
    """

    a: str
    b: str = ""
    spans: tuple[Span, Span] | None = None

    @property
    def subject(self) -> str:
        """The words of the subject; empty where there is none."""
        return "" if self.spans is None else self.a[slice(*self.spans[0])]

    @property
    def object(self) -> str:
        """The words of the object; empty where there is none."""
        return "" if self.spans is None else self.a[slice(*self.spans[1])]


class TextCard(DatasetCard):
    """A dataset card, and what mask filling and scoring need to know.

    Attributes:
        words: label words by class name, the class's own first; empty where the source gives none.
        mask_templates: how a text and a mask make a prompt, the usual one first, such as ``{text} It was {mask}.``;
            ``{text_b}`` is the second sentence, ``{subject}`` and ``{object}`` are the words of a relation.
        metric: what papers score the task by.
        none_class: the class that micro-F1 leaves out; None where every class counts.
        called: what papers and hubs call the task.
    """

    template: str = "This text is about {}."
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    mask_templates: tuple[str, ...] = ()
    metric: Metric = "accuracy"
    none_class: str | None = None
    called: tuple[str, ...] = ()

    @model_validator(mode="after")
    def words_fit(self) -> Self:
        if self.words and set(self.words) != set(self.classes):
            odd = sorted(set(self.words) ^ set(self.classes))
            raise ValueError(f"words: every class has label words and nothing else does, not so {odd[0]!r}")
        for name, words in self.words.items():
            if not words or not all(word.strip() for word in words):
                raise ValueError(f"words: class {name!r} has no label word, or an empty one")
        own = [words[0].casefold() for words in self.words.values()]
        if len(set(own)) < len(own):
            repeated = next(word for word in own if own.count(word) > 1)
            raise ValueError(f"words: two classes have the first word {repeated!r}")
        if self.none_class is not None and self.none_class not in self.classes:
            raise ValueError(f"none_class: {self.none_class!r} is none of the classes")
        return self

    @model_validator(mode="after")
    def templates_fit(self) -> Self:
        for template in self.mask_templates:
            try:
                holes = [hole for _, hole, _, _ in string.Formatter().parse(template) if hole is not None]
            except ValueError as error:
                raise ValueError(f"mask_templates: {template!r}: {error}") from error
            if holes.count("text") != 1 or holes.count("mask") != 1 or not set(holes) <= set(HOLES):
                raise ValueError(f"mask_templates: {template!r} needs one {{text}}, one {{mask}}; known: {HOLES}")
        return self


class TextDataset(Dataset):
    """Texts in memory, by index, in the order of the source.

    ``draws`` are the few-shot draws that the source published: ``draws[shots, seed]`` are the indices that a cell with
    this many shots a class and this seed trains on, and those it may select by. They lie in the splits ``train`` and
    ``val``. Empty where the source publishes none: the protocol draws.
    """

    card: TextCard

    def __init__(
        self,
        card: TextCard,
        texts: Sequence[Text],
        labels: Sequence[int],
        splits: Mapping[str, Sequence[int]],
        notes: Sequence[str] = (),
        draws: Mapping[tuple[int, int], tuple[Sequence[int], Sequence[int]]] | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.card = card
        self.texts = tuple(texts)
        self.labels = tuple(labels)
        self.splits = {name: list(rows) for name, rows in splits.items()}
        self.notes = tuple(notes)
        self.draws = dict(draws or {})
        self._names = tuple(names)

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]:
        """Label words by class name, the class's own first."""
        return self.card.words

    @property
    def mask_templates(self) -> tuple[str, ...]:
        """Templates for mask filling, the usual one first."""
        return self.card.mask_templates

    @property
    def metric(self) -> Metric:
        """What papers score the task by."""
        return self.card.metric

    @property
    def none_class(self) -> str | None:
        """The class that micro-F1 leaves out."""
        return self.card.none_class

    def read(self, index: int) -> Text:
        """Example ``index``."""
        return self.texts[index]

    def example_name(self, index: int) -> str:
        """What the source calls example ``index``."""
        return self._names[index] if self._names else str(index)


def content_digest(
    texts: Sequence[Text],
    labels: Sequence[int],
    splits: Mapping[str, Sequence[int]],
    facts: Mapping[str, Any],
    draws: Mapping[tuple[int, int], tuple[Sequence[int], Sequence[int]]] | None = None,
) -> str:
    """sha256 of all that a number can depend on: texts, labels, splits, draws, and the card's ways of speaking.

    ``facts`` are the fields of a :class:`TextCard`; names, titles and licences of it do not count.
    """
    spoken = ("template", "classes", "words", "mask_templates", "metric", "none_class")
    told = {field: facts[field] for field in spoken if facts.get(field)}
    return digest(
        {
            "texts": [[text.a, text.b, text.spans] for text in texts],
            "labels": list(labels),
            "splits": {name: list(rows) for name, rows in splits.items()},
            "draws": [[*key, list(train), list(dev)] for key, (train, dev) in sorted((draws or {}).items())],
            "spoken": told,
        }
    )
