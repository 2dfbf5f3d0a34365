"""What one cell learned, taken from the store to be used again on examples that no dataset knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.method import Params

TOGETHER = 256
"""Examples that are in memory at once."""


@dataclass(frozen=True, repr=False)
class Answer:
    """What one example is taken for.

    Attributes:
        example: its path, or its place among those given.
        name: the most likely class.
        score: its probability, by softmax of the logits.
        ranked: every class with its probability, the likeliest first.
    """

    example: str
    name: str
    score: float
    ranked: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        return f"Answer({self.example!r}: {self.name!r}, {self.score:.3f})"


def params_of(state: Mapping[str, npt.NDArray[Any]], device: str) -> Params:
    """The arrays that a record keeps, as parameters on ``device``."""
    return {name: torch.from_numpy(value.copy()).to(device) for name, value in state.items()}


class Given(Protocol):
    """An example that somebody hands over."""

    @property
    def name(self) -> str:
        """Its path, or its place among those given."""

    def read(self) -> Any:
        """The example, as the wing's datasets give it."""


@dataclass(frozen=True, repr=False)
class Learned(ABC):
    """A learned method, ready to classify. A wing says how logits come of its examples."""

    answer_type: ClassVar[type[Answer]] = Answer

    method: Any
    params: Params
    task: Any
    title: str = ""

    @abstractmethod
    def logits_of(self, examples: Sequence[Any]) -> Tensor:
        """(N, classes) logits of a few examples."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title or self.method.name}: {len(self.classes)} classes)"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names it chooses between, by column of the logits."""
        return tuple(self.task.classes)

    def rebind(self, classes: Sequence[str]) -> Self:
        """The same learned parameters on other classes.

        Raises:
            ValueError: the method learned something about its own classes only.
        """
        if not self.method.open_vocabulary:
            raise ValueError(f"{self.method.name} cannot be used on classes it was not trained on")
        return replace(self, task=replace(self.task, classes=tuple(classes)))

    def rows(self, given: Sequence[Given]) -> Tensor:
        """(N, classes) logits of all that is ``given``, read a few at a time."""
        rows = [logits for _, logits in self._parts(given)]
        return torch.cat(rows) if rows else torch.zeros(0, len(self.classes))

    def answers(self, given: Sequence[Given]) -> list[Any]:
        """What each of the ``given`` is taken for."""
        return [
            self._answer(one.name, row)
            for part, logits in self._parts(given)
            for one, row in zip(part, logits.double().softmax(1), strict=True)
        ]

    def _parts(self, given: Sequence[Given]) -> Iterator[tuple[Sequence[Given], Tensor]]:
        for start in range(0, len(given), TOGETHER):
            part = given[start : start + TOGETHER]
            yield part, self.logits_of([one.read() for one in part])

    def _answer(self, example: str, chances: Tensor) -> Answer:
        order = chances.argsort(descending=True, stable=True).tolist()
        ranked = tuple((self.classes[place], float(chances[place])) for place in order)
        return self.answer_type(example, *ranked[0], ranked)
