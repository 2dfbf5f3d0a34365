"""The page and the table of a board, made of its suite and its rows alone: the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from promptgrid.leaderboard.contributed.board import PAGE, ROWS, SUITE, TABLE, rows_text
from promptgrid.leaderboard.contributed.checks import Row
from promptgrid.leaderboard.contributed.sealed import sealed
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.report import report_files
from promptgrid.spec import Cell, Cost, Provenance, Reason, Record, Suite, digest, scores_digest
from promptgrid.spec.cell import settings_and_members
from promptgrid.spec.suite import MethodEntry

COMMAND = "promptgrid results add CONTRIBUTION --board ."


class BoardCell(Cell):
    """A cell as a board knows it: by its key, without the digests that the key is of."""

    known_key: str

    @cached_property
    def key(self) -> str:
        """The key that its row says."""
        return self.known_key


def board_files(suite: Suite, rows: Sequence[Row], about: ReportInput) -> dict[str, bytes]:
    """``report.html``, sealed, and ``leaderboard.csv`` of ``rows``.

    What a track says of methods and names is in ``about``.
    """
    grid: list[tuple[str, Cell]] = []
    records: dict[str, Record] = {}
    failures: dict[str, Record] = {}
    cuts: dict[str, str] = {}
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_cell.setdefault((str(row["label"]), str(row["cell_key"])), []).append(row)
    for (label, key), cell_rows in by_cell.items():
        record = _record(suite, cell_rows)
        grid.append((label, record.cell))
        (records if record.status == "done" else failures)[key] = record
        if cell_rows[0]["cut"]:
            cuts[key] = str(cell_rows[0]["cut"])
    order = {label: place for place, label in enumerate(suite.labels)}
    grid.sort(key=lambda pair: (order.get(pair[0], len(order)), pair[0]))
    given = replace(
        about,
        suite=_suite(suite, grid),
        grid=grid,
        records=records,
        failures=failures,
        cuts=cuts,
        command=COMMAND,
        beside=(TABLE, ROWS, SUITE),
        scores_digest=scores_digest([*records.values(), *failures.values()]),
    )
    files = report_files(build_board(given))
    return {PAGE: sealed(files["report.html"], about.version, made_of(suite, rows)), TABLE: files["leaderboard.csv"]}


def made_of(suite: Suite, rows: Sequence[Row]) -> str:
    """sha256 of what a page is made of: what ``suite`` says beside defaults, and the text of ``rows``."""
    return digest([suite.model_dump(mode="json", exclude_defaults=True), rows_text(rows)])


def _suite(suite: Suite, grid: Sequence[tuple[str, Cell]]) -> Suite:
    """``suite`` with the methods that are on the board."""
    methods = {label: MethodEntry(name=cell.method, label=label) for label, cell in grid}
    reference = suite.reference if suite.reference in methods else None
    return suite.model_copy(update={"methods": list(methods.values()), "reference": reference})


def cell_of(suite: Suite, row: Row) -> BoardCell:
    """The cell of a row."""
    return BoardCell(
        track=suite.track,
        protocol=row["protocol"],
        method=row["method"],
        settings=settings_and_members(json.loads(row["settings"]))[0],
        backbone=row["backbone"],
        dataset=row["dataset"],
        shots=row["shots"],
        seed=row["seed"],
        selection=suite.selection,
        precision=suite.precision,
        source=row["source"],
        reading=row["reading"],
        identity={},
        known_key=row["cell_key"],
    )


def _record(suite: Suite, rows: Sequence[Row]) -> Record:
    first = rows[0]
    done = first["status"] == "done"
    costs: Mapping[str, Any] = {name: first[name] for name in Cost.model_fields if first.get(name) is not None}
    return Record(
        cell=cell_of(suite, first),
        status="done" if done else "failed",
        metrics={row["metric"]: row["value"] for row in rows} if done else {},
        cost=Cost(**costs),
        provenance=Provenance(promptgrid_version=first["promptgrid_version"]),
        reason=None if done else Reason(first["reason"]),
    )
