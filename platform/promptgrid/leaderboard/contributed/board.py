"""A board: a folder in a git repository that holds checked results as sorted lines of text, and the page made of them.

``board.yaml`` is a suite: it says protocol, backbones, datasets, shots and seeds. Rows of any method may be added.
``results.csv`` is the truth: one line a cell and metric, sorted, every digit kept. ``leaderboard.csv`` and
``report.html`` are made of these two.
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.leaderboard.contributed.checks import PLACE, Row
from promptgrid.leaderboard.text import visible
from promptgrid.spec import Refused

SUITE, ROWS, PAGE, TABLE = "board.yaml", "results.csv", "report.html", "leaderboard.csv"
KINDS: dict[str, type] = {
    "label": str,
    "method": str,
    "settings": str,
    "backbone": str,
    "dataset": str,
    "source": str,
    "reading": str,
    "shots": int,
    "seed": int,
    "metric": str,
    "value": float,
    "status": str,
    "reason": str,
    "protocol": str,
    "cut": str,
    "trainable_parameters": int,
    "train_seconds": float,
    "eval_seconds": float,
    "peak_memory_mb": float,
    "promptgrid_version": str,
    "cell_key": str,
}
"""Columns of ``results.csv``. Empty numbers are None. ``cut`` says what training the settings take away, if any."""
ORDER = (*PLACE, "metric")
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Merged:
    """What came of adding rows.

    Attributes:
        rows: all of the board now, sorted.
        added: cells that are new.
        skipped: cells that were there with the same values.
    """

    rows: tuple[dict[str, Any], ...]
    added: tuple[str, ...]
    skipped: tuple[str, ...]


def read_rows(board: Path) -> list[dict[str, Any]]:
    """The rows of ``results.csv`` in ``board``; none where there is no such file.

    Raises:
        Refused: it is no such file, naming the line.
    """
    path = board / ROWS
    if not path.is_file():
        return []
    reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
    head = next(reader, [])
    if head != list(KINDS):
        raise Refused("not the columns of a board", where=str(path), got=head[:4], expected=", ".join(KINDS))
    rows = []
    for line in reader:
        where = f"{path} line {reader.line_num}"
        if len(line) != len(head):
            raise Refused(f"{len(line)} fields", where=where, expected=f"{len(head)}", hint="was a merge left open?")
        try:
            rows.append({name: _value(kind, text) for (name, kind), text in zip(KINDS.items(), line, strict=True)})
        except ValueError as error:
            raise Refused(str(error), where=where) from error
    return rows


def _value(kind: type, text: str) -> Any:
    return text if kind is str else kind(text) if text else None


def rows_text(rows: Iterable[Row]) -> str:
    """``results.csv`` of ``rows``: sorted, so that the same rows give the same bytes and a diff shows what is new."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(KINDS)
    for row in sorted(rows, key=_order):
        writer.writerow(["" if row[name] is None else _text(row[name]) for name in KINDS])
    return out.getvalue()


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _order(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ORDER)


def merged(there: Sequence[Row], new: Sequence[Row]) -> Merged:
    """``there`` and ``new`` in one; no cell that is there changes.

    Raises:
        Refused: a cell is there with another value, status or key, or under another label; both are named.
    """
    own, given = _cells(there), _cells(new)
    labels = {row["cell_key"]: row["label"] for row in there}
    rows, added, skipped = [dict(row) for row in there], [], []
    for place, cell in given.items():
        name = _named(place)
        key = cell[0]["cell_key"]
        if place in own:
            if differ := _difference(own[place], cell):
                raise Refused(f"is on the board with another result: {differ}", where=name,
                              hint="take its rows out of results.csv in a commit of their own, with the reason, "
                              "then add")  # fmt: skip
            skipped.append(name)
        elif labels.get(key, place[0]) != place[0]:
            raise Refused(f"this very cell ({key[:12]}) is on the board as {labels[key]!r}", where=name,
                          hint="one experiment stands once")  # fmt: skip
        else:
            added.append(name)
            rows += [dict(row) for row in cell]
    return Merged(tuple(sorted(rows, key=_order)), tuple(added), tuple(skipped))


def _cells(rows: Sequence[Row]) -> dict[Place, list[Row]]:
    cells: dict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        cells[tuple(row[name] for name in PLACE)].append(row)
    return cells


def _named(place: Place) -> str:
    label, backbone, dataset, source, _, shots, seed = place
    return visible(f"{label} on {dataset}{f' from {source}' if source else ''}, {backbone}, {shots} shots, seed {seed}")


def _difference(there: Sequence[Row], new: Sequence[Row]) -> str:
    """The first thing in which two results of one cell differ, both sides of it; costs may."""
    if (key := there[0]["cell_key"]) != new[0]["cell_key"]:
        return f"its key is {key[:12]}, the new one's {new[0]['cell_key'][:12]}"
    old, now = ({row["metric"]: row["value"] if row["status"] == "done" else row["reason"] for row in cell}
                for cell in (there, new))  # fmt: skip
    for metric in sorted(old.keys() | now.keys()):
        if old.get(metric) != now.get(metric):
            return f"{metric} is {old.get(metric)!r} there, {now.get(metric)!r} in what is added"
    return ""


def write_files(board: Path, files: dict[str, bytes]) -> None:
    """Write ``files`` into ``board``, each whole or not at all, those that are as they are left alone."""
    board.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = board / name
        if path.is_file() and path.read_bytes() == content:
            continue
        partial = path.with_name(f".{name}.partial")
        partial.write_bytes(content)
        os.replace(partial, path)
