"""A learned prompt, head or model, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from promptgrid.contract.columns import Table
from promptgrid.contract.method import Method
from promptgrid.engine import learned
from promptgrid.engine.scoring import answers_of
from promptgrid.tracks.text.data.encoded import bare, in_template
from promptgrid.tracks.text.data.frozen import frozen_states
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.task import TextTask

CHUNK = 64
"""Texts that pass the tower at once."""
Given = str | tuple[str, str] | Text
"""A text, a pair of texts, or a :class:`Text` with the places of its entities."""


@dataclass(frozen=True, repr=False)
class Answer(learned.Answer):
    """What one text is taken for; see :class:`promptgrid.engine.learned.Answer`."""

    @property
    def text(self) -> str:
        """As it was given."""
        return self.example

    def __repr__(self) -> str:
        return f"Answer({self.text[:40]!r}: {self.name!r}, {self.score:.3f})"


@dataclass(frozen=True)
class Handed:
    """A text that somebody hands over."""

    text: Text

    @property
    def name(self) -> str:
        """The text itself."""
        return self.text.a

    def read(self) -> Text:
        """As the wing's datasets give it."""
        return self.text


@dataclass(frozen=True, repr=False)
class LearnedMethod(learned.Learned):
    """What one cell learned, ready to classify texts.

    >>> learned = promptgrid.load_method(record)         # doctest: +SKIP
    >>> learned.classify("a film to fall asleep over")   # doctest: +SKIP
    Answer('a film to fall asleep over': 'negative', 0.861)
    >>> learned.classify(["dull", "fun"])[1].name        # doctest: +SKIP
    'positive'
    """

    answer_type = Answer

    method: Method
    task: TextTask

    def classify(self, texts: Given | Sequence[Given]) -> Answer | list[Answer]:
        """What each text is taken for.

        Args:
            texts: a text, or a pair of texts as a tuple: one answer. A list of these: a list of answers.

        Raises:
            TypeError: something given is no text.
        """
        alone = isinstance(texts, str | tuple | Text)
        answers: list[Answer] = self.answers(_handed([texts] if alone else texts))  # type: ignore[list-item, arg-type]
        return answers[0] if alone else answers

    def logits(self, texts: Sequence[Given]) -> Tensor:
        """(N, classes) logits of ``texts``."""
        return self.rows(_handed(texts))

    def logits_of(self, examples: Sequence[Text]) -> Tensor:
        wanted, backbone, own = columns_of(self.method), self.task.backbone, dict[str, Tensor]()
        if {"tokens", "features"} & wanted:
            encoded = bare(backbone, examples)
            own |= encoded.columns
            if "features" in wanted:
                own["features"] = frozen_states(backbone, encoded, "features")
        if {"templated", "mask_state"} & wanted:
            encoded = in_template(backbone, examples, self.task.template)
            own |= encoded.columns
            if "mask_state" in wanted:
                own["mask_state"] = frozen_states(backbone, encoded, "mask_state")
        columns = {name: Table(value) for name, value in own.items()}
        return answers_of(self.method, self.params, self.task, columns, CHUNK)


def _handed(texts: Sequence[Given]) -> list[Handed]:
    return [Handed(_text(one)) for one in texts]


def _text(given: object) -> Text:
    if isinstance(given, Text):
        return given
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, str) for part in given):
        return Text(*given)
    raise TypeError(f"expected a text or a pair of texts, got {type(given).__name__}")
