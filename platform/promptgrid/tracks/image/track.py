"""The image track: CLIP-like dual encoders on few-shot image classification."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from promptgrid.contract import (
    Backbone,
    BackboneFamily,
    Cache,
    Dataset,
    DatasetFamily,
    Method,
    Outcome,
    Protocol,
    Task,
    Track,
)
from promptgrid.contract.black_box import face_of
from promptgrid.contract.track import Learned, Timing, unknown
from promptgrid.spec import Cell, Machine, Noun, Pack, Record, Refused, Request, Shared, canonical_json
from promptgrid.tracks.image.assets import second_of
from promptgrid.tracks.image.backbones.torchvision_cure import open_clip_works
from promptgrid.tracks.image.cards.card import card_of
from promptgrid.tracks.image.cards.prose import written
from promptgrid.tracks.image.datasets.preview import address_of, preview
from promptgrid.tracks.image.engine.failures import NotAsPlanned, failed
from promptgrid.tracks.image.engine.kept import other_classes, refuse_other_backbone, task_from, title_of
from promptgrid.tracks.image.engine.learned import LearnedMethod
from promptgrid.tracks.image.engine.looking import unseen
from promptgrid.tracks.image.engine.notes import notes_of
from promptgrid.tracks.image.engine.packing import (
    CALL_SECONDS,
    ROOMS,
    Expectation,
    Room,
    Shape,
    adapting_flops,
    cell_memory_mb,
    halves_mb,
    packs_of,
    step_flops,
    work,
)
from promptgrid.tracks.image.engine.preparing import Bench
from promptgrid.tracks.image.engine.provenance import now, provenance
from promptgrid.tracks.image.engine.runner import run_pack
from promptgrid.tracks.image.lengths import cut_of
from promptgrid.tracks.image.own_code import source_digest
from promptgrid.tracks.image.published.names import backbone_known_as, dataset_known_as
from promptgrid.tracks.image.published.rows import published_rows
from promptgrid.tracks.image.resolve import Resolver, choices
from promptgrid.tracks.image.similarity import similarities


class ImageTrack(Track):
    """Few-shot image classification with frozen CLIP models."""

    name: ClassVar[str] = "image"
    examples: ClassVar[Noun] = Noun("image", "images")
    packages: ClassVar[tuple[str, ...]] = ("torchvision", "open_clip_torch")

    def __init__(
        self,
        methods: Mapping[str, type[Method]],
        datasets: Sequence[DatasetFamily],
        backbones: Sequence[BackboneFamily],
        protocols: Mapping[str, type[Protocol]],
    ) -> None:
        self.resolver = Resolver(methods, datasets, backbones, protocols)
        self._loaded = lru_cache(maxsize=2)(self._load)
        self._cut = lru_cache(maxsize=4096)(self._cut_of)

    def resolve(self, requests: Sequence[Request]) -> list[Cell]:
        self.resolver.look_again()
        self.resolver.refuse_twins([request.backbone for request in requests])
        return [self.resolver.cell(request) for request in requests]

    def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
        room = ROOMS[machine]
        known: dict[tuple[str, int], Expectation] = {}

        def expect(cell: Cell) -> Expectation:
            name = cell.group, cell.shots
            if name not in known:
                known[name] = self._expect(cell, room)
            return known[name]

        return packs_of(cells, expect, room)

    def shared(self, cell: Cell, kept: Collection[str], machine: Machine = "cpu") -> Shared | None:
        card = self.resolver.dataset(cell.dataset).card
        shape = Shape(classes=len(card.classes), images=0, **self.resolver.sizes(cell.backbone))
        return unseen(cell, card, shape, kept, ROOMS[machine])

    def run(
        self,
        pack: Pack,
        cache: Cache,
        device: str,
        progress: Callable[[float], None] = lambda done: None,
        learned: Learned = unknown,
    ) -> Iterator[Outcome]:
        cell = pack.cells[0]
        started = now()
        try:
            bench = Bench(
                method=self._method(cell),
                dataset=self._dataset(cell),
                backbone=self._backbone(cell.backbone, device, str(cell.identity.get("backbone", ""))),
                model=self.resolver.facts(cell.backbone).get("model", {}),
                protocol=self.resolver.protocol(cell.protocol),
                cache=cache,
                device=device,
                split_of=self.resolver.split,
                learned=learned,
                alive=lambda: progress(0.0),
                second=self._second(cell, device),
                pairs=lambda: self.resolver.assets.pairs(cell.dataset),
            )
        except Exception as error:  # noqa: BLE001 - a plug-in that cannot be opened fails its cells, not the grid
            lost = [cell for cell in pack.cells if cell.key in pack.wanted]
            yield from (failed(cell, error, provenance(pack, device, started)) for cell in lost)
            return
        try:
            yield from run_pack(pack, bench, progress)
        finally:
            bench.clear()

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
        backbone = self._backbone(cell.backbone, device)
        method = self.resolver.method(cell.method)(**cell.settings)
        params = {name: torch.from_numpy(value.copy()).to(device) for name, value in state.items()}
        task = task_from(about, face_of(method, backbone))
        return LearnedMethod(method, params, task, self._second(cell, device), title_of(cell))

    def differs(self, record: Record, about: Mapping[str, Any]) -> list[str]:
        self.resolver.look_again()
        try:
            card = self.resolver.dataset(record.cell.dataset).card
        except (Refused, OSError):  # nothing there to differ; what was learned holds its own classes
            return []
        return other_classes(about, card)

    def notes(self, cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        seen: set[tuple[str, str, int, str, str]] = set()
        for cell in cells:
            kind = cell.dataset, cell.protocol, cell.shots, cell.source, cell.reading
            if kind not in seen:
                seen.add(kind)
                said = notes_of(self.resolver.dataset(cell.dataset), self.resolver.split(cell), cell)
                found.setdefault(cell.dataset, {}).update(dict.fromkeys(said))
        return {name: tuple(notes) for name, notes in found.items() if notes}

    def bench(self, timing: Timing, say: Callable[[str], None] = lambda what: None) -> Iterator[dict[str, Any]]:
        from promptgrid.tracks.image.bench.run import measure

        return (dataclasses.asdict(row) for row in measure(self.resolver, timing, say))

    def preview(self, dataset: str) -> dict[str, Any]:
        address = address_of(dataset)
        return preview(self.resolver.dataset(address), address)

    def checks(self) -> dict[str, tuple[bool, str]]:
        return {"open_clip": open_clip_works()}

    def title(self, dataset: str) -> str:
        card = self.resolver.dataset(dataset).card
        return card.title or card.name

    def bundled_datasets(self) -> list[str]:
        return [card.name for family in self.resolver.datasets for card in family.listing() if card.bundled]

    def headline(self, protocol: str) -> str:
        return self.resolver.protocol(protocol).headline

    def similarities(self, backbone: str, datasets: Sequence[str], cache: Cache) -> dict[str, npt.NDArray[np.float64]]:
        return similarities(self._backbone(backbone, "cpu"), [self.resolver.dataset(name) for name in datasets], cache)

    def card(self, method: str) -> dict[str, Any]:
        return card_of(self.resolver, method, self.published())

    def parities(self) -> dict[str, dict[str, Any]]:
        found = {name: written(method)["parity"] for name, method in self.resolver.methods.items()}
        return {name: parity for name, parity in found.items() if parity is not None}

    def cut(self, cell: Cell) -> str:
        learned_on = cell.source if cell.reading == "evaluate" else cell.dataset
        return self._cut(cell.method, canonical_json(cell.settings), learned_on, cell.shots)

    def published(self) -> list[dict[str, Any]]:
        return published_rows(self.resolver.methods)

    def known_as(self, what: Literal["dataset", "backbone"], name: str) -> str:
        return dataset_known_as(name) if what == "dataset" else backbone_known_as(name)

    def describe(self, what: str) -> list[dict[str, Any]]:
        return {
            "methods": self._methods,
            "datasets": self._datasets,
            "backbones": self._backbones,
            "protocols": self._protocols,
        }[what]()

    def _methods(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "kind": method.kind,
                "about": (method.__doc__ or "").strip().splitlines()[0],
                "paper": method.paper,
                "axes": method.axes.as_dict() if method.axes is not None else {},
                "knobs": {key: dataclasses.asdict(knob) for key, knob in method.knobs().items()},
                "settings": method.defaults(),
                "choices": choices(method),
                "needs": sorted(method.needs),
            }
            for name, method in sorted(self.resolver.methods.items())
        ]

    def _datasets(self) -> list[dict[str, Any]]:
        return [
            {
                "name": card.name,
                "title": card.title,
                "classes": len(card.classes),
                "train": card.splits.get("train", 0),
                "val": card.splits.get("val", 0),
                "test": card.splits["test"],
                "licence": card.licence,
                "family": card.family,
                "template": card.template,
                "seen_in_pretraining": card.seen_in_pretraining,
                "bundled": card.bundled,
            }
            for family in self.resolver.datasets
            for card in family.listing()
        ]

    def _backbones(self) -> list[dict[str, Any]]:
        return [dict(row) for family in self.resolver.backbones for row in family.listing()]

    def _protocols(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "version": protocol.version, "about": protocol.about, "headline": protocol.headline}
            for name, protocol in sorted(self.resolver.protocols.items())
        ]

    def _second(self, cell: Cell, device: str) -> Backbone | None:
        """The second backbone of a cell's method, which all cells of its pack share; None where it needs none."""
        method = self.resolver.method(cell.method)(**cell.settings)
        if "second_backbone" not in method.assets:
            return None
        assets = cast(dict[str, Any], cell.identity.get("assets", {}))
        return self._backbone(second_of(method), device, str(assets.get("second_backbone", "")))

    def _backbone(self, backbone: str, device: str, named: str = "") -> Backbone:
        """The backbone called so; ``named`` is the digest by which a cell's key knows it."""
        return self._loaded(backbone, device, named or str(self.resolver.facts(backbone)["digest"]))

    def _load(self, backbone: str, device: str, named: str) -> Backbone:
        """Loaded anew. Raises NotAsPlanned where it is another model than ``named``."""
        found = self.resolver.backbone_family(backbone).load(backbone, device)
        if found.digest != named:
            raise NotAsPlanned(f"backbone {backbone!r} is not the model that the grid was planned for: its files here "
                               f"are others, or changed since ({found.digest[:12]}, planned {named[:12]})")  # fmt: skip
        return found

    def _method(self, cell: Cell) -> type[Method]:
        """The method of ``cell``. Raises NotAsPlanned where its code here is not what the cell's key names."""
        found = self.resolver.method(cell.method)
        named = cell.identity.get("method_source")
        if named is not None and source_digest(found) != named:
            raise NotAsPlanned(f"method {cell.method!r} is not the one that the grid was planned for: its code here is "
                               "other, or changed since")  # fmt: skip
        return found

    def _dataset(self, cell: Cell) -> Dataset:
        """The dataset of ``cell``. Raises NotAsPlanned where its content is not what the cell's key names."""
        named = cell.identity.get("dataset")
        found = self.resolver.dataset(cell.dataset)
        if named is not None and found.card.sha256 != named:
            self.resolver.look_again()
            found = self.resolver.dataset(cell.dataset)
        if named is not None and found.card.sha256 != named:
            raise NotAsPlanned(f"dataset {cell.dataset!r} is not the one that the grid was planned for: its files here "
                               f"are others, or changed since (digest {found.card.sha256[:12]}, planned "
                               f"{str(named)[:12]})")  # fmt: skip
        return found

    def _cut_of(self, name: str, settings: str, dataset: str, shots: int) -> str:
        method = self.resolver.method(name)(**json.loads(settings))
        task, labelled, pool = self._task(method, dataset, shots)
        return cut_of(method, task, labelled, pool)

    def _task(self, method: Method, dataset: str, shots: int) -> tuple[Task, int, int]:
        """A task with names, classes and shots alone, its labelled images, and those of its unlabelled pool."""
        card = self.resolver.dataset(dataset).card
        labelled = len(card.classes) * shots
        pool = max(1, card.splits.get("train", 0) - labelled) if "unlabelled" in method.assets else 0
        unloaded = cast(Backbone, None)  # a recipe never looks at it
        return Task(card.name, tuple(card.classes), card.template, unloaded, shots=shots), labelled, pool

    def _expect(self, cell: Cell, room: Room) -> Expectation:
        method = self.resolver.method(cell.method)(**cell.settings)
        card = self.resolver.dataset(cell.dataset).card
        sizes = self.resolver.sizes(cell.backbone)
        task, labelled, pool = self._task(method, cell.dataset, cell.shots)
        shape = Shape(classes=len(card.classes), images=(labelled + pool) * max(1, _kept(cell)), **sizes)
        tests = card.splits["test"]
        adapting = adapting_flops(method, shape, tests) / room.flops_a_second
        if cell.reading == "evaluate":  # one look forward at the test images, and nothing kept of it
            look = step_flops(method, shape, tests) / 3
            return Expectation(0, 0.05 + look / room.flops_a_second + adapting, 1.0)
        steps, batch = work(method, task, labelled, pool)
        call = CALL_SECONDS / (8 if method.packs else 1)
        seconds = 0.1 + adapting + steps * (call + step_flops(method, shape, batch) / room.flops_a_second)
        halves = halves_mb(method, shape) if cell.precision == "amp" else 0.0
        return Expectation(steps, seconds, cell_memory_mb(method, shape, batch), halves)


def _kept(cell: Cell) -> int:
    """Views of an image that are held at once; of ``online`` those of the next few epochs."""
    return 4 if cell.views == "online" else int(cell.views)
