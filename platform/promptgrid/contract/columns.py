"""What a batch can hold, column by column: what each is called, when it is there, and how it is had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method

Show = Callable[[Tensor], Tensor]
"""(B, ...) as it is held to (B, ...) as a method sees it."""


def as_it_is(values: Tensor) -> Tensor:
    """What is held is what is seen."""
    return values


@dataclass(frozen=True, eq=False)
class Table:
    """A row for each example, whatever view of it is looked at: ``values`` (N, ...)."""

    values: Tensor
    show: Show = as_it_is


@dataclass(frozen=True, eq=False)
class Views:
    """Several views of each example, of which every step looks at one.

    Attributes:
        look: views ``first`` to ``last`` (not included) as (V, N, ...).
        show: what is made of the views that a step looks at.
        kept: whether that is worth keeping for all of them, where it fits.
    """

    look: Callable[[int, int], Tensor]
    show: Show = as_it_is
    kept: bool = False

    @classmethod
    def still(cls, values: Tensor, show: Show = as_it_is, *, kept: bool = False) -> Views:
        """One view of each example: ``values`` (N, ...)."""
        return cls(lambda first, last: values.unsqueeze(0), show, kept)


@dataclass(frozen=True, eq=False)
class Stream:
    """Drawn anew at every step: from positions (B,) in the training set and the step's seed to (B, ...)."""

    draw: Callable[[Tensor, int], Tensor]
    show: Show = as_it_is


Column = Table | Views | Stream


class ColumnSource(ABC):
    """Who gives one column of a wing's batches. A new need of methods is one subclass, in one file.

    Attributes:
        name: of the column, ``batch.name``.
        needs: which of a method's ``needs`` ask for it; with none, every method gets it.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    def wanted(self, method: Method | type[Method]) -> bool:
        """Whether ``method`` sees this column."""
        return not self.needs or bool(self.needs & method.needs)

    @abstractmethod
    def training(self, data: Any, drawn: Any) -> Column | None:
        """The column of a training set; None where it has none.

        Args:
            data: what the cells of a pack share: the wing's own :class:`promptgrid.engine.data.PackData`.
            drawn: which examples are trained on, and how they are looked at: the wing's own noun, with ``indices``.
        """

    @abstractmethod
    def scoring(self, data: Any, split: str, indices: Sequence[int]) -> Table | None:
        """The column of examples ``indices`` of one split that are scored; None for what only training knows."""

    def admit(self, method: Method, dataset: Dataset) -> None:  # noqa: B027 - most refuse nothing
        """Raise Refused where ``dataset`` cannot give this column to ``method``."""

    def identity(self, dataset: Dataset) -> str:
        """What of the column is part of a cell's key beside dataset and backbone: a digest, or '' for nothing."""
        return ""
