"""Toy grids, in this process or as a command of their own that tests can kill."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from promptgrid.cluster import Options, Plan, RunSummary, execute, make_plan
from promptgrid.spec import Suite
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

HERE = Path(__file__).parent
SILENT = Options(mirror=False, quiet=True)
INLINE = Options(mirror=False, quiet=True, inline=True)
HERE_AND_NOW = {"options": INLINE, "local": True, "workers": None}
"""How tests run that do not ask about workers: without the seconds that starting one takes."""


def toy_suite(*methods: Any, **changes: Any) -> Suite:
    """A suite over the toy track; 2 datasets x ``seeds`` for every method by default."""
    value = {
        "name": "toy",
        "track": "toy",
        "protocol": "toy",
        "methods": list(methods) or ["sleep"],
        "shots": [1],
        "seeds": [1, 2, 3],
        **changes,
    }
    return parse_suite(value, "toy")


def run_toy(store: Store, suite: Suite, options: Options = SILENT, **how: Any) -> tuple[Plan, RunSummary]:
    """Plan ``suite`` and run what is missing; one worker of Ray by default."""
    plan = make_plan(suite, store)
    return plan, execute(plan, store, options=options, **({"workers": 1} | how))


def executions(store: Store) -> Counter[str]:
    """How often each cell was started, by key."""
    return Counter(line.split()[0] for line in log_lines(store))


def log_lines(store: Store) -> list[str]:
    """``key pid method seed`` of every start, oldest first."""
    path = store.root / "executions.log"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    """Until ``condition()`` holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.02)


def command(store: Path, suite: dict[str, Any], *how: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a driver of its own; it prints a JSON line at its end."""
    roots = [str(HERE), str(HERE.parents[2] / "platform"), str(HERE.parents[2])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    return [sys.executable, str(HERE / "driving.py"), str(store), json.dumps(suite), *how], environment


def main(root: str, suite: str, *how: str) -> int:
    store = Store(root)
    plan = make_plan(parse_suite(json.loads(suite), "toy"), store)
    print(json.dumps({"missing": sorted(plan.missing)}), flush=True)
    options = Options(mirror="--mirror" in how)
    where = {"local": True} if "--local" in how else {"workers": 2}
    summary = execute(plan, store, options=options, **where)
    digest = store.scores_digest(plan.cells)
    print(json.dumps({"done": summary.done, "failed": summary.failed, "digest": digest}), flush=True)
    return 128 + summary.interrupted if summary.interrupted else int(summary.failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
