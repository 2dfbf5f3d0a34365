"""How good the ETA would have been: a recorded run, looked at from moments within it.

`python -m tests.bench.eta --store .promptgrid/store` takes the longest run that the records tell of (no pause above a
minute), forgets what came after each moment, and asks for the end as `promptgrid status` would have. With `--workers 2`
the packs are first put into the order in which two workers would take them today, each as long as it really took.
"""

from __future__ import annotations

import argparse
import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.measuring import show

from promptgrid.cluster.planner import track_named
from promptgrid.cluster.schedule import Schedule, makespan
from promptgrid.cluster.timing.cost_model import CostModel, Measured, spent
from promptgrid.cluster.timing.estimate import scouts
from promptgrid.cluster.timing.eta import GAP_SECONDS, RunningPack, forecast, span
from promptgrid.spec import Pack, Record
from promptgrid.store import Store

PARTS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def longest_run(records: Sequence[Record]) -> list[Record]:
    """The records of the longest stretch without a pause."""
    dated = sorted(((found, record) for record in records if (found := span(record))), key=lambda one: one[0])
    runs: list[list[Record]] = [[]]
    last = 0.0
    for (began, ended), record in dated:
        if began > last + GAP_SECONDS:
            runs.append([])
        runs[-1].append(record)
        last = max(last, ended)
    return max(runs, key=len)


def replayed(records: Sequence[Record], guesses: dict[str, float], workers: int) -> list[dict[str, Any]]:
    """The forecast at each of PARTS of the work, beside what was then to come.

    A grid that is interrupted then loses what its workers are at: what comes is the rest on as many ``workers``.
    """
    by_pack = _by_pack(records)
    starts = {name: _interval(group)[0] for name, group in by_pack.items()}
    ends = {name: _interval(group)[1] for name, group in by_pack.items()}
    first, last = min(starts.values()), max(ends.values())
    total, rows = sum(map(spent, records)), []
    for part in PARTS:
        behind, moment = 0.0, first
        for name in sorted(ends, key=ends.__getitem__):  # until so much of the work has its records
            behind, moment = behind + sum(map(spent, by_pack[name])), ends[name]
            if behind >= part * total:
                break
        known = [record for name, group in by_pack.items() if ends[name] <= moment for record in group]
        model = CostModel.learn(Measured(record.cell, guesses[record.cell.key], spent(record)) for record in known)
        late = [name for name in by_pack if ends[name] > moment]
        left = [_pack(by_pack[name], guesses, model) for name in late]
        flying = [
            RunningPack(frozenset(record.cell.key for record in by_pack[name]), starts[name])
            for name in by_pack
            if starts[name] <= moment < ends[name]
        ]
        real = [replace(pack, seconds=ends[name] - starts[name]) for pack, name in zip(left, late, strict=True)]
        for alive, came in ((True, last - moment), (False, makespan(real, workers))):
            ahead = forecast(left, known, flying if alive else [], moment)
            told = ahead.seconds if ahead else float("nan")
            rows.append(
                {
                    "work done": round(behind / total, 3),
                    "seen": "running" if alive else "interrupted",
                    "foretold s": told,
                    "came s": came,
                    "ratio (goal 0.5 to 2)": told / max(came, 1e-9),
                }
            )
    return rows


def rescheduled(records: Sequence[Record], guesses: dict[str, float], workers: int) -> list[Record]:
    """``records`` dated as if ``workers`` had taken their packs in today's order, from a store that knew nothing."""
    groups = {_pack(group, guesses, CostModel()).key: group for group in _by_pack(records).values()}
    packs = [_pack(group, guesses, CostModel()) for group in groups.values()]
    schedule, free, dated = Schedule(packs, set(), scouts(packs, ())), [0.0] * workers, []
    while (pack := schedule.pop()) is not None:
        group, began = groups[pack.key], heapq.heappop(free)
        first, last = _interval(group)
        ended = began + max(last - first, sum(map(spent, group)))
        heapq.heappush(free, ended)
        when = {"started": _text(began), "finished": _text(ended)}
        dated += [
            record.model_copy(update={"provenance": record.provenance.model_copy(update=when)}) for record in group
        ]
    return dated


def _by_pack(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.provenance.pack].append(record)
    return groups


def _interval(group: Sequence[Record]) -> tuple[float, float]:
    spans = [found for record in group if (found := span(record))]
    return min(began for began, _ in spans), max(ended for _, ended in spans)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _pack(group: Sequence[Record], guesses: dict[str, float], model: CostModel) -> Pack:
    cells = tuple(record.cell for record in group)
    pack = Pack(cells, wanted=frozenset(cell.key for cell in cells))
    return replace(pack, seconds=model.seconds(cells, sum(guesses[cell.key] for cell in cells)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, default=Path(".promptgrid/store"))
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    records = longest_run(Store(asked.store).records())
    track = track_named(records[0].cell.track)
    guesses = {record.cell.key: track.pack([record.cell])[0].seconds for record in records}
    if asked.workers:
        records = rescheduled(records, guesses, asked.workers)
    rows = replayed(records, guesses, asked.workers or 2)
    show(f"ETA of a recorded run of {len(records)} cells", rows, asked.json)


if __name__ == "__main__":
    main()
