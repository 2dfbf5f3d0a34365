"""The ensemble over draws: every drawn configuration is trained and tested, and their models answer together.

Nothing is chosen, so no validation example is read (the hyper-parameter ensemble of FewTrans, Luo et al., 2026,
arXiv:2603.00478). All states of the draws are kept, whatever the suite keeps of its own: they are what answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptgrid.cluster.planner import Plan, plan_cells, plan_requests
from promptgrid.cluster.search.search import Search, Where, found_of, where_of
from promptgrid.spec import Cell, digest
from promptgrid.spec.ensembles import ensemble_of
from promptgrid.spec.searched import PlaceFound, SearchFound, TrialCells
from promptgrid.spec.studies import trial_requests

if TYPE_CHECKING:
    from promptgrid.store import Store

FEWER = "search with fewer --trials: an ensemble keeps what each of its draws learned"


@dataclass(frozen=True)
class Draws:
    """The test cells of every draw of a search: by place and seed, (trial, cell) in the order of the draws."""

    search: Search
    plan: Plan
    cells: Mapping[tuple[Where, int], tuple[tuple[int, Cell], ...]]

    def kept(self) -> dict[Where, list[int]]:
        """By place the draws that finished with every seed: a configuration whose training diverges has no answer."""
        done = self.search.store.finished(self.plan.cells)
        finished: dict[Where, list[set[int]]] = defaultdict(list)
        for (where, _), cells in self.cells.items():
            finished[where].append({trial for trial, cell in cells if cell.key in done})
        return {where: sorted(set.intersection(*by_seed)) for where, by_seed in finished.items()}


def draws_of(search: Search, *, retry_failed: bool = False) -> Draws:
    """The draws of ``search`` and what is missing of them. Nothing is run.

    Raises:
        Refused: the disk has no room for what they learn.
    """
    suite = search.suite.model_copy(update={"states": "all"})
    asked = list(trial_requests(search.requests, search.studies, scored="test"))
    labelled = [(label, request) for _, label, request in asked]
    plan = plan_requests(suite, labelled, search.store, search.track, retry_failed=retry_failed)
    plan.states.refuse_full(search.store.root, FEWER)
    cells: dict[tuple[Where, int], list[tuple[int, Cell]]] = defaultdict(list)
    for (trial, label, request), (_, cell) in zip(asked, plan.grid, strict=True):
        cells[where_of(label, request), request.seed].append((trial, cell))
    return Draws(search, plan, {place: tuple(own) for place, own in cells.items()})


def together(draws: Draws, *, retry_failed: bool = False) -> tuple[SearchFound, Plan]:
    """The ensemble at every place, of the draws that finished, and the plan of its cells. Nothing is run."""
    search, kept = draws.search, draws.kept()
    grid: list[tuple[str, Cell]] = []
    keys: dict[Where, list[str]] = defaultdict(list)
    written: dict[Where, list[str]] = defaultdict(list)
    for (where, _), cells in draws.cells.items():
        written[where].append(cells[0][1].key)
        if kept[where]:
            cell = ensemble_of(cells[0][1], [own for trial, own in cells if trial in kept[where]])
            keys[where].append(cell.key)
            grid.append((where[0], cell))
    plan = plan_cells(draws.plan.suite, grid, search.store, search.track, retry_failed=retry_failed)
    places = [
        PlaceFound(
            label=where[0], backbone=where[1], dataset=where[2], shots=where[3], scores=[], chosen=None,
            tested=[TrialCells(trial=0, keys=written[where])], draws=kept[where], together=keys[where],
        )
        for where in kept
    ]  # fmt: skip
    base = digest(sorted({key for own in written.values() for key in own}))
    return found_of(search, places, base, len(draws.plan.cells)), plan


def member_costs(cells: Mapping[str, Cell], store: Store) -> dict[str, dict[str, Any]]:
    """By the key of each ensemble among ``cells``, what its members took: all their seconds of training, the most MB.

    An ensemble costs what all its models cost; its own record knows only what asking them took.
    """
    ensembles = {key: cell for key, cell in cells.items() if cell.members}
    wanted = {need for cell in ensembles.values() for need in cell.needs}
    cost = {record.cell.key: record.cost for record in store.records(wanted)} if wanted else {}
    return {
        key: {
            "trainable_parameters": sum(cost[need].trainable_parameters for need in cell.needs),
            "train_seconds": sum(cost[need].train_seconds for need in cell.needs),
            "peak_memory_mb": max(cost[need].peak_memory_mb for need in cell.needs),
        }
        for key, cell in ensembles.items()
        if all(need in cost for need in cell.needs)
    }
