"""The texts of a pack's cells: tokens, frozen states and training sets of one dataset, each looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

import torch
from pydantic import JsonValue
from torch import Tensor

from promptgrid.contract.columns import ColumnSource, Table
from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch, Chosen, Labelled, Task
from promptgrid.contract.track import Cache
from promptgrid.engine.data import Opened, PackData, Prepared, Progress, scoring_columns, training_columns
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.spec import Cell
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.data.encoded import Encoded, bare, in_template, template_of
from promptgrid.tracks.text.data.frozen import What, states
from promptgrid.tracks.text.data.kept import about
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import TextDataset
from promptgrid.tracks.text.task import TextTask

CHUNK_INSIDE_TOWER = 64
INSIDE = frozenset({"tokens", "templated"})


@dataclass(frozen=True)
class Drawn:
    """Which texts are trained on: ``indices`` of the dataset, all of its train split."""

    indices: tuple[int, ...]


@dataclass(frozen=True)
class Looking:
    """What reads the texts of a pack, and where what is read is kept.

    Attributes:
        backbone: frozen.
        cache: of frozen states.
        columns: what a batch can hold.
        model: what the backbone's digest is of, to be kept beside what is learned on it.
        alive: hears of every few texts encoded.
    """

    backbone: TextBackbone
    cache: Cache
    columns: Sequence[ColumnSource]
    model: Mapping[str, Any] = field(default_factory=dict)
    alive: Callable[[], None] = lambda: None


class TextData(PackData):
    """Tokens, frozen states and training sets of one dataset.

    Training texts are padded to the longest that any cell of the pack trains on, so that a resumed pack has the shapes
    it had; scored ones to the longest of those that are scored together, which are of about equal length. On a CPU
    cells that train inside the tower do so one behind the other: arithmetic is all that they wait for, so that a pack
    gains nothing, and each step is padded to the longest of its own batch alone.
    """

    def __init__(self, cell: Cell, opened: Opened, looking: Looking) -> None:
        super().__init__(opened)
        self.looking, self.backbone = looking, looking.backbone
        self.dataset = cast(TextDataset, opened.dataset)
        self.settled = self.build(cell)
        self.wanted = columns_of(self.settled)
        self.chunk = CHUNK_INSIDE_TOWER if INSIDE & self.wanted else PackData.chunk
        self.template = template_of(self.dataset.card, marked="relations" in self.settled.needs)
        self.encoded = lru_cache(maxsize=64)(self._encoded)
        self.states = lru_cache(maxsize=64)(self._states)
        self._training = lru_cache(maxsize=256)(self._training_set)

    @property
    def apart(self) -> bool:
        return self.device == "cpu" and bool(INSIDE & self.wanted)

    def clear(self) -> None:
        super().clear()
        for looked_up in (self.encoded, self.states, self._training):
            looked_up.cache_clear()

    def task(self, cell: Cell) -> TextTask:
        split, card = self.split(cell), self.dataset.card
        given = {"words": dict(self.dataset.words), "template": self.template, "none_class": self.dataset.none_class}
        names = tuple(card.classes[label] for label in split.known_to(self.settled))
        return TextTask(card.name, names, self.backbone, cell.shots, given=given)

    def task_with_examples(self, cell: Cell) -> TextTask:
        split, assets = self.split(cell), self.settled.assets
        own: dict[str, Any] = {}
        if split.train:
            labels = self.labels(split.train, split.classes)
            own["examples"] = Batch(self._batch("train", split.train), labels=labels)
            if "features" in self.wanted:
                own["support"] = Labelled(self.states("features", "train", split.train), labels)
        if split.val and "features" in self.wanted:
            held = self.labels(split.val, split.classes)
            own["validation"] = Labelled(self.states("features", "val", split.val), held)
        if "unlabelled" in assets:
            own["pool"] = Batch(self._batch("train", split.unlabelled))
        if "pool_labels" in assets:
            own["pool_labels"] = self.labels(split.unlabelled, split.classes)
        return self.task(cell).but(**own)

    def training_set(self, cell: Cell) -> TrainingSet:
        split = self.split(cell)
        return self._training(split.train, split.classes)

    def pooled(self, ready: Prepared, chosen: Chosen) -> TrainingSet:
        split, taken = ready.split, chosen.positions.tolist()
        shots = split.train if ready.method.with_labelled else ()
        indices = shots + tuple(split.unlabelled[position] for position in taken)
        labels = torch.cat([self.labels(shots, split.classes), chosen.labels.to(self.device)])
        columns = training_columns(self, Drawn(indices), self.looking.columns, self.settled)
        return TrainingSet(labels, columns, mixture=(len(shots), len(taken)))

    def rebound(self, ready: Prepared, classes: Sequence[int]) -> Task:
        names = tuple(self.dataset.card.classes[label] for label in classes)
        return ready.task.without_examples().but(classes=names)

    def columns(self, split: str, indices: tuple[int, ...]) -> Mapping[str, Table]:
        return scoring_columns(self, split, indices, self.looking.columns, self.settled)

    def answers(
        self, ready: Prepared, params: Params, task: Task, split: str, indices: tuple[int, ...], progress: Progress
    ) -> Tensor:
        order = self._by_length(split, indices)
        sorted_ = tuple(indices[place] for place in order)
        found = super().answers(ready, params, task, split, sorted_, progress)
        back = torch.empty(len(order), dtype=torch.int64, device=found.device)
        back[torch.tensor(order, dtype=torch.int64, device=found.device)] = torch.arange(
            len(order), device=found.device
        )
        return found[back]

    def about(self, ready: Prepared) -> Mapping[str, JsonValue]:
        return about(self.task(ready.cell), self.dataset.card, self.looking.model)

    def training_tokens(self, name: str, indices: tuple[int, ...]) -> Tensor | None:
        """(N, ...) column ``name`` of training texts, as wide as the longest that any cell of the pack trains on.

        ``name`` is one of ``tokens``, ``templated`` and what comes beside them. None where this dataset or tower has no
        such column. Of cells that train ``apart`` what is cut off again of a batch is ``GONE``, as in scoring.
        """
        everything = self._trained_on
        encoded = self.encoded(_kind(name), "train", everything)
        place = {index: row for row, index in enumerate(everything)}
        found = encoded.rows([place[index] for index in indices], encoded.width, self.backbone.special.pad)
        return (found.open_ended() if self.apart else found.columns).get(name)

    def scored_tokens(self, name: str, split: str, indices: tuple[int, ...]) -> Tensor | None:
        """The same of texts that are scored; what is cut off again of a chunk of them is ``GONE``."""
        return self.encoded(_kind(name), split, indices).open_ended().get(name)

    @cached_property
    def _trained_on(self) -> tuple[int, ...]:
        """All texts that cells of the pack train on, in the dataset's order."""
        seen: set[int] = set()
        for cell in self.opened.cells:
            split = self.split(cell)
            seen.update(split.train)
            if "unlabelled" in self.settled.assets:
                seen.update(split.unlabelled)
        return tuple(sorted(seen))

    def _batch(self, split: str, indices: tuple[int, ...]) -> dict[str, Tensor]:
        found = training_columns(self, Drawn(indices), self.looking.columns, self.settled)
        return {name: column.show(column.values) for name, column in found.items() if isinstance(column, Table)}

    def _encoded(self, kind: str, split: str, indices: tuple[int, ...]) -> Encoded:
        texts = [self.dataset.read(index) for index in indices]
        return bare(self.backbone, texts) if kind == "tokens" else in_template(self.backbone, texts, self.template)

    def _states(self, what: What, split: str, indices: tuple[int, ...]) -> Tensor:
        looking = self.looking
        found = states(self.dataset, split, indices, what, self.template, self.backbone, looking.cache, looking.alive)
        return found.to(self.device)

    def _training_set(self, indices: tuple[int, ...], classes: tuple[int, ...]) -> TrainingSet:
        columns = training_columns(self, Drawn(indices), self.looking.columns, self.settled)
        return TrainingSet(self.labels(indices, classes), columns)

    def _by_length(self, split: str, indices: tuple[int, ...]) -> list[int]:
        lengths = [len(self.dataset.read(index).a) + len(self.dataset.read(index).b) for index in indices]
        return sorted(range(len(indices)), key=lengths.__getitem__)


def _kind(name: str) -> str:
    return "tokens" if name in ("tokens", "attention", "segments") else "templated"
