"""How far a suite is: what is finished, what failed and why, and when the rest will be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from promptgrid.cluster.in_flight import running_packs
from promptgrid.cluster.planner import Plan
from promptgrid.cluster.schedule import work_seconds
from promptgrid.cluster.timing.eta import forecast
from promptgrid.spec import Record, scores_digest
from promptgrid.store import Store


@dataclass(frozen=True)
class Status:
    """How far a suite is. ``cells`` = ``finished`` + ``missing`` + ``failed``; keys are distinct cells.

    Attributes:
        estimated_seconds: of work that is left, on one core.
        reasons: how many cells failed for each reason.
        messages: what the first of them, in the suite's order, said: the file or the line that was at fault.
        running: packs that workers are at now.
        eta_seconds: wall seconds to the end at the pace of the latest run (of the next, where none is running now);
            None where nothing is known of a pace, or nothing is left.
    """

    suite: str
    cells: int
    finished: int
    missing: int
    failed: int
    scores_digest: str
    reasons: dict[str, int]
    estimated_seconds: float
    running: int = 0
    eta_seconds: float | None = None
    messages: dict[str, str] = field(default_factory=dict)


def status_of(planned: Plan, found: Store) -> Status:
    """How far the cells of ``planned``, made now or earlier, are in ``found``; what is counted was verified."""
    records = found.records(planned.cells)
    finished = {record.cell.key for record in records}
    failures = found.failures(planned.cells.keys() - finished)
    missing = found.to_run(planned.missing)
    left = [pack for pack in planned.packs if not pack.wanted.isdisjoint(missing)]
    running = [pack for pack in running_packs(found.root) if not pack.keys.isdisjoint(missing)]
    ahead = forecast(left, records, running, time.time()) if left else None
    keys = [cell.key for _, cell in planned.grid]
    done, failed = sum(key in finished for key in keys), sum(key in failures for key in keys)
    return Status(
        suite=planned.suite.name,
        cells=len(keys),
        finished=done,
        missing=len(keys) - done - failed,
        failed=failed,
        scores_digest=scores_digest([*records, *failures.values()]),
        reasons=dict(Counter(str(record.reason) for record in failures.values())),
        estimated_seconds=round(work_seconds(left), 1),
        running=len(running),
        eta_seconds=round(ahead.seconds, 1) if ahead else None,
        messages=_first_messages(planned, failures),
    )


def _first_messages(planned: Plan, failures: Mapping[str, Record]) -> dict[str, str]:
    """By reason, the message of the first failed cell in the order of the suite, in one line."""
    found: dict[str, str] = {}
    for key in planned.cells:
        if key in failures:
            record = failures[key]
            found.setdefault(str(record.reason), " ".join(record.message.split()))
    return found
