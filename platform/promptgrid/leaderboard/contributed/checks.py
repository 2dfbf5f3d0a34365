"""What rows say about themselves: types, ranges, repeats, one cell under one key, and the seeds of the suite."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from promptgrid.leaderboard.analysis.published.beside import FOREIGN
from promptgrid.leaderboard.contributed.findings import Finding
from promptgrid.leaderboard.text import csv_safe, visible
from promptgrid.spec import Reason, canonical_json
from promptgrid.spec.cell import ENSEMBLE, settings_and_members
from promptgrid.spec.metrics import metric_of

Row = Mapping[str, Any]
PLACE = ("label", "backbone", "dataset", "source", "reading", "shots", "seed")
"""Where a cell stands in a table."""
CELL = ("protocol", "method", "settings", "backbone", "dataset", "source", "reading", "shots", "seed")
"""What one key always says the same of."""
COSTS = ("trainable_parameters", "train_seconds", "eval_seconds", "peak_memory_mb")
NAMES = ("label", "method", "backbone", "dataset", "source", "metric", "promptgrid_version")
_KEY = re.compile(r"[0-9a-f]{64}")
_STATUSES = ("done", "failed")


@dataclass(frozen=True)
class Grid:
    """What rows must lie within: the axes of a suite, or of the head of a report. None: no matter."""

    protocols: Collection[str]
    seeds: Sequence[int]
    shots: Sequence[int]
    backbones: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    methods: Mapping[str, str] | None = None
    """By label, the method that a suite gives it to; other labels are anybody's."""


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of ``frame`` as plain values, None for what is not known."""
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[assignment]  # the columns are strings
    return rows


def named(number: int, row: Row) -> str:
    """What a finding calls a row: its number, from 1, and what it is about."""
    source = f" from {row['source']}" if row["source"] else ""
    about = f"{row['label']} on {row['dataset']}{source}, {row['shots']} shots, seed {row['seed']}"
    return visible(f"row {number} ({about}, {row['metric']})")


def wrong_rows(rows: Sequence[Row], grid: Grid | None) -> list[Finding]:
    """Everything that rows alone can tell, in their order; then what holds between those of one ``grid``."""
    found = [finding for number, row in enumerate(rows, 1) for finding in _wrong(number, row, grid)]
    return found if grid is None else [*found, *_repeated(rows), *_torn(rows), *_seeds(rows, grid)]


def _wrong(number: int, row: Row, grid: Grid | None) -> Iterator[Finding]:
    where = named(number, row)
    for name in NAMES:
        text = row[name]
        if not isinstance(text, str) or visible(text) != text or csv_safe(text) != text:
            yield Finding("schema", where, f"{name} {text!r} is no name that a table can show")
    if not _KEY.fullmatch(str(row["cell_key"])):
        yield Finding("key", where, f"{str(row['cell_key'])[:80]!r} is no key of 64 hex digits")
    if not _canonical(row["settings"]):
        yield Finding("schema", where, f"settings {str(row['settings'])[:80]!r} are no canonical JSON of plain values")
    if str(row["method"]).startswith(FOREIGN):
        yield Finding("suite", where, "was imported from another tool: only what was run here is handed in")
    yield from _status(where, row)
    for name in COSTS:
        if row[name] is not None and not 0 <= row[name] < math.inf:
            yield Finding("range", where, f"{name} is {row[name]!r}")
    if grid is not None:
        yield from _outside(where, row, grid)


def _status(where: str, row: Row) -> Iterator[Finding]:
    value, reasons = row["value"], {reason.value for reason in Reason}
    if row["status"] == "missing":
        yield Finding("seed", where, "has not run")
    elif row["status"] not in _STATUSES:
        yield Finding("schema", where, f"status is {row['status']!r}, expected done or failed")
    elif row["status"] == "failed" and (value is not None or row["reason"] not in reasons):
        yield Finding("schema", where, f"failed, with value {value!r} and reason {row['reason']!r}")
    elif row["status"] == "done" and row["reason"]:
        yield Finding("schema", where, f"done, with the reason {row['reason']!r}")
    elif row["status"] == "done":
        metric = metric_of(str(row["metric"]))
        if value is None or not metric.allows(value):
            yield Finding("range", where, f"{row['metric']} is {value!r}, expected {metric.low:g} to {metric.high:g}")


def _outside(where: str, row: Row, grid: Grid) -> Iterator[Finding]:
    axes: list[tuple[str, Collection[Any] | None]] = [
        ("protocol", grid.protocols), ("shots", grid.shots), ("seed", grid.seeds),
        ("backbone", grid.backbones), ("dataset", grid.datasets),
    ]  # fmt: skip
    for name, allowed in axes:
        if allowed is not None and row[name] not in allowed:
            kind = "seed" if name == "seed" else "suite"
            shown = ", ".join(map(str, list(allowed)[:8])) + (", ..." if len(allowed) > 8 else "")
            yield Finding(kind, where, f"{name} {row[name]!r} is none of the suite's: {shown}")  # type: ignore[arg-type]  # one of two kinds
    method = (grid.methods or {}).get(row["label"])
    if method is not None and method != row["method"]:
        yield Finding(
            "suite", where, f"the suite gives the label {row['label']!r} to {method!r}, not {row['method']!r}"
        )


def _canonical(text: Any) -> bool:
    try:
        settings = json.loads(text)
        plain = all(isinstance(value, bool | int | float | str) for value in settings.values())
        settings_and_members(settings)
        return plain and canonical_json(settings) == text
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def is_ensemble(row: Row) -> bool:
    """Whether a row is of several models that answer together, which stand beside the cells of a suite."""
    return f'"{ENSEMBLE}":' in str(row["settings"])


def _repeated(rows: Sequence[Row]) -> list[Finding]:
    first: dict[tuple[Any, ...], int] = {}
    found = []
    for number, row in enumerate(rows, 1):
        place = tuple(row[name] for name in (*PLACE, "metric"))
        if (earlier := first.setdefault(place, number)) != number:
            found.append(Finding("duplicate", named(number, row), f"row {earlier} is about the same cell and metric"))
    return found


def _torn(rows: Sequence[Row]) -> list[Finding]:
    """A key names one cell with one value of each metric, and a place in a table holds one cell."""
    cells: dict[str, tuple[int, tuple[Any, ...]]] = {}
    values: dict[tuple[str, str], tuple[int, Any]] = {}
    places: dict[tuple[Any, ...], tuple[int, str]] = {}
    found = []
    for number, row in enumerate(rows, 1):
        key, where = str(row["cell_key"]), named(number, row)
        cell = tuple(row[name] for name in CELL)
        earlier, told = cells.setdefault(key, (number, cell))
        if told != cell:
            differ = ", ".join(name for name, one, other in zip(CELL, told, cell, strict=True) if one != other)
            found.append(Finding("key", where, f"has the key {key[:12]} of row {earlier}, which differs in {differ}"))
        earlier, value = values.setdefault((key, row["metric"]), (number, row["value"]))
        if value != row["value"]:
            found.append(
                Finding("metric", where, f"is {row['value']!r}, row {earlier} has {value!r} for the same cell")
            )
        place = tuple(row[name] for name in PLACE)
        earlier, other = places.setdefault(place, (number, key))
        if other != key:
            found.append(Finding("key", where, f"has the key {key[:12]}, row {earlier} at this place has {other[:12]}"))
    return found


def _seeds(rows: Sequence[Row], grid: Grid) -> list[Finding]:
    """Every row of a table has all seeds of the suite: the best of them alone would be another experiment."""
    seen: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for row in rows:
        seen[tuple(row[name] for name in PLACE[:-1])].add(row["seed"])
    found = []
    for (label, backbone, dataset, source, _, shots), seeds in seen.items():
        if lacking := [seed for seed in grid.seeds if seed not in seeds]:
            where = f"{label} on {dataset}{f' from {source}' if source else ''}, {shots} shots, {backbone}"
            found.append(Finding("seed", visible(where), f"no row of seed {', '.join(map(str, lacking))}"))
    return found


def wrong_scores_digest(rows: Sequence[Row], told: str) -> list[Finding]:
    """Whether the digest of scores on top of a report is that of its rows (:func:`promptgrid.spec.scores_digest`)."""
    lines = {
        f"{row['cell_key']} {row['metric']} {row['value'].hex()}"
        if row["status"] == "done"
        else f"{row['cell_key']} failed {row['reason']}"
        for row in rows
        if row["status"] == "failed" or isinstance(row["value"], float)
    }
    now = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    if now == told:
        return []
    return [Finding("digest", "report.json", f"scores digest {told[:12]}, the rows give {now[:12]}")]
