"""How a running grid goes, against what was expected of it: the live estimate of its end, and better estimates."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from promptgrid.cluster.cost_model import PRIOR
from promptgrid.cluster.estimate import Sort, sort_of
from promptgrid.cluster.eta import Forecast, predict
from promptgrid.spec import Pack

SHIFT = math.log(1.25)
"""Estimates that moved by less are not worth a new order of the packs."""

EPSILON = 1e-6


class Pace:
    """Expected and measured seconds of a run, by method and backbone. One owner, no threads.

    Args:
        packs: what is to run.
        clock: seconds, from any beginning.
    """

    def __init__(self, packs: Iterable[Pack], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._packs = {pack.key: pack for pack in packs}
        self._left = {pack.key: pack.seconds for pack in self._packs.values()}
        self._share = {key: pack.seconds / len(pack.wanted) for pack in self._packs.values() for key in pack.wanted}
        self._started: dict[str, tuple[Pack, float]] = {}
        self._flown: dict[str, float] = defaultdict(float)
        self._expected: dict[Sort, float] = defaultdict(float)
        self._took: dict[Sort, float] = defaultdict(float)
        self._cells: Counter[Sort] = Counter()
        self._began: float | None = None
        self._known: dict[Sort, float] = {}

    def take(self, name: str, pack: Pack) -> None:
        """``pack`` runs from now on, under ``name``."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._started[name] = pack, now

    def over(self, name: str) -> None:
        """Nothing runs under ``name`` any more."""
        pack, _ = self._started.pop(name)
        self._flown.pop(pack.key, None)

    def settle(self, pack: Pack, key: str, took: float | None) -> None:
        """Cell ``key`` of ``pack`` is behind us; it took ``took`` seconds, None where nobody measured."""
        share = self._share[key]
        self._left[pack.key] -= share
        if took is not None:
            sort = sort_of(pack.cells[0])
            worked = took * len(pack.cells) / len(self._packs[pack.key].wanted)  # stand-ins cost what cells cost
            self._expected[sort] += share
            self._took[sort] += worked
            self._cells[sort] += 1
            self._flown[pack.key] += worked

    def factor(self, pack: Pack) -> float:
        """What the expected seconds of ``pack`` are to be multiplied with, as far as this run has shown."""
        sort = sort_of(pack.cells[0])
        return self._factors().get(sort, self._overall())

    def shifted(self) -> bool:
        """Whether factors have moved so far since this was last true that packs should be put in a new order."""
        now = self._factors()
        moved = max((abs(math.log(value / self._known.get(sort, 1.0))) for sort, value in now.items()), default=0.0)
        if moved < SHIFT:
            return False
        self._known = now
        return True

    def forecast(self) -> Forecast | None:
        """When the run will end; None before it has begun."""
        if self._began is None:
            return None
        now = self._clock()
        factors, overall = self._factors(), self._overall()
        left = {
            key: seconds * factors.get(sort_of(self._packs[key].cells[0]), overall)
            for key, seconds in self._left.items()
            if seconds > EPSILON
        }
        ages = {pack.key: max(0.0, now - began - self._flown[pack.key]) for pack, began in self._started.values()}
        return predict(left, ages, sum(self._took.values()), now - self._began)

    def _factors(self) -> dict[Sort, float]:
        return {sort: _shrunk(self._took[sort], self._expected[sort], count) for sort, count in self._cells.items()}

    def _overall(self) -> float:
        return _shrunk(sum(self._took.values()), sum(self._expected.values()), self._cells.total())


def _shrunk(took: float, expected: float, cells: int) -> float:
    return (took / expected) ** (cells / (cells + PRIOR)) if took > 0 and expected > 0 else 1.0
