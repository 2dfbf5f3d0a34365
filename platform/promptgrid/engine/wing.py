"""What all wings do alike: names to cells, cells to packs, packs to outcomes, and rows about what there is."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.columns import ColumnSource
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.findings import Findings
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Evaluation, Protocol
from promptgrid.contract.task import Task
from promptgrid.contract.track import (
    Cache,
    Exporter,
    Learned,
    Outcome,
    Predictions,
    Thumbnail,
    Timing,
    Track,
    unknown,
)
from promptgrid.engine.beginning import begun, examples_of
from promptgrid.engine.bench.run import Bench, measure
from promptgrid.engine.cards.card import Cards, card_of
from promptgrid.engine.cards.prose import written
from promptgrid.engine.data import Opened, PackData
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.unseen import UnseenDatasets
from promptgrid.engine.exporting import EXPORTS
from promptgrid.engine.outcomes.failures import NotAsPlanned, failed
from promptgrid.engine.outcomes.kept import other_classes
from promptgrid.engine.outcomes.notes import notes_of
from promptgrid.engine.outcomes.provenance import now, provenance
from promptgrid.engine.planning.first_stages import SPENT, with_first_stages
from promptgrid.engine.planning.lengths import cut_of
from promptgrid.engine.planning.own_code import source_digest
from promptgrid.engine.planning.packing import CALL_SECONDS, ROOMS, Expectation, Room, packs_of, work
from promptgrid.engine.planning.resolve import Resolver, choices
from promptgrid.engine.planning.unseen import UnseenBackbones
from promptgrid.engine.published import Published
from promptgrid.engine.rescoring import metrics_again
from promptgrid.engine.runner import run_pack
from promptgrid.spec import Cell, Machine, Pack, Record, Refused, Request, canonical_json
from promptgrid.spec.metrics import VALIDATION


class Wing(Track):
    """A track on this engine. A subclass says how its data is looked up and what a cell is expected to take.

    Attributes:
        resolver_type: looks names up.
        cards: what cards need of the wing; None for a wing that keeps none.
        figures: what papers report; None for a wing that has no tables of it.
        below: by folder (``methods``, ``protocols``, ...) packages on floors below whose plug-ins the wing has too.
    """

    resolver_type: ClassVar[type[Resolver]] = Resolver
    cards: ClassVar[Cards | None] = None
    figures: ClassVar[Published | None] = None
    exports: ClassVar[Mapping[str, Exporter]] = EXPORTS
    below: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self,
        methods: Mapping[str, type[Method]],
        datasets: Sequence[DatasetFamily],
        backbones: Sequence[BackboneFamily],
        protocols: Mapping[str, type[Protocol]],
        columns: Sequence[ColumnSource] = (),
    ) -> None:
        self.resolver = self.resolver_type(methods, datasets, backbones, protocols, columns)
        self._loaded = lru_cache(maxsize=2)(self._load)
        self._cut = lru_cache(maxsize=4096)(self._cut_of)

    @abstractmethod
    def data_of(self, cell: Cell, opened: Opened, cache: Cache, alive: Callable[[], None]) -> PackData:
        """Where the data of the cells of a pack, one of which is ``cell``, is looked up.

        Args:
            cell: any of the pack's.
            opened: the plug-ins.
            cache: of what is computed once.
            alive: to be called now and then while something is computed.
        """

    @abstractmethod
    def bare_task(self, dataset: Dataset, shots: int) -> Task:
        """A task with names, classes and shots alone, before any backbone is loaded."""

    def step_seconds(self, cell: Cell, method: Method, batch: int, room: Room) -> float:
        """Seconds of arithmetic of one training step of ``cell`` on ``batch`` examples."""
        return 0.0

    def memory_mb(self, cell: Cell, method: Method, batch: int) -> tuple[float, float]:
        """MB that a cell takes beside its pack, and MB that a pack holds once."""
        return 1.0, 0.0

    def without_data(self) -> Wing:
        found = self.resolver
        datasets = [UnseenDatasets(family) for family in found.datasets]
        backbones = [UnseenBackbones(family) for family in found.backbones]
        return type(self)(found.methods, datasets, backbones, found.protocols, found.columns)

    def basis(self, machine: Machine = "cpu") -> tuple[str, ...]:
        room = ROOMS[machine]
        return (
            "every class has as many examples as the others",
            f"a step takes the arithmetic of its towers at {room.flops_a_second:.0e} operations a second (fp32, a GPU "
            "of 16 GB; a faster one takes less) and 2 ms, shared by the cells of a pack",
            "examples, and views of them, are read and passed through each frozen backbone once for all methods",
            "reckoned from sizes, not measured: a run corrects such guesses by what its first cells took",
        )

    def counts(self, datasets: Sequence[str]) -> dict[str, dict[str, int]]:
        cards = {name: self.resolver.dataset(name).card for name in dict.fromkeys(datasets)}
        return {name: {"classes": len(card.classes), **card.splits} for name, card in cards.items()}

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
                known[name] = self.expect(cell, room)
            return known[name]

        packs = packs_of(cells, expect, room)
        return list(with_first_stages(packs, self.resolver.first_of, lambda cell: expect(cell).seconds))

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
            opened = Opened(
                method=self.method_of(cell),
                dataset=self.dataset_of(cell),
                protocol=self.resolver.protocol(cell.protocol),
                device=device,
                split_of=self.resolver.split,
                learned=learned,
                cells=pack.cells,
                first=lambda cell: begun(self, cell, cache, device, lambda: progress(0.0)),
            )
            data = self.data_of(cell, opened, cache, lambda: progress(0.0))
        except Exception as error:  # noqa: BLE001 - a plug-in that cannot be opened fails its cells, not the grid
            lost = [cell for cell in pack.cells if cell.key in pack.wanted]
            yield from (failed(cell, error, provenance(pack, device, started)) for cell in lost)
            return
        try:
            yield from run_pack(pack, data, progress)
        finally:
            data.clear()

    def expect(self, cell: Cell, room: Room) -> Expectation:
        """What ``cell`` is expected to take."""
        method = self.resolver.method(cell.method)(**cell.settings)
        if cell.reading == "evaluate":  # nothing is learned, and nothing kept of it
            return Expectation(0, 0.05, 1.0)
        if cell.members:
            return Expectation(0, 0.05 * len(cell.members), 1.0)
        steps, batch = work(method, *self.amounts(method, cell.dataset, cell.shots))
        call = CALL_SECONDS / (8 if method.packs else 1)
        own, shared = self.memory_mb(cell, method, batch)
        return Expectation(steps, 0.1 + steps * (call + self.step_seconds(cell, method, batch, room)), own, shared)

    def amounts(self, method: Method, dataset: str, shots: int) -> tuple[Task, int, int]:
        """A bare task of ``dataset``, how many labelled examples it trains on, and how many are in its pool."""
        opened = self.resolver.dataset(dataset)
        labelled = len(opened.card.classes) * shots
        pool = max(1, opened.card.splits.get("train", 0) - labelled) if "unlabelled" in method.assets else 0
        return self.bare_task(opened, shots), labelled, pool

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
                counted = not self.resolver.protocol(cell.protocol).per_cent
                said = notes_of(self.resolver.dataset(cell.dataset), self.resolver.split(cell), cell, counted)
                found.setdefault(cell.dataset, {}).update(dict.fromkeys(said))
        return {name: tuple(notes) for name, notes in found.items() if notes}

    def title(self, dataset: str) -> str:
        card = self.resolver.dataset(dataset).card
        return card.title or card.name

    def thumbnails(self, dataset: str, examples: Sequence[int]) -> dict[int, Thumbnail]:
        try:
            opened = self.resolver.dataset(dataset)
        except (Refused, OSError):  # the data is gone, the records are not
            return {}
        found: dict[int, Thumbnail] = {}
        for index in examples:
            with contextlib.suppress(OSError, IndexError):
                found[index] = self.thumbnail(opened.read(index))
        return {index: one for index, one in found.items() if one.picture or one.words}

    def thumbnail(self, example: Any) -> Thumbnail:
        """An example of the wing, as its datasets read it, in its small form; empty where it has none."""
        return Thumbnail()

    def check_data(self, name: str, root: str) -> list[Findings]:
        return check_named(self.resolver.datasets, name, root)

    def bundled_datasets(self) -> list[str]:
        return [card.name for family in self.resolver.datasets for card in family.listing() if card.bundled]

    def headline(self, protocol: str) -> str:
        return self.resolver.protocol(protocol).headline

    def chosen_by(self, protocol: str) -> str:
        return VALIDATION + self.resolver.protocol(protocol).choose_by

    def timed(self) -> Bench:
        """What the speed benchmark of the wing times.

        Raises:
            Refused: the wing has none.
        """
        raise Refused(f"track {self.name!r} has no benchmark")

    def bench(self, timing: Timing, say: Callable[[str], None] = lambda what: None) -> Iterator[dict[str, Any]]:
        return (dataclasses.asdict(row) for row in measure(self.timed(), timing, say))

    def card(self, method: str) -> dict[str, Any]:
        return {} if self.cards is None else card_of(self.resolver, method, self.published(), self.cards)

    def parities(self) -> dict[str, dict[str, Any]]:
        if self.cards is None:
            return {}
        compared = self.cards.compared
        found = {name: written(method, compared)["parity"] for name, method in self.resolver.methods.items()}
        return {name: parity for name, parity in found.items() if parity is not None}

    def rescored(self, cell: Cell, predictions: Sequence[Predictions]) -> dict[str, float]:
        protocol = self.resolver.protocol(cell.protocol)
        sets: dict[str, Evaluation] = {}
        if {"micro_f1", "task_score"} & set(protocol.scores):  # they ask for more than answers and labels
            split = self.resolver.split(cell)
            val = split.validation(self.resolver.method(cell.method)(**cell.settings))
            sets = {one.name: one for one in ((val,) if cell.scored == "val" else split.evaluations)}
        found = metrics_again(protocol, cell, predictions, sets)
        first = self.resolver.first_of(cell) if cell.scored == "test" else None
        return found if first is None else found | {SPENT: float(examples_of(self, first))}

    def published(self) -> list[dict[str, Any]]:
        return [] if self.figures is None else self.figures.rows(self.resolver.methods)

    def known_as(self, what: Literal["dataset", "backbone"], name: str) -> str:
        if self.figures is None:
            return ""
        return self.figures.dataset(name) if what == "dataset" else self.figures.backbone(name)

    def cut(self, cell: Cell) -> str:
        learned_on = cell.source if cell.reading == "evaluate" else cell.dataset
        return self._cut(cell.method, canonical_json(cell.settings), learned_on, cell.shots)

    def describe(self, what: str) -> list[dict[str, Any]]:
        resolver: Resolver = self.resolver
        rows: dict[str, Callable[[Resolver], list[dict[str, Any]]]] = {
            "methods": _methods, "datasets": _datasets, "backbones": _backbones, "protocols": _protocols,
        }  # fmt: skip
        return rows[what](resolver)

    def backbone(self, backbone: str, device: str, named: str = "") -> Any:
        """The backbone called so; ``named`` is the digest by which a cell's key knows it.

        Raises:
            NotAsPlanned: it is another model than ``named``.
        """
        return self._loaded(backbone, device, named or str(self.resolver.facts(backbone)["digest"]))

    def method_of(self, cell: Cell) -> type[Method]:
        """The method of ``cell``. Raises NotAsPlanned where its code here is not what the cell's key names."""
        found = self.resolver.method(cell.method)
        named = cell.identity.get("method_source")
        if named is not None and source_digest(found) != named:
            raise NotAsPlanned(f"method {cell.method!r} is not the one that the grid was planned for: its code here is "
                               "other, or changed since")  # fmt: skip
        return found

    def dataset_of(self, cell: Cell) -> Dataset:
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

    def _load(self, backbone: str, device: str, named: str) -> Any:
        found = self.resolver.backbone_family(backbone).load(backbone, device)
        if found.digest != named:
            raise NotAsPlanned(f"backbone {backbone!r} is not the model that the grid was planned for: its files here "
                               f"are others, or changed since ({found.digest[:12]}, planned {named[:12]})")  # fmt: skip
        return found

    def _cut_of(self, name: str, settings: str, dataset: str, shots: int) -> str:
        method = self.resolver.method(name)(**json.loads(settings))
        return cut_of(method, *self.amounts(method, dataset, shots))


def _methods(resolver: Resolver) -> list[dict[str, Any]]:
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
        for name, method in sorted(resolver.methods.items())
    ]


def _datasets(resolver: Resolver) -> list[dict[str, Any]]:
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
        for family in resolver.datasets
        for card in family.listing()
    ]


def _backbones(resolver: Resolver) -> list[dict[str, Any]]:
    return [dict(row) for family in resolver.backbones for row in family.listing()]


def _protocols(resolver: Resolver) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "version": protocol.version,
            "about": protocol.about,
            "headline": protocol.headline,
            "choose_by": protocol.choose_by,
        }
        for name, protocol in sorted(resolver.protocols.items())
    ]
