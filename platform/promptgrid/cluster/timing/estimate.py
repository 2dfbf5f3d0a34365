"""How long the missing packs will take: the track's own guess, corrected by what earlier cells took."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import filterfalse, islice
from typing import TYPE_CHECKING, TypeVar

from promptgrid.cluster.timing.cost_model import CostModel, Measured
from promptgrid.spec import Cell, Machine, Pack, Record, Refused

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.store import Store

OWN_RECORDS = 384
"""Finished cells of the plan itself that are read, the same number for each method on each backbone."""
OTHER_RECORDS = 192
"""Records of other plans that are read where the plan's own say too little. A read takes about half a millisecond."""
ENOUGH = 8
"""So many of the plan's own records of a method, and other plans are not asked about it."""

Sort = tuple[str, str]
T = TypeVar("T")


def corrected(
    packs: Sequence[Pack],
    store: Store,
    finished: Collection[str],
    track: Track,
    every: Sequence[Pack] = (),
    machine: Machine = "cpu",
) -> tuple[list[Pack], frozenset[str]]:
    """``packs`` with seconds as a :class:`CostModel` of the store's records gives them, and GPU memory as measured.

    Args:
        packs: those that are to run.
        store: whose records teach: a sample of the finished cells of ``every``, then of all others.
        finished: keys that the store holds.
        track: guesses what the cells of other plans should have taken.
        every: all packs of the plan, by default those that are to run.
        machine: what they are made for.

    Returns:
        (the packs in their order, keys of the :func:`scouts` among them).
    """
    if not packs:
        return [], frozenset()
    guessed = {cell.key: pack.seconds / len(pack.cells) for pack in every or packs for cell in pack.cells}
    own = store.records(_sample(every or packs, finished))
    known: dict[Sort, int] = defaultdict(int)
    for record in own:
        known[sort_of(record.cell)] += 1
    asked = {sort_of(pack.cells[0]) for pack in packs}
    other = _others(store, guessed, {sort for sort in asked if known[sort] < ENOUGH}, track, machine)
    records = here([*own, *(record for record, _ in other)])
    guessed |= {record.cell.key: seconds for record, seconds in other}
    model = CostModel.learn(
        Measured(record.cell, guessed[record.cell.key], record.cost.train_seconds + record.cost.eval_seconds)
        for record in records
    )
    swollen = _gpu_factors(records, every or packs)
    better = [
        replace(
            pack,
            seconds=model.seconds(pack.cells, pack.seconds),
            gpu_memory_mb=pack.gpu_memory_mb * swollen.get(sort_of(pack.cells[0]), 1.0),
        )
        for pack in packs
    ]
    return better, scouts(better, {sort_of(record.cell) for record in records})


def scouts(packs: Iterable[Pack], measured: Collection[Sort]) -> frozenset[str]:
    """Keys of the shortest pack of each sort that nobody has measured: run first, they tell what the others will take.

    They cost little, and without them a grid that goes longest first learns last what its short methods take.
    """
    shortest: dict[Sort, Pack] = {}
    for pack in packs:
        sort = sort_of(pack.cells[0])
        if sort not in measured and (sort not in shortest or pack.seconds < shortest[sort].seconds):
            shortest[sort] = pack
    return frozenset(pack.key for pack in shortest.values())


def sort_of(cell: Cell) -> Sort:
    """What cells of one cost model have in common: method and backbone."""
    return cell.method, cell.backbone


def here(records: Sequence[Record]) -> list[Record]:
    """Those of ``records`` from the kind of device that this machine used last; else that any machine used last.

    A store may hold records of a laptop and of a GPU: seconds of the one say nothing about the other.
    """
    host = socket.gethostname()
    latest = max(records, key=lambda record: (record.provenance.host == host, record.provenance.finished), default=None)
    if latest is None:
        return []
    return [record for record in records if _device(record) == _device(latest)]


def _device(record: Record) -> tuple[str, int]:
    return record.provenance.device, record.provenance.threads


def _sample(packs: Sequence[Pack], finished: Collection[str]) -> list[str]:
    """Keys of finished cells: from every sort, and within a sort from as many packs as there are."""
    found: dict[Sort, list[str]] = defaultdict(list)
    for pack in packs:
        key = next((cell.key for cell in pack.cells if cell.key in finished), None)
        if key is not None:
            found[sort_of(pack.cells[0])].append(key)
    each = max(ENOUGH, OWN_RECORDS // max(1, len(found)))
    return [key for keys in found.values() for key in spread(keys, each)]


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of ``items``, at equal distances from first to last."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def _others(
    store: Store, known: Collection[str], sorts: Collection[Sort], track: Track, machine: Machine
) -> list[tuple[Record, float]]:
    """Records of other plans about ``sorts``, each with what ``track`` guesses for its cell now.

    Keys are hashes, so the first ones in order are as good a sample as any.
    """
    if not sorts:
        return []
    keys = islice(filterfalse(known.__contains__, store.keys()), OTHER_RECORDS)
    records = [record for record in store.records(list(keys)) if sort_of(record.cell) in sorts]
    guesses = ((record, _guess(track, record.cell, machine)) for record in records if record.cell.track == track.name)
    return [(record, seconds) for record, seconds in guesses if seconds is not None]


def _guess(track: Track, cell: Cell, machine: Machine) -> float | None:
    """What ``track`` guesses for ``cell`` alone; None for a cell of a version or a plug-in that is not here."""
    try:
        (pack,) = track.pack([cell], machine)
    except (Refused, TypeError, KeyError, ValueError):
        return None
    return pack.seconds


def _gpu_factors(records: Iterable[Record], packs: Iterable[Pack]) -> dict[Sort, float]:
    """By sort, the most that a pack of the plan took on a GPU over what had been guessed for it."""
    guessed = {cell.key: pack.gpu_memory_mb for pack in packs for cell in pack.cells}
    factors: dict[Sort, float] = defaultdict(float)
    for record in records:
        on_gpu = record.provenance.device and not record.provenance.device.startswith("cpu")
        if on_gpu and guessed.get(record.cell.key):
            sort = sort_of(record.cell)
            factors[sort] = max(factors[sort], record.cost.peak_memory_mb / guessed[record.cell.key])
    return dict(factors)
