"""The Ray side of a pack: a Tune trainable whose actor lives through many packs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune

from promptgrid.cluster.allocator import keep_freed_memory
from promptgrid.cluster.failures import sentence
from promptgrid.cluster.run_pack import PackRun, Settled
from promptgrid.cluster.watchdog import Watchdog
from promptgrid.spec import Cell, Pack

REPORT_SECONDS = 1.0
"""A worker tells the driver what it settled this often at most: a report costs some milliseconds."""


@dataclass(frozen=True)
class Errand:
    """What a worker is sent: a pack, and how to run it. Travels as a JSON file beside the store, never as a pickle."""

    pack: Pack
    store: str
    device: str
    threads: int
    stall_seconds: float

    def write(self, path: Path) -> None:
        """Write to ``path``, for :meth:`read`."""
        cells = ",".join(cell.model_dump_json() for cell in self.pack.cells)
        head = {
            "wanted": sorted(self.pack.wanted),
            "seconds": self.pack.seconds,
            "gpu_memory_mb": self.pack.gpu_memory_mb,
            "store": self.store,
            "device": self.device,
            "threads": self.threads,
            "stall_seconds": self.stall_seconds,
        }
        path.write_text(f'{{"head":{json.dumps(head)},"cells":[{cells}]}}')

    @classmethod
    def read(cls, path: Path) -> Errand:
        """The errand in ``path``.

        Raises:
            FileNotFoundError: this machine does not see the store's folder.
        """
        content = json.loads(path.read_text())
        head = content["head"]
        cells = tuple(Cell.model_validate(cell) for cell in content["cells"])
        pack = Pack(cells, head["seconds"], head["gpu_memory_mb"], frozenset(head["wanted"]))
        return cls(pack, head["store"], head["device"], head["threads"], head["stall_seconds"])


class PackWorker(tune.Trainable):
    """Runs one pack after another in one process, so that torch, towers and features are loaded once.

    No error of a cell reaches Tune: Tune cannot tell a bug from a lost machine and would try it again.
    """

    def setup(self, config: dict[str, Any]) -> None:
        signal.signal(signal.SIGTERM, leave)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Settle cells for about a second; ``done`` when the pack is over, ``trouble`` when it cannot work at all."""
        settled: list[tuple[str, str, float | None]] = []
        until = time.monotonic() + REPORT_SECONDS
        try:
            for one in self._settled:
                settled.append((one.key, one.reason or "", one.took))
                if time.monotonic() >= until:
                    return {"settled": settled, "done": False}
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the run: see the class
            of_the_store = isinstance(error, OSError)
            return {"settled": settled, "trouble": sentence(error), "of_the_store": of_the_store, "done": True}
        return {"settled": settled, "done": True}

    def _begin(self, config: dict[str, Any]) -> None:
        self._settled = _settle(Path(config["errand"]))


def leave(number: int, frame: FrameType | None) -> None:
    """Ray's own handler raises SystemExit inside whatever runs, which would look like the cell's doing.

    Commits are atomic, so any moment is a good one.
    """
    os._exit(128 + number)


def _settle(path: Path) -> Iterator[Settled]:
    if not path.is_file():
        raise FileNotFoundError(
            f"this worker does not see {path}: give --store a folder that all machines of the cluster share"
        )
    yield from settle(Errand.read(path))


def settle(errand: Errand) -> Iterator[Settled]:
    """Run the pack of ``errand`` in this process, under a watchdog that ends the process should it hang."""
    import torch

    from promptgrid.cluster.planner import track_named
    from promptgrid.store import FeatureCache, Store

    keep_freed_memory()
    torch.set_num_threads(errand.threads)
    store = Store(errand.store)
    with Watchdog(store, errand.pack, errand.stall_seconds) as watchdog:
        run = PackRun(
            track_named(errand.pack.cells[0].track),
            store,
            FeatureCache(store.root, alive=watchdog.feed),
            errand.device,
            progress=lambda done: watchdog.feed(),
        )
        for settled in run.run(errand.pack):
            watchdog.feed(settled.key)
            yield settled
