"""From a suite and a store to what remains to be run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptgrid.cluster.resources import present
from promptgrid.cluster.schedule import makespan, outside_needs, ranks, work_seconds
from promptgrid.cluster.states import States, lacking
from promptgrid.cluster.timing.estimate import corrected
from promptgrid.spec import Cell, Machine, Pack, Refused, Request, Shared, Suite
from promptgrid.spec.headings import headings

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.store import Store

START_SECONDS = 10.0
"""Until Ray and its workers are up and the first pack begins: 8 to 12 s on two cores."""


@dataclass(frozen=True)
class Plan:
    """What a suite asks for, what the store has of it, and the packs that are left.

    Attributes:
        grid: (method label, cell) for every place of the grid; several places may share a cell.
        packs: only those with cells to run; ``wanted`` names these, the slots are those of the whole grid.
        finished: keys that the store holds.
        failed: keys that failed and are not tried again without being asked for.
        scouts: keys of packs to begin with, because nothing is known of what their method takes.
        machine: what the packs are made for.
        notes: by dataset, what people should know of its data.
        titles: what people call the datasets, no two alike.
        states: what the missing cells will leave behind as learned.
    """

    suite: Suite
    grid: tuple[tuple[str, Cell], ...]
    packs: tuple[Pack, ...]
    finished: frozenset[str]
    failed: frozenset[str]
    scouts: frozenset[str] = frozenset()
    machine: Machine = "cpu"
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    states: States = field(default_factory=States)

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Every cell once, by key, in the suite's order."""
        return {cell.key: cell for _, cell in self.grid}

    @cached_property
    def missing(self) -> frozenset[str]:
        """Keys of the cells that a run computes."""
        return frozenset(key for pack in self.packs for key in pack.wanted)

    @property
    def seconds(self) -> float:
        """Estimated seconds of the missing packs, one after the other."""
        return work_seconds(self.packs)

    def wall_seconds(self, workers: int, start: float = START_SECONDS) -> float:
        """Estimated seconds until the missing packs are over, on ``workers`` that are up in ``start`` seconds."""
        return start + makespan(self.packs, workers) if self.packs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Counts for scripts. ``cells`` = ``finished`` + ``missing`` + ``failed`` are places of the grid."""
        state = dict.fromkeys(self.finished, "finished") | dict.fromkeys(self.failed, "failed")
        counts = Counter(state.get(cell.key, "missing") for _, cell in self.grid)
        return {
            "suite": self.suite.name,
            "protocol": self.suite.protocol,
            "cells": len(self.grid),
            "distinct_cells": len(self.cells),
            "finished": counts["finished"],
            "missing": counts["missing"],
            "failed": counts["failed"],
            "packs": len(self.packs),
            "estimated_seconds": round(self.seconds, 1),
            "states_mb": round(self.states.kept_mb, 1),
            "states_left_out": self.states.left_out,
            "methods": dict(Counter(label for label, _ in self.grid)),
            "notes": {name: list(notes) for name, notes in self.notes.items()},
        }


def make_plan(suite: Suite, store: Store, *, retry_failed: bool = False, track: Track | None = None) -> Plan:
    """The plan of ``suite`` over what ``store`` holds. Nothing is run and nothing is written.

    Packs are made for a GPU where this machine has one; a run packs again where it finds another kind of machine.

    Args:
        suite: what to run.
        store: where results are and will be.
        retry_failed: run cells again that failed for a final reason.
        track: the wing to ask; by default the one that the suite names, found by the catalogue.

    Raises:
        Refused: the suite asks for something that does not exist or cannot run.
    """
    track = track or track_named(suite.track)
    return plan_requests(suite, list(requests_of(suite, track)), store, track, retry_failed=retry_failed)


def requests_of(suite: Suite, track: Track) -> Iterator[tuple[str, Request]]:
    """(method label, request) for every cell of ``suite``, with the names that ``datasets: bundled`` stands for."""
    return suite.requests(track.bundled_datasets() if suite.datasets == "bundled" else [])


def plan_requests(
    suite: Suite, labelled: Sequence[tuple[str, Request]], store: Store, track: Track, *, retry_failed: bool = False
) -> Plan:
    """As :func:`make_plan`, for requests that are given: those of a search, say, instead of the suite's own."""
    resolved = track.resolve([request for _, request in labelled])
    grid = [(label, cell) for (label, _), cell in zip(labelled, resolved, strict=True)]
    return plan_cells(suite, grid, store, track, retry_failed=retry_failed)


def plan_cells(
    suite: Suite, grid: Sequence[tuple[str, Cell]], store: Store, track: Track, *, retry_failed: bool = False
) -> Plan:
    """As :func:`make_plan`, for (method label, cell) that are given: ensembles, say, which no request names."""
    resolved = [cell for _, cell in grid]
    cells = {cell.key: cell for cell in resolved}
    finished = store.sound(cells)
    finished -= lacking(suite, finished, store)
    wanted = store.to_run(cells, retry_failed) | (store.finished(cells) - finished)  # a quarantine may be read-only
    failed = frozenset(cells.keys() - finished - wanted)
    bare = Plan(
        suite,
        tuple(grid),
        (),
        frozenset(finished),
        failed,
        machine=present("auto"),
        titles=_titles(resolved, track),
        notes=track.notes(resolved),
        states=States.expected(suite, (cells[key] for key in sorted(wanted)), track),
    )
    plan = _packed(bare, wanted, store, track)
    _check_needs(list(plan.packs), cells, store)
    return plan


def _titles(cells: Iterable[Cell], track: Track) -> dict[str, str]:
    names = dict.fromkeys(name for cell in cells for name in (cell.dataset, cell.source) if name)
    return headings({name: track.title(name) for name in names})


def packed_for(machine: Machine, plan: Plan, store: Store) -> Plan:
    """``plan`` with packs for ``machine``: the same cells."""
    if machine == plan.machine or not plan.packs:
        return plan
    return _packed(replace(plan, machine=machine), plan.missing, store, track_named(plan.suite.track))


def _packed(plan: Plan, wanted: Collection[str], store: Store, track: Track) -> Plan:
    packs = track.pack(list(plan.cells.values()), plan.machine)
    _check_packs(packs, plan.cells)
    parts = [replace(pack, wanted=frozenset(cell.key for cell in pack.cells if cell.key in wanted)) for pack in packs]
    parts = [pack for pack in parts if pack.wanted]
    remaining, scouts = corrected(parts, store, plan.finished, track, packs, plan.machine)
    return replace(plan, packs=tuple(_with_shared(remaining, store, track, plan.machine)), scouts=scouts)


def _with_shared(packs: Sequence[Pack], store: Store, track: Track, machine: Machine) -> Iterator[Pack]:
    """``packs`` with what has to be computed before their cells, where the store's cache does not have it."""
    from promptgrid.store import FeatureCache

    kept = [entry.name for entry in FeatureCache(store.root, max_bytes=0).listing()] if packs else []
    known: dict[tuple[str, ...], Shared | None] = {}
    for pack in packs:
        cell = pack.cells[0]
        alike = (cell.dataset, cell.backbone, cell.scored, cell.selection)
        if alike not in known:
            known[alike] = track.shared(cell, kept, machine)
        yield replace(pack, shared=known[alike])


def track_named(name: str) -> Track:
    """The wing called ``name``, found by the catalogue of this process."""
    from promptgrid import catalog  # walks the plug-in folders and imports torch: not on `import promptgrid.cluster`

    return catalog.track(name)


def _check_packs(packs: Iterable[Pack], cells: dict[str, Cell]) -> None:
    packed = Counter(cell.key for pack in packs for cell in pack.cells)
    wrong = [key for key in packed.keys() | cells.keys() if packed[key] != 1 or key not in cells]
    if wrong:
        raise RuntimeError(f"the track packed {len(wrong)} cells twice, not at all, or unasked, e.g. {min(wrong)[:12]}")


def _check_needs(packs: list[Pack], cells: dict[str, Cell], store: Store) -> None:
    outside = {key for pack in packs for key in outside_needs(pack)} - cells.keys()
    unknown = outside - store.finished(outside)
    if unknown:
        cell = next(cell for pack in packs for cell in pack.cells if unknown & set(cell.needs))
        raise Refused(
            f"{cell.method} on {cell.dataset} needs the result of a cell that neither this suite nor the store has",
            got=min(unknown)[:12],
            hint="run the suite that holds it first",
        )
    ranks(packs)
