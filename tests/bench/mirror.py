"""What the MLflow mirror costs a grid: the same cells with it and without it, in turns, and how long it then takes.

`python -m tests.bench.mirror --cells 2000 --burn 0.05`: cells burn a stated amount of CPU on every worker, so
that the mirror finds no idle core. Two ratios are printed: of the wall time from the first pack to the last record, and
from the first pack until the run is over, the wait for MLflow at the end included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.measuring import noop_suite, show

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.cluster.timing.eta import span
from promptgrid.store import Store


def once(cells: int, burn: float, workers: int, *, mirror: bool) -> dict[str, Any]:
    """Run the grid in a store of its own."""
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        store = Store(folder)
        plan = make_plan(noop_suite(cells, burn=burn), store)
        options = Options(mirror=mirror, quiet=True, mirror_seconds=300.0)
        summary = execute(plan, store, workers=workers, options=options)
        over = time.time()
        spans = [found for record in store.records(plan.cells) if (found := span(record))]
        assert len(spans) == cells, summary
        first, last = min(began for began, _ in spans), max(ended for _, ended in spans)
        shown = summary.mirror.written if summary.mirror else 0
        assert shown == cells * mirror, summary.mirror
        return {
            "mirror": "on" if mirror else "off",
            "grid s": last - first,
            "with the wait s": over - first,
            "over s after": over - last,
        }


def best(rows: list[dict[str, Any]], column: str, which: str) -> float:
    """The least of ``column`` among the runs with the mirror ``on`` or ``off``."""
    return float(min(row[column] for row in rows if row["mirror"] == which))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--burn", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    rows = [
        once(asked.cells, asked.burn, asked.workers, mirror=mirror)
        for _ in range(asked.rounds)
        for mirror in (False, True)
    ]
    last = max(row["over s after"] for row in rows if row["mirror"] == "on")
    ratios = {column: best(rows, column, "on") / best(rows, column, "off") for column in ("grid s", "with the wait s")}
    rows.append({"mirror": "ratio of the best (goal 1.1), longest wait (goal 60)", **ratios, "over s after": last})
    show(f"MLflow mirror, {asked.cells} cells of {asked.burn} s", rows, asked.json)


if __name__ == "__main__":
    main()
