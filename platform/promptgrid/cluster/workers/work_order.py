"""A pack on its way to a worker, and how a worker runs it. Knows no Ray: plain workers run the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from promptgrid.cluster.workers.allocator import keep_freed_memory
from promptgrid.cluster.workers.run_pack import PackRun, Settled
from promptgrid.cluster.workers.watchdog import Watchdog, stack_beside
from promptgrid.spec import Cell, Pack

if TYPE_CHECKING:
    from promptgrid.contract import Track


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
        if not path.is_file():
            raise FileNotFoundError(
                f"this worker does not see {path}: give --store a folder that all machines of the cluster share"
            )
        content = json.loads(path.read_text())
        head = content["head"]
        cells = tuple(Cell.model_validate(cell) for cell in content["cells"])
        pack = Pack(cells, head["seconds"], head["gpu_memory_mb"], frozenset(head["wanted"]))
        return cls(pack, head["store"], head["device"], head["threads"], head["stall_seconds"])


def leave(number: int, frame: FrameType | None) -> None:
    """Ray's own handler raises SystemExit inside whatever runs, which would look like the cell's doing.

    Commits are atomic, so any moment is a good one.
    """
    os._exit(128 + number)


def settle_file(path: Path) -> Iterator[Settled]:
    """Run the errand in ``path``; should it hang, what it was at is left beside it. Raises as :meth:`Errand.read`."""
    yield from settle(Errand.read(path), stack_beside(path))


def settle(errand: Errand, stack: Path | None = None) -> Iterator[Settled]:
    """Run the pack of ``errand`` in this process, under a watchdog that ends the process should it hang.

    What the process was doing then is written into ``stack``. The time it takes to import torch and the track does not
    count.
    """
    track = _track_of(errand)
    with Watchdog(errand.store, errand.pack, errand.stall_seconds, stack) as watchdog:
        for settled in _settled(errand, track, watchdog.feed):
            watchdog.feed(settled.key)
            yield settled


def settle_here(errand: Errand, alive: Callable[[], None]) -> Iterator[Settled]:
    """Run the pack of ``errand`` in this process; ``alive`` is called again and again as it gets on."""
    return _settled(errand, _track_of(errand), alive)


def _settled(errand: Errand, track: Track, alive: Callable[[], None]) -> Iterator[Settled]:
    from promptgrid.store import FeatureCache, Store

    store = Store(errand.store)
    cache = FeatureCache(store.root, alive=alive)
    return PackRun(track, store, cache, errand.device, progress=lambda done: alive()).run(errand.pack)


def _track_of(errand: Errand) -> Track:
    """The track of ``errand``, with torch set as it says."""
    import torch

    from promptgrid.cluster.planner import track_named

    keep_freed_memory()
    torch.set_num_threads(errand.threads)
    return track_named(errand.pack.cells[0].track)
