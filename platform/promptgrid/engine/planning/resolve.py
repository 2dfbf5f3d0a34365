"""From a square of a grid as written to a cell with a key: names looked up, settings checked, digests taken."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.columns import ColumnSource
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol, Selection, Split
from promptgrid.engine import ENGINE_VERSION
from promptgrid.engine.planning.first_stages import FirstStages, request_of
from promptgrid.engine.planning.own_code import source_digest
from promptgrid.engine.planning.packing import group_of
from promptgrid.engine.planning.sources import admit_joined, admit_source, source_request
from promptgrid.spec import Cell, Refused, Request, digest, nearest
from promptgrid.spec.cell import Scored, Setting

SCHEMA = 2
"""Raised where the parts of a cell's identity change. 2: the backbone is its whole model, not its weights alone."""
MOST_WORK, MOST_BATCH, MOST_SEEDS, MOST = 1_000_000, 100_000, 2**31 - 1, 4096
MOST_WORDS = 1000
"""Plain settings end somewhere: those that say how long, those that name a stream, and those that say how large."""


class Resolver:
    """Looks names up among the plug-ins it was given.

    What lies in files is read once and kept until :meth:`look_again`: a process that lives long sees what changed.
    """

    def __init__(
        self,
        methods: Mapping[str, type[Method]],
        datasets: Sequence[DatasetFamily],
        backbones: Sequence[BackboneFamily],
        protocols: Mapping[str, type[Protocol]],
        columns: Sequence[ColumnSource] = (),
    ) -> None:
        self.methods = methods
        self.columns = columns
        self.datasets = datasets
        self.backbones = backbones
        self.protocols = protocols
        self._open = lru_cache(maxsize=64)(self._open_dataset)
        self.facts = lru_cache(maxsize=64)(self._backbone_facts)
        self._split = lru_cache(maxsize=4096)(self._split_digest)
        self._prompting = lru_cache(maxsize=64)(self._prompting_digest)
        self.first_stages = FirstStages(self)
        self._settled: dict[tuple[str, str], dict[str, Setting]] = {}
        self._keys: dict[str, str] = {}

    def look_again(self) -> None:
        """Forget what was read from files: datasets, backbones, and what was made of them."""
        for looked_up in (self._open, self.facts, self._prompting):
            looked_up.cache_clear()
        self._keys.clear()
        self.first_stages.look_again()

    def method(self, name: str) -> type[Method]:
        """The method called ``name``."""
        if name not in self.methods:
            raise Refused("unknown method", where="methods", got=name, hint=nearest(name, self.methods))
        return self.methods[name]

    def protocol(self, name: str) -> Protocol:
        """The protocol called ``name``, with or without a number behind it."""
        if name in self.protocols:
            return self.protocols[name]()
        plain, dash, number = name.partition("-")
        if not dash or plain not in self.protocols:
            raise Refused("unknown protocol", where="protocol", got=name, hint=nearest(plain, self.protocols))
        return self.protocols[plain].dialled(number)

    def dataset(self, name: str) -> Dataset:
        """The dataset called ``name``, opened (cached)."""
        return self._open(name)

    def backbone_family(self, backbone: str) -> BackboneFamily:
        """The family that loads ``backbone``."""
        for family in self.backbones:
            if family.knows(backbone):
                return family
        names = [str(row["name"]) for family in self.backbones for row in family.listing()]
        aliases = [alias for family in self.backbones for row in family.listing() for alias in _aliases(row)]
        raise Refused("unknown backbone", where="backbones", got=backbone, hint=nearest(backbone, names + aliases))

    def cell(self, request: Request) -> Cell:
        """The cell that ``request`` names.

        Raises:
            Refused: an unknown name or setting, a value out of range, or a method that the protocol, the dataset or
                the backbone cannot admit.
        """
        method = self.method(request.method)
        settings = self.settle(method, request.settings)
        protocol = self.protocol(request.protocol)
        facts = self.facts(request.backbone)
        built = _build(method, settings)
        self.admit(built, request, protocol)
        needs = self._source_keys(request, built)
        card = self.dataset(request.dataset).card
        identity: dict[str, Any] = {
            "schema": SCHEMA,
            "engine": ENGINE_VERSION,
            "track": request.track,
            "protocol": [request.protocol, protocol.version],
            "method": request.method,
            "method_source": source_digest(method),
            "settings": settings,
            "dataset": card.sha256,
            "prompting": self._prompting(request.dataset),
            "split": self._split(
                (request.dataset, card.sha256),
                (request.source, self.dataset(request.source).card.sha256 if request.source else ""),
                request.protocol,
                request.shots,
                request.seed,
                request.selection,
                request.scored,
            ),
            "shots": request.shots,
            "seed": request.seed,
            "backbone": facts["digest"],
            "selection": request.selection,
            "precision": request.precision,
        }
        identity |= self.own_identity(built, request)
        if (first := self.first_stages.of(request, built)) is not None:
            identity["first_stage"] = first.key
        if request.scored != "test":
            identity["scored"] = request.scored
        if needs:
            identity |= {"source": needs[0], "reading": request.reading}
        fields = vars(request) | {"settings": settings}
        cell = Cell(**fields, identity=identity, needs=needs)
        return cell.model_copy(update={"group": group_of(cell, method)})

    def admit(self, method: Method, request: Request, protocol: Protocol) -> None:
        """Refuse a method that cannot take part, with the reason; a wing adds what only it knows.

        Raises:
            Refused: nobody offers what the method needs, or the protocol cannot admit it.
        """
        offered = ASSETS.keys() | set(self.facts(request.backbone)["offers"]) | self.column_needs
        if missing := sorted(method.needs - offered):
            raise Refused(f"method {request.method!r} needs {', '.join(missing)}, which backbone {request.backbone!r} "
                          "does not offer", where="methods",
                          hint="choose another backbone, or leave the method out")  # fmt: skip
        protocol.admit(method)
        dataset = self.dataset(request.dataset)
        for source in self.columns:
            if source.wanted(method):
                source.admit(method, dataset)

    def own_identity(self, method: Method, request: Request) -> dict[str, Any]:
        """Parts of a cell's identity beside those of every wing: what columns say of themselves, and a wing's own."""
        dataset = self.dataset(request.dataset)
        own = {source.name: source.identity(dataset) for source in self.columns if source.wanted(method)}
        said = {name: what for name, what in own.items() if what}
        return {"columns": said} if said else {}

    def joined(self, name: str) -> Dataset | None:
        """The dataset that ``name`` makes of several others; None where it is one, or the wing joins none."""
        return None

    @property
    def column_needs(self) -> frozenset[str]:
        """What methods may need because a column gives it."""
        return frozenset().union(*(source.needs for source in self.columns))

    def refuse_twins(self, backbones: Sequence[str]) -> None:
        """Refuse two names of one model: each of its cells would stand in the tables twice.

        Raises:
            Refused: naming both.
        """
        known: dict[str, str] = {}
        for name in dict.fromkeys(backbones):
            twin = known.setdefault(str(self.facts(name)["digest"]), name)
            if twin != name:
                raise Refused(f"{twin!r} and {name!r} are one and the same model: architecture, preprocessing and "
                              "weights are equal", where="backbones", hint="name one of them")  # fmt: skip

    def settle(self, method: type[Method], written: Mapping[str, Setting]) -> dict[str, Setting]:
        """All settings of ``method``: those written, checked, and the defaults of the others."""
        memo = (method.name, repr(sorted(written.items())))
        if memo not in self._settled:
            self._settled[memo] = _settle(method, written)
        return self._settled[memo]

    def split(self, cell: Cell | Request) -> Split:
        """What ``cell`` trains on, selects on and is scored on."""
        protocol, dataset = self.protocol(cell.protocol), self.dataset(cell.dataset)
        split = protocol.split(dataset, cell.shots, cell.seed)
        return protocol.from_source(split, dataset, self.dataset(cell.source)) if cell.source else split

    def first_of(self, cell: Cell) -> Cell | None:
        """The cell that ``cell`` begins from; None where its method has no first stage."""
        if "first_stage" not in cell.identity:
            return None
        return self.first_stages.of(request_of(cell), _build(self.method(cell.method), cell.settings))

    def plain(self, example: Any) -> bytes:
        """An example as bytes, equal where examples are equal; a wing says what its own are made of."""
        return repr(example).encode()

    def _source_keys(self, request: Request, method: Method) -> tuple[str, ...]:
        """The key of the cell that ``request`` starts from, if any; refuses what cannot be carried over."""
        dataset = self.dataset(request.dataset)
        protocol = self.protocol(request.protocol)
        protocol.check_reading(request.source, request.reading)
        admit_joined(method, request, dataset)
        if not request.source:
            return ()
        admit_source(method, request, protocol, dataset, self.dataset(request.source))
        source = source_request(request, protocol)
        memo = repr([value for name, value in vars(source).items() if name != "settings"]) + repr(method)
        if memo not in self._keys:
            self._keys[memo] = self.cell(source).key
        return (self._keys[memo],)

    def _open_dataset(self, name: str) -> Dataset:
        if (joined := self.joined(name)) is not None:
            return joined
        for family in self.datasets:
            if family.knows(name):
                return family.open(name)
        names = [card.name for family in self.datasets for card in family.listing()]
        raise Refused("unknown dataset", where="datasets", got=name, hint=nearest(name, names))

    def knows(self, dataset: str) -> bool:
        """Whether a family opens ``dataset`` by itself."""
        return any(family.knows(dataset) for family in self.datasets)

    def _backbone_facts(self, backbone: str) -> dict[str, Any]:
        return dict(self.backbone_family(backbone).facts(backbone))

    def _prompting_digest(self, dataset: str) -> str:
        card = self.dataset(dataset).card
        return digest([card.name, card.classes, card.template])

    def _split_digest(
        self,
        named: tuple[str, str],
        source: tuple[str, str],
        protocol: str,
        shots: int,
        seed: int,
        selection: Selection,
        scored: Scored,
    ) -> str:
        """Of datasets by name and content: what is remembered of one that changed is never asked for again."""
        found = self.protocol(protocol)
        dataset, _ = named
        opened = self.dataset(dataset)
        found.check(opened.card, shots, selection)
        split = found.split(opened, shots, seed)
        if source[0]:
            split = found.from_source(split, opened, self.dataset(source[0]))
        if scored == "val" and not split.val:
            raise Refused(
                "a search scores validation examples, and there are none",
                where=dataset,
                got=dict(opened.card.splits),
                hint="leave the dataset out of the search",
            )
        return digest(split.identity())


def _aliases(row: Mapping[str, object]) -> list[str]:
    listed = row.get("aliases", [])
    return [str(alias) for alias in listed] if isinstance(listed, list) else []


def choices(method: type[Method]) -> dict[str, list[Setting]]:
    """The options of those settings of ``method`` that take one of a few."""
    hints = typing.get_type_hints(method)
    return {
        item.name: list(typing.get_args(hints[item.name]))
        for item in dataclasses.fields(method)
        if typing.get_origin(hints[item.name]) is Literal and item.name not in method.rare()
    }


def _settle(method: type[Method], written: Mapping[str, Setting]) -> dict[str, Setting]:
    fields = {item.name: item for item in dataclasses.fields(method)}
    where = f"methods.{method.name}"
    hints = typing.get_type_hints(method)
    for key, value in written.items():
        if key not in fields:
            raise Refused(f"unknown setting {key!r}", where=where, hint=nearest(key, fields))
        _check_type(key, value, hints[key], where)
        _check_range(key, value, method, where)
    rare = method.rare().items()
    said = {key: value for key, value in written.items() if (key, value) not in rare}
    full = method.defaults() | {key: _as_default(method.defaults().get(key), value) for key, value in said.items()}
    _build(method, full)
    return full


def _as_default(default: object, value: Setting) -> Setting:
    """A whole number written for a fractional setting means the fraction."""
    return float(value) if isinstance(default, float) and not isinstance(value, bool | str) else value


def _check_type(key: str, value: Setting, hint: Any, where: str) -> None:
    options = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        if value not in options:
            near = nearest(str(value), map(str, options))
            raise Refused(f"setting {key!r} is not one of its options", where=where, got=value, hint=near)
        return
    kinds = {kind for kind in (hint, *options) if isinstance(kind, type)}
    number = float in kinds and isinstance(value, int | float) and not isinstance(value, bool)
    if not number and type(value) not in kinds:
        names = " or ".join(sorted(kind.__name__ for kind in kinds & {bool, int, float, str}))
        raise Refused(f"setting {key!r} has the wrong type", where=where, got=value, expected=names)


def _check_range(key: str, value: Setting, method: type[Method], where: str) -> None:
    known = method.knobs().get(key)
    if isinstance(value, str) and len(value) > MOST_WORDS:
        expected = f"at most {MOST_WORDS:,}"
        raise Refused(f"setting {key!r} has {len(value):,} characters", where=where, got=value, expected=expected)
    if isinstance(value, bool | str):
        return
    low, high = (known.low, known.high) if known else _plain_range(key, method.defaults().get(key))
    if not low <= value <= high:
        raise Refused(f"setting {key!r} is out of range", where=where, got=value, expected=f"{low} to {high}")


def _plain_range(key: str, default: object) -> tuple[float, float]:
    """Where a plain field's values lie: from 0 (1 for a batch), unless its default is below, up to what makes sense."""
    words = key.split("_")
    long = {"epochs", "iterations", "steps"} & set(words)
    high = MOST_SEEDS if "seed" in words else MOST_WORK if long else MOST_BATCH if key == "batch_size" else MOST
    low = min(int(key == "batch_size"), default) if isinstance(default, int | float) else -high
    return low, high


def _build(method: type[Method], settings: Mapping[str, Any]) -> Method:
    try:
        return method(**settings)
    except ValueError as error:
        raise Refused(str(error), where=f"methods.{method.name}") from error
