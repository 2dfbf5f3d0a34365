"""A learned prompt, head or model, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract.columns import Table
from promptgrid.contract.method import Method, Params
from promptgrid.engine.scoring import answers_of
from promptgrid.tracks.text.data.encoded import bare, in_template
from promptgrid.tracks.text.data.frozen import frozen_states
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.task import TextTask

TOGETHER = 64
"""Texts that are read at once."""
Given = str | tuple[str, str] | Text
"""A text, a pair of texts, or a :class:`Text` with the places of its entities."""


@dataclass(frozen=True, repr=False)
class Answer:
    """What one text is taken for.

    Attributes:
        text: as it was given.
        name: the most likely class.
        score: its probability, by softmax of the logits.
        ranked: every class with its probability, the likeliest first.
    """

    text: str
    name: str
    score: float
    ranked: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        return f"Answer({self.text[:40]!r}: {self.name!r}, {self.score:.3f})"


@dataclass(frozen=True, repr=False)
class LearnedMethod:
    """What one cell learned, ready to classify texts.

    >>> learned = promptgrid.load_method(record)         # doctest: +SKIP
    >>> learned.classify("a film to fall asleep over")   # doctest: +SKIP
    Answer('a film to fall asleep over': 'negative', 0.861)
    >>> learned.classify(["dull", "fun"])[1].name        # doctest: +SKIP
    'positive'
    """

    method: Method
    params: Params
    task: TextTask
    title: str

    def __repr__(self) -> str:
        return f"LearnedMethod({self.title})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names it chooses between, by column of :meth:`logits`."""
        return self.task.classes

    def rebind(self, classes: Sequence[str]) -> LearnedMethod:
        """The same learned parameters on other classes, which are named by their own names.

        Raises:
            ValueError: the method learned something about its own classes only.
        """
        if not self.method.open_vocabulary:
            raise ValueError(f"{self.method.name} cannot be used on classes it was not trained on")
        return replace(self, task=self.task.but(classes=tuple(classes)))

    def classify(self, texts: Given | Sequence[Given]) -> Answer | list[Answer]:
        """What each text is taken for.

        Args:
            texts: a text, or a pair of texts as a tuple: one answer. A list of these: a list of answers.

        Raises:
            TypeError: something given is no text.
        """
        alone = isinstance(texts, str | tuple | Text)
        given = [_text(texts)] if alone else [_text(one) for one in texts]  # type: ignore[union-attr]
        chances = self.logits(given).double().softmax(1)
        answers = [self._answer(text.a, row) for text, row in zip(given, chances, strict=True)]
        return answers[0] if alone else answers

    def logits(self, texts: Sequence[Given]) -> Tensor:
        """(N, classes) logits of ``texts``."""
        given = [_text(one) for one in texts]
        parts = [self._logits(given[start : start + TOGETHER]) for start in range(0, len(given), TOGETHER)]
        return torch.cat(parts) if parts else torch.zeros(0, len(self.classes))

    def _logits(self, texts: Sequence[Text]) -> Tensor:
        wanted, backbone, own = columns_of(self.method), self.task.backbone, dict[str, Tensor]()
        if {"tokens", "features"} & wanted:
            encoded = bare(backbone, texts)
            own |= encoded.columns
            if "features" in wanted:
                own["features"] = frozen_states(backbone, encoded, "features")
        if {"templated", "mask_state"} & wanted:
            encoded = in_template(backbone, texts, self.task.template)
            own |= encoded.columns
            if "mask_state" in wanted:
                own["mask_state"] = frozen_states(backbone, encoded, "mask_state")
        columns = {name: Table(value) for name, value in own.items()}
        return answers_of(self.method, self.params, self.task, columns, TOGETHER)

    def _answer(self, text: str, chances: Tensor) -> Answer:
        order = chances.argsort(descending=True, stable=True).tolist()
        ranked = tuple((self.classes[place], float(chances[place])) for place in order)
        return Answer(text, *ranked[0], ranked)


def _text(given: object) -> Text:
    if isinstance(given, Text):
        return given
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, str) for part in given):
        return Text(*given)
    raise TypeError(f"expected a text or a pair of texts, got {type(given).__name__}")
