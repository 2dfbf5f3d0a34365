"""Which images and classes train, which are scored, and what the scores are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from promptgrid.contract.dataset import Dataset
from promptgrid.spec import DatasetCard

Selection = Literal["last", "val"]


@dataclass(frozen=True)
class Evaluation:
    """One scored set: ``name`` prefixes its metrics; ``classes`` are dataset labels, ``indices`` dataset images."""

    name: str
    classes: tuple[int, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """What one cell trains on, selects on and is scored on. Labels are positions in the respective ``classes``."""

    classes: tuple[int, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]
    evaluations: tuple[Evaluation, ...]


class Protocol(ABC):
    """A protocol turns (dataset, shots, seed) into a split, and per-set accuracies into named metrics."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    about: ClassVar[str]
    headline: ClassVar[str]
    open_vocabulary: ClassVar[bool] = False

    @abstractmethod
    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        """The split. Deterministic in its arguments; test images never enter train or val."""

    @abstractmethod
    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a record from {evaluation name: {accuracy, macro_f1, ...}}; ``headline`` is one of them."""

    def check(self, card: DatasetCard, shots: int, selection: Selection) -> None:  # noqa: B027 - most refuse nothing
        """Raise Refused where this protocol cannot run on ``card``, or has nothing to select on."""
