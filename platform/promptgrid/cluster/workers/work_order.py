"""What a worker is sent, as a file that every machine sees, and how a worker runs the pack in it. Knows no Ray."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from promptgrid.cluster.workers.allocator import keep_freed_memory
from promptgrid.cluster.workers.run_pack import PackRun, Settled
from promptgrid.cluster.workers.watchdog import Watchdog, stack_beside
from promptgrid.spec import Cell, Pack

if TYPE_CHECKING:
    from promptgrid.contract import Track


@dataclass(frozen=True)
class WorkerSetup:
    """How a worker works, whatever it is sent.

    Attributes:
        store: folder of the records.
        device: ``cpu`` or ``cuda``.
        threads: threads of torch.
        stall_seconds: without progress for so long, the worker is ended.
        states_mb: what a cell learned is kept up to so many MB; None: all.
    """

    store: str
    device: str
    threads: int
    stall_seconds: float
    states_mb: float | None = None


@dataclass(frozen=True)
class WorkOrder:
    """A pack for a worker. Travels as a JSON file beside the store, never as a pickle."""

    pack: Pack
    setup: WorkerSetup

    def write(self, path: Path) -> None:
        """Write to ``path``, for :meth:`read`."""
        cells = ",".join(cell.model_dump_json() for cell in self.pack.cells)
        head = {
            "wanted": sorted(self.pack.wanted),
            "seconds": self.pack.seconds,
            "gpu_memory_mb": self.pack.gpu_memory_mb,
            **asdict(self.setup),
        }
        path.write_text(f'{{"head":{json.dumps(head)},"cells":[{cells}]}}')

    @classmethod
    def read(cls, path: Path) -> WorkOrder:
        """The order in ``path``. Raises as :func:`read_order`."""
        content = read_order(path)
        head = dict(content["head"])
        cells = tuple(Cell.model_validate(cell) for cell in content["cells"])
        pack = Pack(cells, head.pop("seconds"), head.pop("gpu_memory_mb"), frozenset(head.pop("wanted")))
        return cls(pack, WorkerSetup(**head))


def read_order(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, which another machine may have written.

    Raises:
        FileNotFoundError: this machine does not see the store's folder.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"this worker does not see {path}: give --store a folder that all machines of the cluster share"
        )
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def leave(number: int, frame: FrameType | None) -> None:
    """Ray's own handler raises SystemExit inside whatever runs, which would look like the cell's doing.

    Commits are atomic, so any moment is a good one.
    """
    os._exit(128 + number)


def settle_file(path: Path) -> Iterator[Settled]:
    """Run the order in ``path``; should it hang, its stack is left beside it. Raises as :func:`read_order`."""
    yield from settle(WorkOrder.read(path), stack_beside(path))


def settle(order: WorkOrder, stack: Path | None = None) -> Iterator[Settled]:
    """Run the pack of ``order`` in this process, under a watchdog that ends the process should it hang.

    What the process was doing then is written into ``stack``. The time it takes to import torch and the track does not
    count.
    """
    track, setup = _track_of(order), order.setup
    with Watchdog(setup.store, order.pack, setup.stall_seconds, stack) as watchdog:
        for settled in _settled(order, track, watchdog.feed):
            watchdog.feed(settled.key)
            yield settled


def settle_here(order: WorkOrder, alive: Callable[[], None]) -> Iterator[Settled]:
    """Run the pack of ``order`` in this process; ``alive`` is called again and again as it gets on."""
    return _settled(order, _track_of(order), alive)


def _settled(order: WorkOrder, track: Track, alive: Callable[[], None]) -> Iterator[Settled]:
    from promptgrid.store import FeatureCache, Store

    store = Store(order.setup.store)
    cache = FeatureCache(store.root, alive=alive)
    setup = order.setup
    return PackRun(track, store, cache, setup.device, lambda done: alive(), setup.states_mb).run(order.pack)


def _track_of(order: WorkOrder) -> Track:
    """The track of ``order``, with torch set as it says."""
    import torch

    from promptgrid.cluster.planner import track_named

    keep_freed_memory()
    torch.set_num_threads(order.setup.threads)
    return track_named(order.pack.cells[0].track)
