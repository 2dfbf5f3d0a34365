"""What the scheduler costs: no-op cells through Ray Tune with the real planner, dispatcher, store and work orders.

`python -m tests.bench.scheduler --cells 10000 --plan-cells 100000`, or `make bench-scheduler`. CPU time, so that other
work on the machine does not count; goals are printed beside what was measured.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.measuring import noop_suite, show

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.cluster.planner import track_named
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

METHODS = [
    "zero_shot", "linear_probe", "coop", {"name": "coop", "context_length": 4}, "kgcoop",
    "clip_adapter", "tip_adapter", "tip_adapter_f", "taskres", "cocoop",
]  # fmt: skip


class FileCount:
    """The most files of Ray Tune that stood on the disk at once, looked at every half second. Use as a context.

    Tune writes into ``folder`` (its storage, and our work orders) and into the artifacts of Ray's session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.most = folder, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> FileCount:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        temporary = Path(tempfile.gettempdir())
        while not self._over.wait(0.5):
            folders = [self.folder, *temporary.glob(f"pg-{os.getpid()}-*/session_*/artifacts")]
            found = sum(len(files) for folder in folders for _, _, files in os.walk(folder))
            self.most = max(self.most, found)


def schedule(cells: int, pack: int, workers: int) -> dict[str, Any]:
    """Run ``cells`` no-op cells; what the driver spent on them, its peak memory (MiB), and Tune's files."""
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        store = Store(folder)
        plan = make_plan(noop_suite(cells, pack=pack), store)
        with FileCount(store.root / "ray") as files:
            cpu, wall = time.process_time(), time.perf_counter()
            summary = execute(plan, store, workers=workers, options=Options(mirror=False, quiet=True))
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert (summary.done, summary.failed) == (cells, 0), summary
        return {
            "cells": cells,
            "packs": len(plan.packs),
            "driver CPU ms a cell (goal 15)": 1000 * cpu / cells,
            "wall ms a cell, workers' commits included": 1000 * wall / cells,
            "driver peak MiB (goal 1536)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "most files of Tune a pack (goal 1)": files.most / len(plan.packs),
        }


def planning(cells: int) -> dict[str, Any]:
    """Plan ``cells`` cells of the image track: ten methods, bundled tasks, five shots, many seeds."""
    track = track_named("image")
    names = track.bundled_datasets()
    seeds = max(1, round(cells / (len(METHODS) * len(names) * 5)))
    grid = {"name": "wide", "protocol": "few_shot", "methods": METHODS, "datasets": names, "shots": [1, 2, 4, 8, 16]}
    suite = parse_suite(grid | {"seeds": list(range(1, seeds + 1))}, "wide")
    gc.collect()
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        plan = make_plan(suite, Store(folder), track=track)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cells": len(plan.grid), "packs": len(plan.packs), "CPU s (goal 20)": cpu, "wall s": wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--pack", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plan-cells", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    grid = schedule(asked.cells, asked.pack, asked.workers)
    rows = [{"what": name, "measured": value} for name, value in grid.items()]
    rows += [{"what": f"plan: {name}", "measured": value} for name, value in planning(asked.plan_cells).items()]
    show("scheduler", rows, asked.json)


if __name__ == "__main__":
    main()
