"""What cells leave behind as learned: what a run will keep of it, whether that fits, and what was left out before."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.spec import Cell, Refused, Suite
from promptgrid.spec.sizes import UNITS, shown

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.store import Store


SMALLER = "give the suite a smaller bound: `states: 64` (MB a cell) or `states: none`"


@dataclass(frozen=True)
class States:
    """Of the cells that a run computes: MB of states that it keeps, and how many it leaves out as too large."""

    kept_mb: float = 0.0
    left_out: int = 0

    @classmethod
    def expected(cls, suite: Suite, cells: Iterable[Cell], track: Track) -> States:
        """What ``track`` expects of ``cells``, under the bound of ``suite``."""
        known: dict[str, float] = {}
        kept, left_out = 0.0, 0
        for cell in cells:
            if cell.group not in known:
                known[cell.group] = track.state_mb(cell)
            size = known[cell.group]
            if suite.states_mb is None or size <= suite.states_mb:
                kept += size
            else:
                left_out += 1
        return cls(kept, left_out)

    def refuse_full(self, root: Path, hint: str = SMALLER) -> None:
        """Raise Refused where the disk of ``root`` has less room than the states take."""
        there = next(place for place in (root, *root.parents) if place.exists())
        free, wanted = shutil.disk_usage(there).free, self.kept_mb * UNITS["MB"]
        if free < wanted:
            raise Refused(
                "the disk has no room for what the cells learn",
                where="--store",
                got=f"{shown(free)} free",
                expected=f"{shown(wanted)}",
                hint=f"free some space, or {hint}",
            )


def lacking(suite: Suite, keys: Collection[str], store: Store) -> set[str]:
    """Those of ``keys``, all finished, whose states were left out and are wanted: ``suite`` keeps every state."""
    if suite.states_mb is not None:
        return set()
    return {key for key in keys if store.left_out(key) is not None}
