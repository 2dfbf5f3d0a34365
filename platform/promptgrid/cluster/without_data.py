"""What a suite would take on a GPU, planned without its data, its weights or a store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptgrid.cluster.planner import requests_of, track_named
from promptgrid.cluster.search.search import knobs_of
from promptgrid.spec import Cell, Pack, Request, Suite
from promptgrid.spec.cell import Scored
from promptgrid.spec.studies import studies_of, trial_requests

if TYPE_CHECKING:
    from promptgrid.contract import Track

HOUR = 3600.0
NOT_LOOKED_AT = (
    "nothing was looked at: no folder of data, no weights, no store; counts of classes and examples are the published "
    "ones, and what is finished is not known"
)


@dataclass(frozen=True)
class MethodCost:
    """What one method of a suite takes: places of the grid, and hours of one GPU for all of them."""

    cells: int
    gpu_hours: float


@dataclass(frozen=True)
class UnseenPlan:
    """A suite without its data.

    Attributes:
        suite: what was planned.
        methods: by label, in the suite's order. Cells that two labels share count for the first.
        looking: hours of passing each dataset's examples, and augmented views of them, through each backbone once, for
            all methods.
        trials: cells of its search beside those of the grid; 0 where it has none.
        searching: hours of these.
        packs: of the grid and the search.
        datasets: classes and examples by split that were reckoned with, by name.
        basis: sentences on how the hours were reckoned.
    """

    suite: Suite
    methods: Mapping[str, MethodCost]
    looking: float
    trials: int
    searching: float
    packs: int
    datasets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    basis: Sequence[str] = ()

    @property
    def cells(self) -> int:
        """Places of the grid."""
        return sum(cost.cells for cost in self.methods.values())

    @property
    def gpu_hours(self) -> float:
        """Of everything."""
        return self.looking + self.searching + sum(cost.gpu_hours for cost in self.methods.values())

    def to_json(self) -> dict[str, Any]:
        """For scripts; hours with four digits behind the point."""
        return {
            "suite": self.suite.name,
            "protocol": self.suite.protocol,
            "no_data": True,
            "said": NOT_LOOKED_AT,
            "cells": self.cells,
            "trial_cells": self.trials,
            "packs": self.packs,
            "gpu_hours": round(self.gpu_hours, 4),
            "looking_hours": round(self.looking, 4),
            "search_hours": round(self.searching, 4),
            "methods": {
                label: {"cells": cost.cells, "gpu_hours": round(cost.gpu_hours, 4)}
                for label, cost in self.methods.items()
            },
            "datasets": {name: dict(counts) for name, counts in self.datasets.items()},
            "basis": list(self.basis),
        }


def plan_without_data(suite: Suite, track: Track | None = None) -> UnseenPlan:
    """What ``suite`` would take on a GPU, by published sizes. No folder is opened and no store is read.

    Args:
        suite: what to plan; its search, if it has one, is planned with it.
        track: the wing to ask; by default the one that the suite names.

    Raises:
        Refused: the suite asks for what does not exist, or for data of which nothing is published.
    """
    wing = (track or track_named(suite.track)).without_data()
    labelled = list(requests_of(suite, wing))
    cells = wing.resolve([request for _, request in labelled])
    packs = wing.pack(list({cell.key: cell for cell in cells}.values()), "cuda")
    seconds = _by_key(packs)
    own: dict[str, float] = dict.fromkeys(suite.labels, 0.0)
    for (label, _), cell in zip(labelled, cells, strict=True):
        own[label] += seconds.pop(cell.key, 0.0)
    known = {cell.key for cell in cells}
    trials = [cell for cell in wing.resolve(_trials(suite, wing, labelled)) if cell.key not in known]
    tried = wing.pack(list({cell.key: cell for cell in trials}.values()), "cuda") if trials else []
    counts = Counter(label for label, _ in labelled)
    return UnseenPlan(
        suite=suite,
        methods={label: MethodCost(counts[label], spent / HOUR) for label, spent in own.items()},
        looking=(_looking(wing, cells) + wing.viewing(cells, "cuda")) / HOUR,
        trials=len(trials),
        searching=sum(_by_key(tried).values()) / HOUR,
        packs=len(packs) + len(tried),
        datasets=wing.counts([cell.dataset for cell in cells] + [cell.source for cell in cells if cell.source]),
        basis=wing.basis("cuda"),
    )


def _by_key(packs: Sequence[Pack]) -> dict[str, float]:
    """Seconds of each cell: its share of its pack."""
    return {cell.key: pack.seconds / len(pack.cells) for pack in packs for cell in pack.cells}


def _trials(suite: Suite, track: Track, labelled: Sequence[tuple[str, Request]]) -> list[Request]:
    """What the suite's search asks for beside its grid; empty where it has none."""
    if suite.search is None:
        return []
    studies = studies_of(suite, knobs_of(track), suite.search)
    drawn = [study.drawn(suite.search.seed, suite.search.trials) for study in studies]
    scored: Scored = "test" if suite.search.ensemble else "val"
    return [request for _, _, request in trial_requests(labelled, drawn, scored)]


def _looking(track: Track, cells: Sequence[Cell]) -> float:
    """Seconds of computing once what all methods share of each dataset through each backbone."""
    seen: dict[tuple[str, str], float] = defaultdict(float)
    for cell in cells:
        shared = track.shared(cell, (), "cuda") if (cell.dataset, cell.backbone) not in seen else None
        if shared is not None:
            seen[cell.dataset, cell.backbone] = shared.seconds
    return sum(seen.values())
