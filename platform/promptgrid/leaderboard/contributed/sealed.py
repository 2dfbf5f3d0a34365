"""What a board's page and table are checked for: that they say what the rows give, whichever version drew them.

A page carries a seal: the version that wrote it, the sha256 of what it was made of, and its own without the seal. So a
page of another version can be told from one that was made of other rows, or changed by hand.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptgrid.leaderboard.contributed.findings import Finding

_SEAL = re.compile(
    rb'\n<meta name="promptgrid-board" content="version ([^";]*); rows ([0-9a-f]{64}); page ([0-9a-f]{64})">'
)
_ISLAND = re.compile(r'<script type="application/json" id="leaderboard-data">(.*?)</script>', re.DOTALL)
PLACE = ("backbone", "shots", "method")
"""Columns that name a row of a leaderboard."""
NEAR = 1e-9
"""Closer than this, two numbers are equal: sums of another library's version end otherwise."""
AGAIN = "`promptgrid results page` writes it again"
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """What came of comparing a file: findings, and what was not looked at and why."""

    wrong: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()


def sealed(page: bytes, version: str, rows: str) -> bytes:
    """``page`` with its seal behind its title; ``rows`` is the sha256 of what it is made of."""
    plain = re.sub(r'[";\n]', "", version).encode()
    own = hashlib.sha256(page).hexdigest().encode()
    seal = b'\n<meta name="promptgrid-board" content="version %s; rows %s; page %s">' % (plain, rows.encode(), own)
    return page.replace(b"</title>", b"</title>" + seal, 1)


def compare_page(name: str, there: bytes, made: bytes) -> Compared:
    """The page that lies ``there`` against the one ``made`` now of the rows, sealed by this version."""
    if there == made:
        return Compared()
    now, then = _SEAL.search(made), _SEAL.search(there)
    assert now is not None  # what is made is sealed
    if then is not None:
        version = then[1].decode("utf-8", "replace")
        if hashlib.sha256(_SEAL.sub(b"", there, count=1)).hexdigest().encode() != then[3]:
            return _wrong(name, f"was changed after promptgrid {version} wrote it: {AGAIN}")
        if then[2] != now[2]:
            return _wrong(name, f"was made of other rows than board.yaml and results.csv hold now: {AGAIN}")
    if told := _differing(_island(there), _island(made)):
        return _wrong(name, f"does not say what board.yaml and results.csv give ({told}): {AGAIN}")
    if then is None:
        return _by_other(name, "by a version before pages had a seal", now[1])
    return _by_other(name, f"by promptgrid {version}", now[1])


def compare_table(name: str, there: bytes, made: bytes, version: str) -> Compared:
    """The same of the table, by its values in the columns that both have."""
    if there == made:
        return Compared()
    if told := _differing(_lines(there), _lines(made)):
        return _wrong(name, f"does not say what board.yaml and results.csv give ({told}): {AGAIN}")
    return _by_other(name, "by another version", version.encode())


def _wrong(name: str, said: str) -> Compared:
    return Compared((Finding("board", name, said),))


def _by_other(name: str, who: str, now: bytes) -> Compared:
    this = f"this is promptgrid {now.decode()}" if now.decode() not in who else "with other code or libraries than here"
    said = f"{name} was written {who}, {this}: its values are those of the rows, its looks were not compared; {AGAIN}"
    return Compared(unchecked=(said,))


def _island(page: bytes) -> list[Line] | None:
    """The rows that a page holds for its scripts; None where there are none, or too many for a page."""
    found = _ISLAND.search(page.decode("utf-8", "replace"))
    try:
        rows = json.loads(found[1]) if found else None
    except ValueError:
        return []
    return rows if rows is None or isinstance(rows, list) else []


def _lines(table: bytes) -> list[Line]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8", "replace"))))


def _differing(there: Sequence[Line] | None, made: Sequence[Line] | None) -> str:
    """The first thing in which the rows of two leaderboards differ, in the columns that both have; else nothing."""
    if there is None or made is None:
        return ""
    own, ours = ({tuple(str(row.get(part)) for part in PLACE): row for row in rows} for rows in (there, made))
    if own.keys() != ours.keys() or len(own) != len(there):
        odd = sorted(own.keys() ^ ours.keys())
        return f"a row too many or too few: {', '.join(odd[0])}" if odd else "a row stands twice"
    for place, row in ours.items():
        lacking = {"mean", "place"} - own[place].keys()
        if lacking:
            return f"{', '.join(place)} has no {min(lacking)}"
        for name in row.keys() & own[place].keys():
            if not _same(row[name], own[place][name]):
                return f"{name} of {', '.join(place)} is {own[place][name]!r}, expected {row[name]!r}"
    return ""


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    try:
        first, second = float(one), float(other)
    except (TypeError, ValueError):
        return False
    return abs(first - second) <= NEAR * max(1.0, abs(first))
