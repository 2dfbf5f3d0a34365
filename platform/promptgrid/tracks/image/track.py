"""The image track: CLIP-like dual encoders on few-shot image classification."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy.typing as npt
from PIL.Image import Image

from promptgrid.contract.clip import Backbone, Cache, Dataset, Task
from promptgrid.contract.track import Kept, Thumbnail
from promptgrid.engine.bench.run import Bench
from promptgrid.engine.data import Opened
from promptgrid.engine.imports import IMPORTS
from promptgrid.engine.learned import params_of
from promptgrid.engine.outcomes.kept import refuse_other_backbone, title_of
from promptgrid.engine.planning.packing import ROOMS, Expectation, Room
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell, Machine, Noun, Record, Shared
from promptgrid.towers.clip.costs import expectation, state_mb
from promptgrid.towers.clip.exports import EXPORTS
from promptgrid.towers.clip.method_stub import STUB
from promptgrid.towers.clip.models.torchvision_cure import open_clip_works
from promptgrid.tracks.image.bench.run import ImageBench
from promptgrid.tracks.image.cards.told import CARDS
from promptgrid.tracks.image.data.augmenting import viewing
from promptgrid.tracks.image.data.learned import LearnedMethod
from promptgrid.tracks.image.data.looking import unseen
from promptgrid.tracks.image.data.pack_data import ImageData
from promptgrid.tracks.image.data.pixels import thumbnail
from promptgrid.tracks.image.data.tables import Looking
from promptgrid.tracks.image.datasets.preview import address_of, preview
from promptgrid.tracks.image.published.names import PUBLISHED
from promptgrid.tracks.image.resolve import ImageResolver, preprocessing_of
from promptgrid.tracks.image.similarity import similarities
from promptgrid.tracks.image.words import nearest_words


class ImageTrack(Wing):
    """Few-shot image classification with frozen CLIP models."""

    name: ClassVar[str] = "image"
    resolver_type = ImageResolver
    resolver: ImageResolver
    examples: ClassVar[Noun] = Noun("image", "images")
    packages: ClassVar[tuple[str, ...]] = ("torchvision", "open_clip_torch")
    conformance: ClassVar[str] = "promptgrid.contract.clip.conformance"
    imports = IMPORTS
    exports = EXPORTS
    cards = CARDS
    figures = PUBLISHED
    below: ClassVar = {"protocols": ("promptgrid.engine.protocols",), "methods": ("promptgrid.towers.methods",)}

    def data_of(self, cell: Cell, opened: Opened, cache: Cache, alive: Callable[[], None]) -> ImageData:
        looking = Looking(
            backbone=self.backbone(cell.backbone, opened.device, str(cell.identity.get("backbone", ""))),
            model=self.resolver.facts(cell.backbone).get("model", {}),
            cache=cache,
            columns=self.resolver.columns,
            second=self._second(cell, opened.device),
            pairs=lambda: self.resolver.assets.pairs(cell.dataset),
            alive=alive,
        )
        return ImageData(opened, looking)

    def bare_task(self, dataset: Dataset, shots: int) -> Task:
        card = dataset.card
        return Task.of(card.name, tuple(card.classes), card.template, cast(Backbone, None), shots=shots)

    def expect(self, cell: Cell, room: Room) -> Expectation:
        return expectation(self, self.resolver.sizes(cell.backbone), cell, room)

    def state_mb(self, cell: Cell) -> float:
        return state_mb(self, self.resolver.sizes(cell.backbone), cell)

    def shared(self, cell: Cell, kept: Collection[str], machine: Machine = "cpu") -> Shared | None:
        card, sizes = self.resolver.dataset(cell.dataset).card, self.resolver.sizes(cell.backbone)
        return unseen(cell, card, sizes, kept, ROOMS[machine])

    def viewing(self, cells: Sequence[Cell], machine: Machine = "cpu") -> float:
        return viewing(self, self.resolver.sizes, cells, ROOMS[machine])

    def restore(
        self, record: Record, state: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any], device: str
    ) -> LearnedMethod:
        """What ``record`` learned; no dataset is opened."""
        self.resolver.look_again()
        cell, facts = record.cell, self.resolver.facts(record.cell.backbone)
        refuse_other_backbone(cell, about, facts, {"preprocessing": preprocessing_of(facts)})
        method = self.resolver.method(cell.method)(**cell.settings)
        backbone, second = self.backbone(cell.backbone, device), self._second(cell, device)
        return LearnedMethod.kept(method, params_of(state, device), about, backbone, title_of(cell), second)

    def words(self, kept: Kept, count: int) -> list[dict[str, Any]]:
        return nearest_words(kept, self.backbone, count)

    def timed(self) -> Bench:
        return ImageBench(self.resolver)

    def method_stub(self) -> str:
        return STUB

    def preview(self, dataset: str) -> dict[str, Any]:
        address = address_of(dataset)
        return preview(self.resolver.dataset(address), address)

    def thumbnail(self, example: Image) -> Thumbnail:
        return Thumbnail(thumbnail(example))

    def checks(self) -> dict[str, tuple[bool, str]]:
        return {"open_clip": open_clip_works()}

    def similarities(self, backbone: str, datasets: Sequence[str], cache: Cache) -> dict[str, npt.NDArray[Any]]:
        return similarities(self.backbone(backbone, "cpu"), [self.resolver.dataset(name) for name in datasets], cache)

    def _second(self, cell: Cell, device: str) -> Backbone | None:
        """The second backbone of a cell's method, which all cells of its pack share; None where it needs none."""
        named = self.resolver.second(cell)
        return None if named is None else cast(Backbone, self.backbone(named[0], device, named[1]))
