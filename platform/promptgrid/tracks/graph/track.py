"""The graph track: few-shot learning on nodes and graphs with frozen graph towers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import numpy.typing as npt
import torch

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.contract.task import Task
from promptgrid.contract.track import Cache, Thumbnail
from promptgrid.engine.data import Opened
from promptgrid.engine.outcomes.kept import refuse_other_backbone, title_of
from promptgrid.engine.planning.packing import Room
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell, Noun, Record
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.cards.told import CARDS
from promptgrid.tracks.graph.costs import memory_mb, step_seconds
from promptgrid.tracks.graph.data.learned import LearnedMethod
from promptgrid.tracks.graph.data.pack_data import GraphData, Looking
from promptgrid.tracks.graph.datasets.graph import Example
from promptgrid.tracks.graph.published.names import PUBLISHED
from promptgrid.tracks.graph.resolve import GraphResolver
from promptgrid.tracks.graph.task import GraphTask


class GraphTrack(Wing):
    """Few-shot learning on nodes of a graph, and on whole graphs."""

    name: ClassVar[str] = "graph"
    examples: ClassVar[Noun] = Noun("example", "examples")
    conformance: ClassVar[str] = "promptgrid.tracks.graph.conformance"
    cards = CARDS
    figures = PUBLISHED
    resolver_type = GraphResolver
    resolver: GraphResolver

    def data_of(self, cell: Cell, opened: Opened, cache: Cache, alive: Callable[[], None]) -> GraphData:
        backbone = self._backbone(cell.backbone, opened.device, str(cell.identity.get("backbone", "")))
        model = self.resolver.facts(cell.backbone)["model"]
        return GraphData(cell, opened, Looking(backbone, cache, self.resolver.columns, model, alive))

    def bare_task(self, dataset: Dataset, shots: int) -> Task:
        return GraphTask(dataset.card.name, tuple(dataset.card.classes), cast(GraphBackbone, None), shots)

    def step_seconds(self, cell: Cell, method: Method, batch: int, room: Room) -> float:
        return step_seconds(method, self.resolver.facts(cell.backbone)["sizes"], batch, room)

    def memory_mb(self, cell: Cell, method: Method, batch: int) -> tuple[float, float]:
        return memory_mb(method, self.resolver.facts(cell.backbone)["sizes"], batch)

    def thumbnail(self, example: Example) -> Thumbnail:
        return Thumbnail(words=example.name)

    def restore(
        self, record: Record, state: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any], device: str
    ) -> LearnedMethod:
        """What ``record`` learned, with ``logits`` of examples of a dataset of the same features.

        Raises:
            Refused: the backbone is not the one it was learned on, naming what differs.
        """
        self.resolver.look_again()
        cell = record.cell
        refuse_other_backbone(cell, about, self.resolver.facts(cell.backbone))
        method = self.resolver.method(cell.method)(**cell.settings)
        params = {name: torch.from_numpy(value.copy()).to(device) for name, value in state.items()}
        given = {
            "spoken": {name: torch.tensor(value) for name, value in about["spoken"].items()},
            "wide": about["wide"],
        }
        tower, classes = self._backbone(cell.backbone, device), tuple(about["classes"])
        task = GraphTask(about["dataset"], classes, tower, about["shots"], given=given)
        return LearnedMethod(method, params, task, title_of(cell))

    def _backbone(self, backbone: str, device: str, named: str = "") -> GraphBackbone:
        return cast(GraphBackbone, self.backbone(backbone, device, named))
