"""First stages: which cell a method begins from, what it shares with the dataset at hand, and what it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any
from typing import Protocol as Shape

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.first_stage import FirstStage
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol
from promptgrid.spec import Cell, Pack, Refused, Request
from promptgrid.spec.dataset import alike

LOOKED_AT = 20_000
"""Examples up to which two datasets are compared one by one; of larger ones the class names alone."""
SPENT = "stage_one_examples"
"""The metric that says what a first stage took: steps times batch."""


class Knows(Shape):
    """What is asked of a resolver."""

    def dataset(self, name: str) -> Dataset:
        """The dataset called ``name``."""

    def protocol(self, name: str) -> Protocol:
        """The protocol called ``name``."""

    def cell(self, request: Request) -> Cell:
        """The cell that ``request`` names."""

    def plain(self, example: Any) -> bytes:
        """An example as bytes."""


class FirstStages:
    """Finds the cells that others begin from, each once.

    Args:
        resolver: knows datasets and protocols, makes cells, and says what examples are made of.
    """

    def __init__(self, resolver: Knows) -> None:
        self._resolver = resolver
        self._found: dict[str, Cell] = {}
        self._contents: dict[str, frozenset[bytes]] = {}

    def look_again(self) -> None:
        """Forget what was found; what is remembered of datasets is named by their content."""
        self._found.clear()

    def of(self, request: Request, method: Method) -> Cell | None:
        """The cell that ``request`` begins from; None where its method has no first stage.

        Raises:
            Refused: it has another source too, or the source shares a class or an example with its dataset.
        """
        stage, known = method.first_stage, self._resolver
        if stage is None:
            return None
        if request.source:
            raise Refused(f"method {request.method!r} has a first stage of its own and begins from no other source",
                          where="methods", hint="leave out its `source`, or give it `readings: []`")  # fmt: skip
        asked = _request(stage, request, known.protocol(request.protocol))
        memo = repr(asked) + request.dataset
        if memo not in self._found:
            refuse_shared(known.dataset(request.dataset), known.dataset(stage.dataset), self._contents_of)
            self._found[memo] = known.cell(asked)
        return self._found[memo]

    def _contents_of(self, dataset: Dataset) -> frozenset[bytes]:
        name = dataset.card.sha256
        if name not in self._contents:
            self._contents[name] = contents_of(dataset, self._resolver.plain)
        return self._contents[name]


def _request(stage: FirstStage, request: Request, protocol: Protocol) -> Request:
    """The cell that is learned first: a plain one of the protocol under which sources learn."""
    return replace(
        request,
        protocol=protocol.learned_by,
        method=stage.method,
        settings=dict(stage.settings),
        dataset=stage.dataset,
        shots=stage.shots,
        seed=stage.seed,
        selection="last",
        scored="test",
        source="",
        reading="",
    )


def request_of(cell: Cell) -> Request:
    """The request that ``cell`` was made of."""
    return Request(**{item.name: getattr(cell, item.name) for item in fields(Request)})


def refuse_shared(dataset: Dataset, source: Dataset, contents: Callable[[Dataset], frozenset[bytes]]) -> None:
    """Refuse a source that shares a class or an example with ``dataset``.

    Args:
        dataset: that is learned and scored.
        source: of the first stage.
        contents: digests of the examples of a dataset.

    Raises:
        Refused: naming what is shared.
    """
    names = dict.fromkeys(dataset.card.classes), dict.fromkeys(source.card.classes)
    shared = [group[0] for group in alike([*names[0], *names[1]]) if len(group) > 1]
    if shared:
        raise Refused(f"the source of the first stage, {source.card.name!r}, has classes of {dataset.card.name!r}",
                      where="methods", got=", ".join(shared[:6]), expected="a source with other classes")  # fmt: skip
    if max(len(dataset.labels), len(source.labels)) <= LOOKED_AT and (twice := contents(dataset) & contents(source)):
        raise Refused(
            f"the source of the first stage, {source.card.name!r}, has examples of {dataset.card.name!r}",
            where="methods",
            got=f"{len(twice)} that are equal",
            expected="a source with other examples",
        )


def contents_of(dataset: Dataset, plain: Callable[[Any], bytes]) -> frozenset[bytes]:
    """Digests of the examples of ``dataset``, each as ``plain`` bytes; one that cannot be read is left out."""
    found = set()
    for index in range(len(dataset.labels)):
        try:
            found.add(hashlib.sha256(plain(dataset.read(index))).digest())
        except (OSError, RuntimeError):  # damaged, or of a dataset that is planned for without a look at it
            continue
    return frozenset(found)


def with_first_stages(
    packs: Iterable[Pack], first_of: Callable[[Cell], Cell | None], seconds: Callable[[Cell], float]
) -> Sequence[Pack]:
    """``packs`` with the seconds of each first stage on top of the first pack that begins from it."""
    known: set[str] = set()
    found = []
    for pack in packs:
        stages = {one.key: one for one in map(first_of, pack.cells) if one is not None and one.key not in known}
        known |= stages.keys()
        found.append(replace(pack, seconds=pack.seconds + sum(map(seconds, stages.values()))) if stages else pack)
    return found
