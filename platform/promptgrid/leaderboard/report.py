"""One report: every file, written so that the same records give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.files.csv_text import csv_rows
from promptgrid.leaderboard.files.results import results_frame
from promptgrid.leaderboard.files.tables import latex_tables
from promptgrid.leaderboard.inputs import ReportInput, ReportPaths
from promptgrid.leaderboard.leaderboard import Board, build_board
from promptgrid.leaderboard.page import render_page
from promptgrid.leaderboard.pictures.figures import figure_files
from promptgrid.leaderboard.pictures.profile import profile_figures
from promptgrid.leaderboard.pictures.queries import query_figures
from promptgrid.leaderboard.pictures.search import search_figures
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.leaderboard.sections import all_sections
from promptgrid.leaderboard.sections.cost import cost_figures
from promptgrid.leaderboard.text import strict_json
from promptgrid.leaderboard.transfer.pictures import transfer_figures
from promptgrid.leaderboard.transfer.tables import transfer_tables

SUMS = "SHA256SUMS"


def write_report(report: ReportInput, out: Path) -> ReportPaths:
    """Write the report of ``report`` into the folder ``out`` and say where everything is.

    Files of an earlier report in ``out`` that this one does not have are removed (those that the earlier ``SHA256SUMS``
    names, no others).

    Raises:
        OSError: ``out`` cannot be written.
    """
    board = build_board(report)
    files = report_files(board)
    files[SUMS] = _sums(files)
    _remove_stale(out, set(files))
    for name, content in files.items():
        _write(out / name, content)
    return ReportPaths(
        folder=out,
        html=out / "report.html",
        leaderboard_csv=out / "leaderboard.csv",
        results_parquet=out / "results.parquet",
        json=out / "report.json",
        sums=out / SUMS,
        tables=tuple(out / name for name in files if name.startswith("tables/")),
        figures=tuple(out / name for name in files if name.startswith("figures/")),
    )


def report_files(board: Board) -> dict[str, bytes]:
    """{name: content} of every file but the sums. No file holds what another one does: see :mod:`.export`."""
    facts = [(section, section.facts(board)) for section in all_sections()]
    told = [(section, found) for section, found in facts if found is not None]
    rows = leaderboard_rows(board)
    results = results_frame(board.report)
    figures = (
        figure_files(board)
        | cost_figures(board)
        | profile_figures(board)
        | transfer_figures(board)
        | search_figures(board)
        | query_figures(board)
    )
    page = render_page(board, told, rows, figures)
    shown = pictures(page)
    numbers = strict_json({section.key: found for section, found in told})
    texts = {
        "report.html": page,
        "leaderboard.csv": csv_rows(rows),
        "report.json": json.dumps(numbers, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
        **{f"tables/{name}": text for name, text in (latex_tables(board) | transfer_tables(board)).items()},
        **{f"figures/{name}": text for name, text in figures.items() if name not in shown},
    }
    encoded = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    return {**encoded, "results.parquet": _parquet(results)}


def leaderboard_rows(board: Board) -> list[dict[str, Any]]:
    """One row per leaderboard and method: every column's value (fractions), ``_low`` and ``_high`` of intervals."""
    rows = []
    for leaderboard in board.leaderboards:
        for row in leaderboard.rows:
            line: dict[str, Any] = {"backbone": leaderboard.backbone, "shots": leaderboard.shots}
            for column in shown_columns(leaderboard):
                entry = column.entry(row)
                line[column.key] = entry.value
                if column.interval:
                    line[f"{column.key}_low"], line[f"{column.key}_high"] = entry.low, entry.high
            wins, ties, losses = row.wins or (None, None, None)
            line |= {"wins": wins, "ties": ties, "losses": losses, "recipe_note": row.recipe.note}
            line["selection"] = row.selection
            line |= {"adjusted": row.adjusted, "reference": row.reference, "done": row.done, "planned": row.planned}
            line |= {"catalogue_name": row.method, "settings": row.settings}
            line |= {f"axis_{axis}": value for axis, value in board.report.axes.get(row.method, {}).items()}
            rows.append(line)
    return rows


def _parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def _sums(files: dict[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return "".join(lines).encode()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _remove_stale(out: Path, kept: set[str]) -> None:
    sums = out / SUMS
    if not sums.is_file():
        return
    for line in sums.read_text(encoding="utf-8").splitlines():
        name = line[66:]
        if re.fullmatch(r"((tables|figures)/)?[A-Za-z0-9][A-Za-z0-9._-]*", name) and name not in kept:
            (out / name).unlink(missing_ok=True)
