"""The text track: few-shot prompt learning and parameter-efficient tuning of language models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, cast

import numpy.typing as npt

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.contract.task import Task
from promptgrid.contract.track import Cache, Thumbnail
from promptgrid.engine.bench.run import Bench
from promptgrid.engine.data import Opened
from promptgrid.engine.learned import params_of
from promptgrid.engine.outcomes.kept import refuse_other_backbone, title_of
from promptgrid.engine.planning.packing import ROOMS, Room
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell, Machine, Noun, Record, Shared
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.cards.told import CARDS
from promptgrid.tracks.text.costs import Reading, memory_mb, read_first, state_mb, step_seconds
from promptgrid.tracks.text.data.kept import task_from
from promptgrid.tracks.text.data.learned import LearnedMethod
from promptgrid.tracks.text.data.pack_data import Looking, TextData
from promptgrid.tracks.text.datasets.preview import address_of, preview
from promptgrid.tracks.text.datasets.text import Text, TextDataset
from promptgrid.tracks.text.published.names import PUBLISHED
from promptgrid.tracks.text.resolve import TextResolver
from promptgrid.tracks.text.task import TextTask


class TextTrack(Wing):
    """Few-shot learning with frozen and tuned language models."""

    name: ClassVar[str] = "text"
    examples: ClassVar[Noun] = Noun("text", "texts")
    conformance: ClassVar[str] = "promptgrid.tracks.text.conformance"
    below: ClassVar = {"methods": ("promptgrid.towers.methods",)}
    cards = CARDS
    figures = PUBLISHED
    resolver_type = TextResolver
    resolver: TextResolver

    def data_of(self, cell: Cell, opened: Opened, cache: Cache, alive: Callable[[], None]) -> TextData:
        looking = Looking(
            backbone=self._backbone(cell.backbone, opened.device, str(cell.identity.get("backbone", ""))),
            cache=cache,
            columns=self.resolver.columns,
            model=self.resolver.facts(cell.backbone).get("model", {}),
            alive=alive,
        )
        return TextData(cell, opened, looking)

    def thumbnail(self, example: Text) -> Thumbnail:
        return Thumbnail(words=" / ".join(filter(None, (example.a, example.b))))

    def bare_task(self, dataset: Dataset, shots: int) -> Task:
        return TextTask(dataset.card.name, tuple(dataset.card.classes), cast(TextBackbone, None), shots)

    def step_seconds(self, cell: Cell, method: Method, batch: int, room: Room) -> float:
        return step_seconds(method, self._reading(cell), batch, room)

    def memory_mb(self, cell: Cell, method: Method, batch: int) -> tuple[float, float]:
        return memory_mb(method, self._reading(cell), batch)

    def state_mb(self, cell: Cell) -> float:
        method = self.resolver.method(cell.method)(**cell.settings)
        return 0.0 if cell.reading == "evaluate" or cell.members else state_mb(method, self._reading(cell))

    def shared(self, cell: Cell, kept: Collection[str], machine: Machine = "cpu") -> Shared | None:
        method = self.resolver.method(cell.method)(**cell.settings)
        card = self.resolver.dataset(cell.dataset).card
        return read_first(cell, method, card, self._reading(cell), kept, ROOMS[machine])

    def restore(
        self, record: Record, state: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any], device: str
    ) -> LearnedMethod:
        """What ``record`` learned, with ``classify``, ``logits``, ``rebind`` and ``classes``; no dataset is opened.

        Raises:
            Refused: the backbone is not the one it was learned on, naming what differs.
        """
        self.resolver.look_again()
        cell = record.cell
        refuse_other_backbone(cell, about, self.resolver.facts(cell.backbone))
        method = self.resolver.method(cell.method)(**cell.settings)
        task = task_from(about, self._backbone(cell.backbone, device))
        return LearnedMethod(method, params_of(state, device), task, title_of(cell))

    def timed(self) -> Bench:
        from promptgrid.tracks.text.bench.run import TextBench

        return TextBench(self.resolver)

    def preview(self, dataset: str) -> dict[str, Any]:
        address = address_of(dataset)
        return preview(cast(TextDataset, self.resolver.dataset(address)), address)

    def _backbone(self, backbone: str, device: str, named: str = "") -> TextBackbone:
        return cast(TextBackbone, self.backbone(backbone, device, named))

    def _reading(self, cell: Cell) -> Reading:
        dataset = cast(TextDataset, self.resolver.dataset(cell.dataset))
        return Reading.of(dataset, self.resolver.sizes(cell.backbone))
