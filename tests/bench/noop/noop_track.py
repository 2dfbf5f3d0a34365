"""A track whose cells do nothing, or burn a stated amount of CPU: what remains is the price of the scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from promptgrid.contract.clip import Outcome, Track
from promptgrid.spec import Cell, Cost, Machine, Pack, Provenance, Record, Request


class NoopTrack(Track):
    """Method ``noop`` with the settings ``pack`` (cells a pack) and ``burn`` (CPU seconds a cell)."""

    name = "noop"

    def resolve(self, requests: Sequence[Request]) -> list[Cell]:
        return [Cell(**vars(request), identity=vars(request)) for request in requests]

    def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
        packs = []
        for _, group in groupby(cells, lambda cell: cell.dataset):
            listed = list(group)
            size = int(listed[0].settings["pack"])
            for first in range(0, len(listed), size):
                part = tuple(listed[first : first + size])
                packs.append(Pack(part, seconds=sum(max(1e-3, _burn(cell)) for cell in part)))
        return packs

    def run(self, pack: Pack, cache: Any, device: str, progress: Any = None, learned: Any = None) -> Iterator[Outcome]:
        for cell in pack.cells:
            if cell.key in pack.wanted:
                started = _now()
                until = time.process_time() + _burn(cell)
                while time.process_time() < until:
                    pass
                yield Outcome(
                    Record(
                        cell=cell,
                        metrics={"accuracy": int(cell.key[:6], 16) / 0xFFFFFF},
                        cost=Cost(train_seconds=_burn(cell)),
                        provenance=Provenance(started=started, finished=_now()),
                    )
                )

    def restore(self, record: Record, state: Any, device: str) -> Any:
        return state

    def bundled_datasets(self) -> list[str]:
        return [f"task{number}" for number in range(10)]

    def describe(self, what: str) -> list[dict[str, Any]]:
        return [{"name": "noop", "kind": "noop", "knobs": []}] if what == "methods" else []

    def headline(self, protocol: str) -> str:
        return "accuracy"


def _burn(cell: Cell) -> float:
    return float(cell.settings["burn"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
