"""Measured against expected seconds of a running grid: when it will end, and corrected estimates for what waits."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from promptgrid.cluster.schedule import shared_parts
from promptgrid.cluster.timing.cost_model import PRIOR
from promptgrid.cluster.timing.estimate import Sort, sort_of
from promptgrid.cluster.timing.eta import Forecast, predict
from promptgrid.spec import Pack

SHIFT = math.log(1.25)
"""Estimates that moved by less are not worth a new order of the packs."""

EPSILON = 1e-6
AGAIN = 1.25
"""What is shared is taken to be over after so many times the seconds that it has taken already, at the earliest."""


class Pace:
    """Expected and measured seconds of a run, by method and backbone. One owner, no threads.

    Args:
        packs: what is to run.
        clock: seconds, from any beginning.
        planned: seconds that the plan gives the whole run, its start included: forecast until the first pack begins.
    """

    def __init__(
        self, packs: Iterable[Pack], clock: Callable[[], float] = time.monotonic, planned: float | None = None
    ) -> None:
        self._clock = clock
        self._made = clock()
        self._planned = planned
        self._packs = {pack.key: pack for pack in packs}
        self._left = {pack.key: pack.seconds for pack in self._packs.values()}
        self._share = {key: pack.seconds / len(pack.wanted) for pack in self._packs.values() for key in pack.wanted}
        self._started: dict[str, tuple[Pack, float]] = {}
        self._elapsed: dict[str, float] = defaultdict(float)
        self._expected: dict[Sort, float] = defaultdict(float)
        self._took: dict[Sort, float] = defaultdict(float)
        self._cells: Counter[Sort] = Counter()
        self._began: float | None = None
        self._known: dict[Sort, float] = {}
        self._shared = shared_parts(self._packs.values())
        self._shared_took = self._shared_expected = 0.0

    def take(self, name: str, pack: Pack) -> None:
        """``pack`` runs from now on, under ``name``."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._started[name] = pack, now

    def over(self, name: str) -> None:
        """Nothing runs under ``name`` any more."""
        pack, _ = self._started.pop(name)
        self._elapsed.pop(pack.key, None)

    def settle(self, pack: Pack, key: str, took: float | None) -> None:
        """Cell ``key`` of ``pack`` is behind us; it took ``took`` seconds, None where nobody measured."""
        self._prepared(pack, took or 0.0)
        share = self._share[key]
        self._left[pack.key] -= share
        if took is not None:
            sort = sort_of(pack.cells[0])
            worked = took * len(pack.cells) / len(self._packs[pack.key].wanted)  # stand-ins cost what cells cost
            self._expected[sort] += share
            self._took[sort] += worked
            self._cells[sort] += 1
            self._elapsed[pack.key] += worked

    def factor(self, pack: Pack) -> float:
        """The factor by which this run corrects the estimated seconds of ``pack``."""
        sort = sort_of(pack.cells[0])
        return self._factors().get(sort, self._overall())

    def shifted(self) -> bool:
        """Whether the factors have changed enough, since this was last true, to sort the packs again."""
        now = self._factors()
        moved = max((abs(math.log(value / self._known.get(sort, 1.0))) for sort, value in now.items()), default=0.0)
        if moved < SHIFT:
            return False
        self._known = now
        return True

    def forecast(self) -> Forecast | None:
        """When the run will end; None before it has begun."""
        now = self._clock()
        if self._began is None:
            return None if self._planned is None else Forecast(max(self._planned - (now - self._made), 1.0), 1.0)
        factors, overall = self._factors(), self._overall()
        left = {
            key: seconds * factors.get(sort_of(self._packs[key].cells[0]), overall)
            for key, seconds in self._left.items()
            if seconds > EPSILON
        }
        ages = {pack.key: max(0.0, now - began - self._elapsed[pack.key]) for pack, began in self._started.values()}
        for name in self._shared:
            self._share_out(name, left, ages)
        return predict(left, ages, sum(self._took.values()) + self._shared_took, now - self._began)

    def _share_out(self, name: str, left: dict[str, float], ages: dict[str, float]) -> None:
        """Split the ages of packs that share ``name``, which is not there yet: first it, then the pack's own work."""
        packs = [pack for pack, _ in self._started.values() if pack.shared is not None and pack.shared.name == name]
        guess = self._shared[name] * self._shared_factor()
        beyond = max((ages[pack.key] - left.get(pack.key, 0.0) for pack in packs), default=0.0)
        left[name] = guess if beyond <= guess else AGAIN * beyond
        ages[name] = min(max((ages[pack.key] for pack in packs), default=0.0), left[name])
        for pack in packs:
            ages[pack.key] = max(0.0, ages[pack.key] - left[name])

    def _prepared(self, pack: Pack, took: float) -> None:
        """The first cell of ``pack`` is over, so what it shares with others is there; ``took`` is one cell's share."""
        if pack.shared is None or pack.shared.name not in self._shared:
            return
        name = pack.shared.name
        self._shared_expected += self._shared.pop(name)
        now = self._clock()
        began = min((began for running, began in self._started.values() if running.key == pack.key), default=now)
        waited = max(0.0, now - began - took * len(pack.cells))
        self._shared_took += waited
        for running, _ in self._started.values():
            if running.shared is not None and running.shared.name == name:
                self._elapsed[running.key] += waited

    def _shared_factor(self) -> float:
        known = self._shared_took > 0 and self._shared_expected > 0
        return self._shared_took / self._shared_expected if known else 1.0

    def _factors(self) -> dict[Sort, float]:
        return {sort: _shrunk(self._took[sort], self._expected[sort], count) for sort, count in self._cells.items()}

    def _overall(self) -> float:
        return _shrunk(sum(self._took.values()), sum(self._expected.values()), self._cells.total())


def _shrunk(took: float, expected: float, cells: int) -> float:
    return (took / expected) ** (cells / (cells + PRIOR)) if took > 0 and expected > 0 else 1.0
