"""Two sides of a comparison, found and paired: methods of a suite, suites, or stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.api.reporting import report_input
from promptgrid.spec import Refused, nearest
from promptgrid.spec.metrics import metric_of
from promptgrid.store.answers import stored_answers

if TYPE_CHECKING:
    from promptgrid.cluster import Plan
    from promptgrid.leaderboard.analysis.versus import Answers, Versus
    from promptgrid.leaderboard.planned_grid import PlannedCell
    from promptgrid.store import Store


@dataclass(frozen=True)
class Side:
    """One side: the finished cells of a suite in a store, those of one row where ``label`` names one."""

    name: str
    planned: Plan
    store: Store
    label: str = ""

    def cells(self) -> list[PlannedCell]:
        """Finished cells, one for each place of the grid.

        Raises:
            Refused: no row is called so.
        """
        from promptgrid.leaderboard.planned_grid import spread

        found = spread(report_input(self.planned, self.store, command=""))
        if self.label:
            labels = list(dict.fromkeys(one.label for one in found))
            own = self.label if self.label in labels else _only_row(self.label, found, labels)
            found = [one for one in found if one.label == own]
        return [one for one in found if one.record is not None]

    @property
    def headline(self) -> str:
        """The metric that ranks."""
        from promptgrid import catalog

        return catalog.track(self.planned.suite.track).headline(self.planned.suite.protocol)


def _only_row(method: str, found: list[PlannedCell], labels: list[str]) -> str:
    """The label of the only row of ``method``."""
    own = list(dict.fromkeys(one.label for one in found if one.cell.method == method))
    if len(own) == 1:
        return own[0]
    if own:
        raise Refused(f"{len(own)} rows are of method {method!r}", where="compare", got=method,
                      expected="a label: " + ", ".join(own[:8]))  # fmt: skip
    raise Refused("the suite has no such row", where="compare", got=method, hint=nearest(method, labels))


def compared(first: Side, second: Side, *, shots: int | None, backbone: str | None) -> Versus:
    """Both sides on the cells they have in common.

    Raises:
        Refused: other metrics, nothing in common, or several numbers of shots or backbones and no choice.
    """
    from promptgrid.leaderboard.analysis.answers import pair_of, place_of
    from promptgrid.leaderboard.analysis.versus import versus

    if first.headline != second.headline:
        raise Refused("the two are ranked by other metrics", where="compare", got=second.headline,
                      expected=first.headline)  # fmt: skip
    ours, theirs = (_chosen(side.cells(), shots, backbone) for side in (first, second))
    rows = {one.label for one in ours}, {one.label for one in theirs}
    apart = bool(first.label) or (len(rows[0]) == 1 and len(rows[1]) == 1)
    left, right = ({place_of(one, apart): one for one in cells} for cells in (ours, theirs))
    places = [place for place in left if place in right]
    if not places:
        raise Refused(
            "the two have no finished cells in common",
            where="compare",
            got=f"{len(ours)} and {len(theirs)} finished cells",
            expected="equal datasets, backbones, shots and seeds" + ("" if apart else ", and rows of equal labels"),
        )
    _refuse_several("--shots", sorted({str(left[place].shots) for place in places}))
    _refuse_several("--backbone", sorted({left[place].cell.backbone for place in places}))
    pairs = [
        pair_of(
            left[place], right[place], first.headline, _answers(first.store, left[place], second.store, right[place])
        )
        for place in places
    ]
    return versus(first.name, second.name, metric_of(first.headline), pairs)


def _answers(first: Store, left: PlannedCell, second: Store, right: PlannedCell) -> Answers | None:
    from promptgrid.leaderboard.analysis.answers import side_by_side

    return side_by_side(stored_answers(first, left.cell.key), stored_answers(second, right.cell.key))


def _chosen(cells: list[PlannedCell], shots: int | None, backbone: str | None) -> list[PlannedCell]:
    return [
        one
        for one in cells
        if (shots is None or one.shots == shots) and (backbone is None or one.cell.backbone == backbone)
    ]


def _refuse_several(option: str, found: list[str]) -> None:
    if len(found) > 1:
        raise Refused("several to choose from", where=option, got="none chosen", expected=", ".join(found))


def is_suite(name: str) -> bool:
    """Whether ``name`` is a suite file."""
    return Path(name).suffix in (".yaml", ".yml")
