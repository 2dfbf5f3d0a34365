"""A grid that ran on paper: when each pack would have begun and ended, and what its records would say."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.store.synthetic import make_cell, make_record

from promptgrid.cluster.schedule import Schedule
from promptgrid.cluster.timing.estimate import scouts
from promptgrid.cluster.timing.eta import Forecast, RunningPack, forecast
from promptgrid.spec import Cost, Pack, Provenance, Record

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class SimulatedRun:
    """A pack that ran from ``began`` to ``ended``, seconds after midnight."""

    pack: Pack
    began: float
    ended: float

    def records(self) -> list[Record]:
        share = (self.ended - self.began) / len(self.pack.cells)
        when = Provenance(started=_text(self.began), finished=_text(self.ended), pack=self.pack.key)
        return [make_record(cell, cost=Cost(train_seconds=share), provenance=when) for cell in self.pack.cells]


def make_packs(guesses: dict[str, tuple[int, float]], cells: int = 4) -> list[Pack]:
    """``number`` packs of a method at ``seconds`` each, for every method: (number, seconds)."""
    return [
        whole(tuple(make_cell(cells * place + seed, method=method) for seed in range(cells)), seconds)
        for method, (number, seconds) in guesses.items()
        for place in range(number)
    ]


def whole(cells: tuple[object, ...], seconds: float) -> Pack:
    return Pack(cells, seconds=seconds, wanted=frozenset(cell.key for cell in cells))  # type: ignore


def simulate(
    packs: Sequence[Pack], truth: Callable[[Pack], float], workers: int, began: float = 0.0
) -> list[SimulatedRun]:
    """The packs in the order of precedence of their estimates, each taking what is ``truth`` of it."""
    schedule, free, runs = Schedule(packs, set(), scouts(packs, ())), [began] * workers, []
    while (pack := schedule.pop()) is not None:
        start = heapq.heappop(free)
        runs.append(SimulatedRun(pack, start, start + truth(pack)))
        heapq.heappush(free, start + truth(pack))
    return runs


def seen_at(
    runs: Sequence[SimulatedRun],
    moment: float,
    corrected: Callable[[list[Pack], list[Record]], list[Pack]],
    alive: bool,
) -> Forecast | None:
    """The forecast of somebody who looks at ``moment``; the grid is not running then unless ``alive``."""
    records = [record for one in runs if one.ended <= moment for record in one.records()]
    left = corrected([one.pack for one in runs if one.ended > moment], records)
    running_packs = [
        RunningPack(one.pack.wanted, MIDNIGHT + one.began) for one in runs if one.began <= moment < one.ended
    ]
    return forecast(left, records, running_packs if alive else [], MIDNIGHT + moment)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(MIDNIGHT + moment, UTC).isoformat()
