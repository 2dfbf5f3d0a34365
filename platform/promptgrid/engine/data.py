"""What a wing gives the engine for one pack: the plug-ins, opened and loaded, and every cell's data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from pydantic import JsonValue
from torch import Tensor

from promptgrid.contract.columns import Column, ColumnSource, Table
from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method, Params
from promptgrid.contract.protocol import Protocol, Split
from promptgrid.contract.task import Chosen, Task
from promptgrid.contract.track import Arrays, Learned
from promptgrid.engine.scoring import answers_of
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.spec import Cell

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Begun:
    """What a first stage learned, and on how many ``examples``, seen again and again."""

    learned: Arrays
    examples: int


def afresh(cell: Cell) -> None:
    """No cell begins from a first stage."""
    return


@dataclass(frozen=True)
class Prepared:
    """One cell with its data at hand; ``carried`` is what it starts from, learned on another dataset."""

    cell: Cell
    split: Split
    method: Method
    task: Task
    training: TrainingSet
    carried: Params | None = None


@dataclass(frozen=True)
class Opened:
    """The plug-ins of a pack, whose cells have all of them in common.

    Attributes:
        method: as a class; cells differ in its settings.
        dataset: opened.
        protocol: which examples train, and which are scored.
        device: ``cpu`` or ``cuda``.
        split_of: a cell to its split.
        learned: a key to what that cell learned.
        cells: of the pack, wanted or not.
        first: a cell to its first stage; None for one that has none.
    """

    method: type[Method]
    dataset: Dataset
    protocol: Protocol
    device: str
    split_of: Callable[[Cell], Split]
    learned: Learned
    cells: tuple[Cell, ...] = ()
    first: Callable[[Cell], Begun | None] = afresh


class PackData(ABC):
    """Where the data of a pack's cells is looked up. One subclass a wing; what cells share is looked up once.

    Attributes:
        opened: the plug-ins.
        chunk: examples that are scored together.
        asked_plainly: whether steps are taken as they are, and none is tried to find a shortcut.
    """

    chunk = 512
    asked_plainly = False

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._splits: dict[tuple[int, int, str], Split] = {}

    @abstractmethod
    def task(self, cell: Cell) -> Task:
        """The task of ``cell`` without examples: names, classes, words."""

    @abstractmethod
    def task_with_examples(self, cell: Cell) -> Task:
        """The same with support and validation examples and the assets that its method needs.

        Raises:
            DamagedData: an example cannot be read.
            FileNotFoundError: one of them is gone.
        """

    @abstractmethod
    def training_set(self, cell: Cell) -> TrainingSet:
        """What ``cell`` trains on, without a pool."""

    @abstractmethod
    def pooled(self, ready: Prepared, chosen: Chosen) -> TrainingSet:
        """What a method trains on for one round: examples of the pool, and labelled ones where it takes them too."""

    @abstractmethod
    def rebound(self, ready: Prepared, classes: Sequence[int]) -> Task:
        """The task with other classes to choose between, and nothing to learn from."""

    @abstractmethod
    def columns(self, split: str, indices: tuple[int, ...]) -> Mapping[str, Table]:
        """What is looked at of examples ``indices`` of one split when they are scored, each (N, ...)."""

    def pool_columns(self, ready: Prepared) -> Mapping[str, Table]:
        """The same of the unlabelled pool."""
        return self.columns("train", ready.split.unlabelled)

    def answers(
        self, ready: Prepared, params: Params, task: Task, split: str, indices: tuple[int, ...], progress: Progress
    ) -> Tensor:
        """(N, ...) what ``params`` make of the scored examples: of classifiers (N, C) logits."""
        return answers_of(ready.method, params, task, self.columns(split, indices), self.chunk)

    @abstractmethod
    def about(self, ready: Prepared) -> Mapping[str, JsonValue]:
        """What a learned state needs beside its arrays to be used again, as plain values."""

    # Beyond this line: the same in every wing.

    @property
    def method(self) -> type[Method]:
        """The method of the pack, as a class."""
        return self.opened.method

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return self.opened.device

    @property
    def apart(self) -> bool:
        """Whether the cells of a pack train one behind the other, each in the shapes that its own data has."""
        return False

    def build(self, cell: Cell) -> Method:
        """The method with the settings of ``cell``."""
        return self.opened.method(**cell.settings)

    def split(self, cell: Cell) -> Split:
        """What ``cell`` trains on, selects on and is scored on."""
        name = cell.shots, cell.seed, cell.source
        if name not in self._splits:
            self._splits[name] = self.opened.split_of(cell)
        return self._splits[name]

    def home_of(self, part: str) -> str:
        """The split of the dataset that examples of ``part`` are drawn from: what selects may come from training."""
        return self.opened.protocol.selects_from if part == "val" else part

    def labels(self, indices: Sequence[int], classes: Sequence[int]) -> Tensor:
        """(N,) int64 labels of dataset examples ``indices``, as positions in ``classes``."""
        position = {label: place for place, label in enumerate(classes)}
        found = [position[self.opened.dataset.labels[index]] for index in indices]
        return torch.tensor(found, dtype=torch.int64, device=self.device)

    def prepare(self, cell: Cell) -> Prepared:
        """``cell`` with its data.

        Raises:
            DamagedData: one of its training or validation examples cannot be read.
            FileNotFoundError: one of them is gone.
        """
        split, carried, method = self.split(cell), self._carried(cell), self.build(cell)
        nothing = TrainingSet(torch.zeros(0, dtype=torch.int64), {})
        if cell.reading == "evaluate":
            return Prepared(cell, split, method, self.task(cell), nothing, carried)
        if cell.members:  # nothing is trained, and the task is the one that its members were trained for
            return Prepared(cell, split, method, self.task_with_examples(cell), nothing)
        return Prepared(cell, split, method, self.task_with_examples(cell), self.training_set(cell), carried)

    def _carried(self, cell: Cell) -> Params | None:
        """What the cell that ``cell`` starts from learned, on the device; None where it starts afresh."""
        stage = self.build(cell).first_stage
        if cell.source:
            (key,) = cell.needs
            learned = self.opened.learned(key)
        elif stage is not None and (begun := self.opened.first(cell)) is not None:
            learned = {name: value for name, value in begun.learned.items() if name in stage.kept}
        else:
            return None
        return self._here(learned)

    def learned(self, key: str) -> Params:
        """What the finished cell of ``key`` learned, on the device. Raises SourceLost where nobody has it."""
        return self._here(self.opened.learned(key))

    def _here(self, learned: Mapping[str, npt.NDArray[Any]]) -> Params:
        return {name: torch.from_numpy(value.copy()).to(self.device) for name, value in learned.items()}

    def clear(self) -> None:
        """Forget all that was looked up."""
        self._splits.clear()


def training_columns(
    data: Any, drawn: Any, sources: Sequence[ColumnSource], method: Method | type[Method]
) -> dict[str, Column]:
    """The columns of a training set that ``method`` sees, by name."""
    found = {source.name: source.training(data, drawn) for source in sources if source.wanted(method)}
    return {name: column for name, column in found.items() if column is not None}


def scoring_columns(
    data: Any, split: str, indices: Sequence[int], sources: Sequence[ColumnSource], method: Method | type[Method]
) -> dict[str, Table]:
    """The columns of scored examples that ``method`` sees, by name."""
    found = {source.name: source.scoring(data, split, indices) for source in sources if source.wanted(method)}
    return {name: column for name, column in found.items() if column is not None}
