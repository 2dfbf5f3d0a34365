"""A track whose cells sleep, fail, hang or kill their process: for the tests of the grid floor.

Every start of a cell appends ``key pid method`` to ``executions.log`` in the store, so that tests can count.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from promptgrid.contract.clip import Outcome, Predictions, Track
from promptgrid.spec import Cell, Cost, Machine, Pack, Reason, Record, Refused, Request

PACK = 4
METHODS = {"sleep", "after_sleep", "raise", "nan", "memory", "disk", "leave", "exit", "exit_once", "hang", "silent"}
METHODS |= {"tuned", "segfault", "interrupt", "hold"}
KNOBS = {"tuned": {"rate": {"low": 0.0, "high": 1.0, "log": False}}}


class ToyTrack(Track):
    """Methods: ``sleep`` works, ``tuned`` has a knob, ``after_sleep`` needs the ``sleep`` cell of its place.

    Scores are accuracies, under the protocol ``errors`` mean absolute errors.
    """

    name = "toy"

    def resolve(self, requests: Sequence[Request]) -> list[Cell]:
        return [_cell(request) for request in requests]

    def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            groups.setdefault((cell.method, cell.dataset), []).append(cell)
        return [
            Pack(
                tuple(group[first : first + PACK]), seconds=sum(_seconds(cell) for cell in group[first : first + PACK])
            )
            for group in groups.values()
            for first in range(0, len(group), PACK)
        ]

    def run(
        self, pack: Pack, cache: Any, device: str, progress: Any = lambda done: None, learned: Any = None
    ) -> Iterator[Outcome]:
        shared = cache.get(f"toy {pack.cells[0].dataset}", lambda: {"numbers": np.arange(8.0)})["numbers"]
        for slot, cell in enumerate(pack.cells):
            if cell.key in pack.wanted:
                progress(slot / len(pack.cells))
                with (cache.root / "executions.log").open("a") as log:
                    log.write(f"{cell.key} {os.getpid()} {cell.method} {cell.seed}\n")
                outcome = _outcome(cell, cache.root, float(shared.sum()))
                if outcome is not None:
                    yield outcome

    def restore(self, record: Record, state: Any, device: str) -> Any:
        return state

    def bundled_datasets(self) -> list[str]:
        return ["red", "green"]

    def describe(self, what: str) -> list[dict[str, Any]]:
        if what != "methods":
            return []
        settings = {"rate": 0.5, "epochs": 27}
        return [
            {"name": name, "kind": "toy", "knobs": KNOBS.get(name, {}), "settings": settings if name in KNOBS else {}}
            for name in sorted(METHODS)
        ]

    def headline(self, protocol: str) -> str:
        return "mae" if protocol == "errors" else "accuracy"


def _cell(request: Request) -> Cell:
    if request.method not in METHODS:
        raise Refused("unknown method", where="methods", got=request.method)
    needs = ()
    if request.method == "after_sleep":
        needs = (_cell(_source(request)).key,)
    names = (
        "track",
        "protocol",
        "method",
        "settings",
        "backbone",
        "dataset",
        "shots",
        "seed",
        "selection",
        "precision",
    )
    identity = {name: getattr(request, name) for name in names}
    if request.scored == "val":
        return Cell(**identity, scored="val", identity=identity | {"scored": "val"})
    return Cell(**identity, identity=identity, needs=needs)


def _source(request: Request) -> Request:
    method = "raise" if request.settings.get("broken") else "sleep"
    return Request(**{**vars(request), "method": method, "settings": {}})


def _rate(cell: Cell) -> float:
    """The knob of ``tuned``, which is best at 0.7."""
    return float(cell.settings.get("rate", 0.5))


def _seconds(cell: Cell) -> float:
    return float(cell.settings.get("seconds", 0.01))


def _outcome(cell: Cell, store: Path, number: float) -> Outcome | None:
    if cell.method == "raise":
        raise ValueError(f"seed {cell.seed} always fails")
    if cell.method == "memory":
        raise MemoryError
    if cell.method == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if cell.method == "leave":
        raise SystemExit(3)
    if cell.method == "exit" and cell.seed == 2:
        os._exit(9)
    if cell.method == "exit_once" and _first_time(store / f"once-{cell.key[:8]}"):
        os._exit(9)
    if cell.method == "segfault" and cell.seed == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    if cell.method == "interrupt" and cell.seed == 2:
        raise KeyboardInterrupt
    if cell.method == "hang" and cell.seed == 2:
        time.sleep(3600)
    if cell.method == "hold" and cell.seed == 2:
        re.match(r"(a|aa)+$", "a" * 200 + "b")  # lets no other thread of Python run, for longer than anyone waits
    if cell.method == "silent":
        return None
    if cell.method == "nan" and cell.seed == 2:
        record = Record(cell=cell, status="failed", reason=Reason.NAN_LOSS, message="loss is nan")
        return Outcome(record)
    if cell.method == "tuned" and _rate(cell) < float(cell.settings.get("fails_below", 0.0)):
        return Outcome(Record(cell=cell, status="failed", reason=Reason.NAN_LOSS, message="the rate is too low"))
    time.sleep(_seconds(cell))
    score = int(cell.key[:6], 16) / 0xFFFFFF
    if cell.method == "tuned":
        score = round(1.0 - abs(_rate(cell) - 0.7) * float(cell.settings.get("epochs", 27)) / 27, 6)
    name, score = ("mae", round(1.0 - score, 6)) if cell.protocol == "errors" else ("accuracy", score)
    metric = f"val_{name}" if cell.scored == "val" else name
    record = Record(cell=cell, metrics={metric: score}, cost=Cost(train_seconds=_seconds(cell), trainable_parameters=3))
    predictions = Predictions(
        "test",
        np.arange(2, dtype=np.int64),
        np.zeros(2, np.int32),
        np.zeros((2, 1), np.int32),
        np.ones((2, 1), np.float32),
    )
    return Outcome(record, (predictions,), {"number": np.array([number], np.float32)})


def _first_time(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
