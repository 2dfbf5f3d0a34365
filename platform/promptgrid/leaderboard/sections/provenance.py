"""Who computed the records, with what."""

from __future__ import annotations

from typing import Any

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.spec import Record

FIELDS = ("host", "device", "threads", "python", "torch", "promptgrid_version", "revision")


def facts(board: Board) -> Facts:
    """Records grouped by machine and versions; times are the records' own."""
    records = {planned.cell.key: planned.record for planned in board.grid if planned.record}
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records.values():
        groups.setdefault(tuple(str(getattr(record.provenance, name)) for name in FIELDS), []).append(record)
    return {"groups": [_group(key, groups[key]) for key in sorted(groups)]}


def _group(key: tuple[str, ...], records: list[Record]) -> dict[str, Any]:
    packs = {record.provenance.pack or record.cell.key for record in records}
    started = sorted(record.provenance.started for record in records if record.provenance.started)
    finished = sorted(record.provenance.finished for record in records if record.provenance.finished)
    return {
        **dict(zip(FIELDS, key, strict=True)),
        "cells": len(records),
        "packs": len(packs),
        "largest_pack": max(record.cost.packed_with for record in records),
        "seconds": sum(record.cost.train_seconds + record.cost.eval_seconds for record in records),
        "first": started[0] if started else "",
        "last": finished[-1] if finished else "",
    }


SECTION = Section("provenance", "Provenance", 120, beside(__file__), facts)
