"""A report folder that is handed in: its digests, its head, and its rows."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from promptgrid.leaderboard.contributed.findings import Finding
from promptgrid.leaderboard.files.results import COLUMNS
from promptgrid.spec.parquet import read_frame

SUMS, ROWS, HEAD = "SHA256SUMS", "results.parquet", "report.json"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ReportFolder:
    """What a report folder says.

    Attributes:
        frame: rows of ``results.parquet`` with the columns of ``COLUMNS``; empty where it cannot be read.
        told: ``report.json``; empty where it cannot be read.
        findings: of digests and schema.
    """

    frame: pd.DataFrame
    told: dict[str, Any]
    findings: tuple[Finding, ...]


def read_report(folder: Path) -> ReportFolder:
    """The report in ``folder``; nothing in it is believed before its digest is."""
    findings = wrong_sums(folder)
    told, trouble = _head(folder / HEAD)
    findings += trouble
    frame, trouble = _frame(folder / ROWS)
    return ReportFolder(frame, told, (*findings, *trouble))


def wrong_sums(folder: Path) -> list[Finding]:
    """Lines of ``SHA256SUMS`` that do not hold, and files that it has to name and does not."""
    sums, found, named = folder / SUMS, [], set()
    if not sums.is_file():
        return [Finding("digest", SUMS, "is missing, so that nothing says what the files were when they were written")]
    for number, line in enumerate(sums.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        told = _LINE.fullmatch(line)
        if told is None or not _NAME.fullmatch(told[2]):
            found.append(Finding("digest", f"{SUMS} line {number}", f"{line[:90]!r} is no digest and name of a file"))
            continue
        named.add(told[2])
        path = folder / told[2]
        if not path.is_file():
            found.append(Finding("digest", told[2], f"is missing; {SUMS} names it"))
        elif (now := hashlib.sha256(path.read_bytes()).hexdigest()) != told[1]:
            found.append(Finding("digest", told[2], f"has sha256 {now[:12]}, {SUMS} says {told[1][:12]}"))
    return found + [Finding("digest", name, f"is not named in {SUMS}") for name in (ROWS, HEAD) if name not in named]


def _head(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        header = told["header"] = {**told.get("run", {}), **told["header"]}  # reports of 0.1.0 have no "run"
        wanted = {"track": str, "protocol": str, "selection": str, "seeds": list, "shots": list, "scores_digest": str}
        wrong = [name for name, kind in wanted.items() if not isinstance(header[name], kind)]
        if wrong:
            raise ValueError(f"header has no usable {', '.join(wrong)}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return {}, [Finding("schema", HEAD, f"is no report.json of promptgrid: {error!r}"[:300])]
    return told, []


def _frame(path: Path) -> tuple[pd.DataFrame, list[Finding]]:
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    try:
        frame = read_frame(path)
    except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors
        return empty, [Finding("schema", ROWS, f"cannot be read: {error}"[:300])]
    lacking, beyond = [name for name in COLUMNS if name not in frame], [name for name in frame if name not in COLUMNS]
    found = [Finding("schema", ROWS, f"has no column {name!r}") for name in lacking]
    found += [Finding("schema", ROWS, f"has a column {str(name)!r} that no report writes") for name in beyond]
    if found:
        return empty, found
    try:
        return frame[list(COLUMNS)].astype(COLUMNS), []
    except (ValueError, TypeError) as error:
        return empty, [Finding("schema", ROWS, f"a column is of the wrong type: {error}"[:300])]
