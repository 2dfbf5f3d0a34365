"""The order of the packs: the longest chain of dependent packs first, and none before what it needs.

A pack starts when every cell that its own cells need is settled, done or failed: the twenty sources of a target, say,
which are one pack of targets. Those whose source failed are then skipped, the others run.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from promptgrid.cluster.resources import Worker
from promptgrid.spec import Cell, Pack, Refused

PLAIN = Worker()


@dataclass(frozen=True)
class Skipped:
    """A cell that cannot run because the cell named by ``need`` failed."""

    cell: Cell
    need: str


class Schedule:
    """The packs still to be run. One owner, no threads.

    Args:
        packs: in plan order; only their ``wanted`` cells count.
        finished: keys whose results the store holds; every other key that no pack wants is taken as failed.
        scouts: keys of packs that go before all others.
    """

    def __init__(self, packs: Sequence[Pack], finished: Collection[str], scouts: Collection[str] = ()) -> None:
        self._kind: Callable[[Pack], Worker] = lambda pack: PLAIN
        self._packs = list(packs)
        self._scouts = scouts
        self._ranks = self._ranked(packs)
        self._heaps: dict[Worker, list[tuple[float, int, Pack]]] = defaultdict(list)
        self._order = count()
        self._failed: set[str] = set()
        self._waiting: dict[str, int] = {}
        self._blocked: dict[str, Pack] = {}
        self._dependents: dict[str, list[str]] = defaultdict(list)
        self._skipped: list[Skipped] = []
        promised = {key for pack in packs for key in pack.wanted}
        for pack in packs:
            self._enter(pack, promised, finished)

    def _enter(self, pack: Pack, promised: Collection[str], finished: Collection[str]) -> None:
        needs = outside_needs(pack)
        self._failed.update(key for key in needs if key not in promised and key not in finished)
        waits = [key for key in needs if key in promised and key not in finished]
        if not waits:
            self.push(pack)
            return
        self._waiting[pack.key] = len(waits)
        self._blocked[pack.key] = pack
        for key in waits:
            self._dependents[key].append(pack.key)

    def sort_by(self, kind: Callable[[Pack], Worker]) -> None:
        """Hand out packs by their resource class from now on, one class at a time."""
        waiting = [entry for heap in self._heaps.values() for entry in heap]
        self._kind = kind
        self._heaps.clear()
        for entry in waiting:
            heapq.heappush(self._heaps[kind(entry[2])], entry)

    def push(self, pack: Pack) -> None:
        """Put ``pack`` (or the part of it that ``wanted`` names) in line."""
        heapq.heappush(self._heaps[self._kind(pack)], (-self._ranks[pack.key], next(self._order), pack))

    def reweigh(self, factor: Callable[[Pack], float]) -> None:
        """Sort the waiting packs again, the estimate of each multiplied by ``factor``."""
        packs = [replace(pack, seconds=pack.seconds * factor(pack)) for pack in self._packs]
        self._ranks = self._ranked(packs)
        for heap in self._heaps.values():
            heap[:] = [(-self._ranks[pack.key], order, pack) for _, order, pack in heap]
            heapq.heapify(heap)

    def pop(self, kind: Worker = PLAIN) -> Pack | None:
        """The next pack of ``kind`` with at least one cell that can run; None when none is ready now."""
        heap = self._heaps[kind]
        while heap:
            pack = self._without_lost(heapq.heappop(heap)[2])
            if pack.wanted:
                return pack
        return None

    def settle(self, key: str, *, failed: bool) -> None:
        """A cell has its record: packs that waited for it alone become ready."""
        if failed:
            self._failed.add(key)
        for name in self._dependents.pop(key, ()):
            self._waiting[name] -= 1
            if self._waiting[name] == 0:
                self.push(self._blocked.pop(name))

    def skipped(self) -> list[Skipped]:
        """Cells found unable to run since the last call; they count as failed for those that need them."""
        found, self._skipped = self._skipped, []
        return found

    def kinds(self) -> list[Worker]:
        """Resource classes with something ready, the one with the longest way to go first."""
        return sorted((kind for kind, heap in self._heaps.items() if heap), key=lambda kind: self._heaps[kind][0][0])

    @property
    def blocked(self) -> list[Pack]:
        """Packs that still wait for others."""
        return list(self._blocked.values())

    def _ranked(self, packs: Sequence[Pack]) -> dict[str, float]:
        found = {pack.key: rank for pack, rank in zip(packs, ranks(packs), strict=True)}
        return found | dict.fromkeys(self._scouts, math.inf)

    def _without_lost(self, pack: Pack) -> Pack:
        inside = {cell.key for cell in pack.cells}
        lost: dict[str, str] = {}
        for cell in pack.cells:
            need = next((key for key in cell.needs if key in self._failed or (key in inside and key in lost)), None)
            if cell.key in pack.wanted and need is not None:
                lost[cell.key] = need
                self._skipped.append(Skipped(cell, need))
        for key in lost:
            self.settle(key, failed=True)
        return replace(pack, wanted=pack.wanted - lost.keys()) if lost else pack


def makespan(packs: Sequence[Pack], workers: int) -> float:
    """Seconds until all of ``packs`` are over when ``workers`` take them in this order of precedence."""
    promised = {key for pack in packs for key in pack.wanted}
    schedule = Schedule(packs, {key for pack in packs for key in outside_needs(pack)} - promised)
    running: list[tuple[float, int, Pack]] = []
    ready: dict[str, float] = {}
    now, order = 0.0, count()
    while True:
        while len(running) < workers and (pack := schedule.pop()) is not None:
            begins = now  # whoever comes first computes what is shared, and the others wait for it
            if pack.shared is not None:
                begins = max(now, ready.setdefault(pack.shared.name, now + pack.shared.seconds))
            heapq.heappush(running, (begins + pack.seconds, next(order), pack))
        if not running:
            return now
        now, _, over = heapq.heappop(running)
        for key in over.wanted:
            schedule.settle(key, failed=False)


def shared_parts(packs: Iterable[Pack]) -> dict[str, float]:
    """Seconds of what packs share, each name once."""
    return {pack.shared.name: pack.shared.seconds for pack in packs if pack.shared is not None}


def work_seconds(packs: Sequence[Pack]) -> float:
    """Seconds of all ``packs`` one after the other, with what they share once."""
    return sum(pack.seconds for pack in packs) + sum(shared_parts(packs).values())


def outside_needs(pack: Pack) -> set[str]:
    """Keys of cells outside ``pack`` that its wanted cells need."""
    return {key for cell in pack.cells if cell.key in pack.wanted for key in cell.needs} - {
        cell.key for cell in pack.cells
    }


def ranks(packs: Sequence[Pack]) -> list[float]:
    """Seconds from the start of each pack to the end of the longest chain that waits for it.

    Raises:
        Refused: the packs wait for each other in a circle.
    """
    home = {key: index for index, pack in enumerate(packs) for key in pack.wanted}
    sources = [{home[key] for key in outside_needs(pack) if key in home} for pack in packs]
    targets: list[list[int]] = [[] for _ in packs]
    for index, found in enumerate(sources):
        for source in found:
            targets[source].append(index)
    open_targets = [len(found) for found in targets]
    ready = [index for index, number in enumerate(open_targets) if number == 0]
    result = [0.0] * len(packs)
    for index in ready:  # grows while it is read: from the last packs of each chain back to the first
        result[index] = packs[index].seconds + max((result[target] for target in targets[index]), default=0.0)
        for source in sources[index]:
            open_targets[source] -= 1
            if open_targets[source] == 0:
                ready.append(source)
    if len(ready) < len(packs):
        stuck = next(pack for pack, number in zip(packs, open_targets, strict=True) if number)
        cell = next(cell for cell in stuck.cells if cell.needs)
        raise Refused("cells need each other in a circle", where=f"{cell.method} on {cell.dataset}, seed {cell.seed}")
    return result
