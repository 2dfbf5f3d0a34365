"""What a cell begins from: its first stage, learned by whoever comes first and kept in the cache for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from promptgrid.contract.method import Method
from promptgrid.contract.task import Task
from promptgrid.contract.track import Arrays, Cache, Outcome
from promptgrid.engine.data import Begun
from promptgrid.engine.outcomes.failures import NotAsPlanned
from promptgrid.engine.planning.packing import work
from promptgrid.engine.planning.resolve import Resolver
from promptgrid.spec import Cell, Pack, canonical_json


class Runs(Protocol):
    """What is asked of a wing."""

    resolver: Resolver

    def run(self, pack: Pack, cache: Cache, device: str, progress: Callable[[float], None]) -> Iterator[Outcome]:
        """The outcomes of a pack."""

    def amounts(self, method: Method, dataset: str, shots: int) -> tuple[Task, int, int]:
        """A bare task, how many labelled examples it trains on, and how many are in its pool."""


def begun(wing: Runs, cell: Cell, cache: Cache, device: str, alive: Callable[[], None]) -> Begun | None:
    """What ``cell`` begins from; None where its method has no first stage.

    Raises:
        NotAsPlanned: the first stage is another than the cell's key names.
        RuntimeError: the first stage failed.
    """
    first = wing.resolver.first_of(cell)
    if first is None:
        return None
    if first.key != cell.identity["first_stage"]:
        raise NotAsPlanned(f"the first stage of {cell.method!r} on {first.dataset!r} is not the one that the grid was "
                           "planned for: code or data here are other, or changed since")  # fmt: skip
    about = f"{first.method} on {first.dataset} through {first.backbone}, a first stage"
    name = canonical_json({"about": about, "first_stage": first.key, "device": device.partition(":")[0]})
    return Begun(cache.get(name, lambda: _learned(wing, first, cache, device, alive)), examples_of(wing, first))


def examples_of(wing: Runs, cell: Cell) -> int:
    """How many examples ``cell`` is trained on, each counted as often as it is looked at."""
    method = wing.resolver.method(cell.method)(**cell.settings)
    task, labelled, pool = wing.amounts(method, cell.dataset, cell.shots)
    there = wing.resolver.dataset(cell.dataset).card.splits.get("train", labelled)
    steps, batch = work(method, task, min(labelled, there), pool)
    return steps * batch


def _learned(wing: Runs, first: Cell, cache: Cache, device: str, alive: Callable[[], None]) -> Arrays:
    pack = Pack((first,), wanted=frozenset({first.key}))
    (outcome,) = wing.run(pack, cache, device, lambda done: alive())
    if outcome.record.status == "failed":
        raise RuntimeError(f"the first stage failed ({outcome.record.reason}): {outcome.record.message}")
    return outcome.state
