"""Twice the cells, twice the time: heads on frozen features, from 500 to 4,000 cells, and the memory of a worker.

`python -m tests.bench.scale --cells 500 1000 2000 4000`: each size runs in a store of its own, whose features are there
beforehand; time counts from the first pack to the last record.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from math import log2
from pathlib import Path
from typing import Any

from tests.bench.measuring import show

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.cluster.timing.eta import span
from promptgrid.spec import Suite
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

GRID: dict[str, Any] = {
    "name": "heads",
    "protocol": "few_shot",
    "methods": ["taskres", "tip_adapter_f", "clip_adapter", "zero_shot"],
    "datasets": ["weather", "emoji_faces", "emoji_twemoji", "vehicles", "healthicons"],
    "shots": [8],
}


def heads(cells: int) -> Suite:
    """A suite of ``cells`` cells, a multiple of 20."""
    return parse_suite(GRID | {"seeds": list(range(1, max(1, cells // 20) + 1))}, "heads")


def measured(cells: int, workers: int, features: Path) -> dict[str, Any]:
    """Run ``cells`` cells on ``workers`` over the features in the store at ``features``."""
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        store = Store(folder)
        if (features / "features").is_dir():
            shutil.copytree(features / "features", store.root / "features")
        plan = make_plan(heads(cells), store)
        summary = execute(plan, store, workers=workers, options=Options(quiet=True, mirror=False))
        assert summary.failed == 0, [record.message for record in store.failures().values()][:1]
        records = store.records(plan.cells)
        spans = [found for record in records if (found := span(record))]
        seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
        if not (features / "features").is_dir():
            shutil.copytree(store.root / "features", features / "features")
        return {
            "cells": len(records),
            "packs": len(plan.packs),
            "packs s": seconds,
            "ms a cell": 1000 * seconds / len(records),
            "worker peak MiB": max(record.cost.peak_memory_mb for record in records),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pg-features-") as folder:
        measured(20, asked.workers, Path(folder))
        rows = [measured(cells, asked.workers, Path(folder)) for cells in asked.cells]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None:
            row |= {"time over twice the cells (goal 1.7 to 2.3)": "", "memory grew MiB": ""}
            continue
        doubled = (row["packs s"] / before["packs s"]) ** (1 / log2(row["cells"] / before["cells"]))
        grew = row["worker peak MiB"] - before["worker peak MiB"]
        row |= {"time over twice the cells (goal 1.7 to 2.3)": doubled, "memory grew MiB": grew}
    show("head cells", rows, asked.json)


if __name__ == "__main__":
    main()
