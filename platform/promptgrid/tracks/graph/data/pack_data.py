"""The graphs of a pack's cells: what lies around their examples and what a frozen tower makes of it, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, cast

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from promptgrid.contract.columns import Column, ColumnSource, Show, Table, Views, as_it_is
from promptgrid.contract.task import Batch, Chosen, Labelled, Task
from promptgrid.contract.track import Arrays, Cache
from promptgrid.engine.data import Opened, PackData, Prepared, scoring_columns, training_columns
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.spec import Cell, canonical_json, digest
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.data.padding import features_of, padded
from promptgrid.tracks.graph.datasets.graph import HOPS, MOST, GraphDataset
from promptgrid.tracks.graph.task import GraphTask

CHUNK = 64
ROWS = ("own", "smoothed", "features")
"""Columns of one row an example; a method that reads one of them is given its few examples so."""
LOOKED = [HOPS, MOST, 1]
"""How far around a node examples reach, and the version of how they are drawn: part of a cell's key."""


@dataclass(frozen=True)
class Looking:
    """What reads the graphs of a pack, and where what it makes of them is kept."""

    backbone: GraphBackbone
    cache: Cache
    columns: Sequence[ColumnSource]
    model: Mapping[str, Any]
    alive: Callable[[], None] = lambda: None


class GraphData(PackData):
    """Padded graphs, rows of numbers and training sets of one dataset.

    Every example is padded to the most nodes of any of the dataset; links are padded to the most of the examples that
    any cell of the pack trains on, so that a resumed pack has the shapes it had.
    """

    chunk = CHUNK

    def __init__(self, cell: Cell, opened: Opened, looking: Looking) -> None:
        super().__init__(opened)
        self.looking, self.backbone = looking, looking.backbone
        self.dataset = cast(GraphDataset, opened.dataset)
        self.settled = self.build(cell)
        self._around = lru_cache(maxsize=64)(self._padded)
        self.rows = lru_cache(maxsize=64)(self._rows)
        self._training = lru_cache(maxsize=256)(self._training_set)

    def clear(self) -> None:
        super().clear()
        for looked_up in (self._around, self.rows, self._training):
            looked_up.cache_clear()

    def task(self, cell: Cell) -> GraphTask:
        split, card = self.split(cell), self.dataset.card
        names = tuple(card.classes[label] for label in split.known_to(self.settled))
        given = {"spoken": {name: value.to(self.device) for name, value in self.dataset.spoken.items()},
                 "wide": self.table.shape[1]}  # fmt: skip
        return GraphTask(card.name, names, self.backbone, cell.shots, given=given)

    def task_with_examples(self, cell: Cell) -> GraphTask:
        split = self.split(cell)
        read = next((name for name in ROWS if name in self.settled.needs), None)
        own: dict[str, Any] = {}
        for part, name in (("train", "support"), ("val", "validation")):
            indices = getattr(split, part)
            if indices and read:
                own[name] = Labelled(self.rows(read, indices), self.labels(indices, split.classes))
        if split.train:
            shown = training_columns(self, split.train, self.looking.columns, self.settled)
            own["examples"] = Batch({name: _shown(column) for name, column in shown.items()},
                                    labels=self.labels(split.train, split.classes))  # fmt: skip
        return self.task(cell).but(**own)

    def training_set(self, cell: Cell) -> TrainingSet:
        split = self.split(cell)
        return self._training(split.train, split.classes)

    def pooled(self, ready: Prepared, chosen: Chosen) -> TrainingSet:
        raise NotImplementedError("no protocol of graphs offers an unlabelled pool")

    def rebound(self, ready: Prepared, classes: Sequence[int]) -> Task:
        names = tuple(self.dataset.card.classes[label] for label in classes)
        return ready.task.without_examples().but(classes=names)

    def columns(self, split: str, indices: tuple[int, ...]) -> Mapping[str, Table]:
        return scoring_columns(self, split, indices, self.looking.columns, self.settled)

    def about(self, ready: Prepared) -> Mapping[str, JsonValue]:
        card = self.dataset.card
        said: dict[str, JsonValue] = {
            "dataset": card.name, "classes": list(ready.task.classes), "template": card.template,
            "shots": ready.cell.shots, "model": dict(self.looking.model), "wide": self.table.shape[1],
            "spoken": {name: value.tolist() for name, value in self.dataset.spoken.items()},
        }  # fmt: skip
        return said

    @cached_property
    def table(self) -> Tensor:
        """(N, d) features of all nodes of the dataset, on the device."""
        return self.dataset.graph.features.to(self.device)

    def around(self, name: str, indices: tuple[int, ...], trained: bool) -> tuple[Tensor, Show] | None:
        """Column ``name`` of the graphs of examples ``indices`` as it is held, and how it is shown."""
        found = self._around(indices, trained)
        if name == "x":
            return found["nodes"], partial(features_of, table=self.table)
        if name == "there":
            return found["nodes"] >= 0, as_it_is
        return (found[name], as_it_is) if name in found else None

    def _padded(self, indices: tuple[int, ...], trained: bool) -> dict[str, Tensor]:
        examples = [self.dataset.read(index) for index in indices]
        found = padded(examples, self.dataset.most, self._most_links if trained else 0)
        return {name: value.to(self.device) for name, value in found.items()}

    @cached_property
    def _most_links(self) -> int:
        trained = {index for cell in self.opened.cells for index in self.split(cell).train}
        return max((len(self.dataset.read(index).links) for index in trained), default=0)

    def _rows(self, name: str, indices: tuple[int, ...]) -> Tensor:
        if name == "features":
            return self._frozen(indices).to(self.device)
        table = self._smoothed if name == "smoothed" else self.dataset.graph.features
        found = [table[torch.from_numpy(self.dataset.rows(index))].mean(0) for index in indices]
        return torch.stack(found).to(self.device) if found else table.new_zeros(0, table.shape[1])

    @cached_property
    def _smoothed(self) -> Tensor:
        return self.dataset.graph.smoothed()

    def _frozen(self, indices: tuple[int, ...]) -> Tensor:
        """(N, width) what the frozen tower makes of examples, kept in the cache."""
        told = {
            "about": f"{self.dataset.card.name} through {self.backbone.id}, {len(indices)} examples",
            "dataset": self.dataset.card.sha256, "examples": digest(list(indices)), "backbone": self.backbone.digest,
            "what": "graph features", "looked": LOOKED,
        }  # fmt: skip

        def compute() -> Arrays:
            return {"features": self._passed(indices).cpu().numpy()}

        found = self.looking.cache.get(canonical_json(told), compute)["features"]
        return torch.from_numpy(np.asarray(found, dtype=np.float32).copy())

    def _passed(self, indices: tuple[int, ...]) -> Tensor:
        return pooled_features(self.backbone, self.dataset, indices, self.table, self.looking.alive)

    def _training_set(self, indices: tuple[int, ...], classes: tuple[int, ...]) -> TrainingSet:
        columns = training_columns(self, indices, self.looking.columns, self.settled)
        return TrainingSet(self.labels(indices, classes), columns)


def pooled_features(
    backbone: GraphBackbone,
    dataset: GraphDataset,
    indices: Sequence[int],
    table: Tensor,
    alive: Callable[[], None] = lambda: None,
) -> Tensor:
    """(N, width) what ``backbone`` makes of examples, a few at a time."""
    parts = [torch.zeros(0, backbone.width)]
    with torch.no_grad():
        for first in range(0, len(indices), CHUNK):
            own = padded([dataset.read(index) for index in indices[first : first + CHUNK]], dataset.most)
            batch = shown_batch({name: value.to(table.device) for name, value in own.items()}, table)
            parts.append(backbone.features(backbone.seen(batch)).cpu())
            alive()
    return torch.cat(parts)


def shown_batch(own: Mapping[str, Tensor], table: Tensor) -> Batch:
    """The columns of ``graph`` of padded examples."""
    nodes = own["nodes"]
    return Batch(x=features_of(nodes, table), there=nodes >= 0, links=own["links"], kinds=own.get("kinds"))


def _shown(column: Column) -> Tensor:
    if isinstance(column, Views):
        return column.show(column.look(0, 1)[0])
    assert isinstance(column, Table), "graphs are held in tables"
    return column.show(column.values)
