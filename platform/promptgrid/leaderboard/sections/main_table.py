"""The main table: one for each number of shots and backbone, every method a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.figures import colour
from promptgrid.leaderboard.marks import dot, forest
from promptgrid.leaderboard.numbers import points, signed, span
from promptgrid.leaderboard.section import Facts, Figures, Section, beside
from promptgrid.leaderboard.standing import Board, Standing


def facts(board: Board) -> Facts:
    """Every table with its columns and rows."""
    return {
        "metric": board.report.headline,
        "reference": board.reference,
        "declared": board.declared,
        "tables": [_table(standing, board.report.axes) for standing in board.standings],
    }


def _table(standing: Standing, places: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    columns = shown_columns(standing)
    return {
        "backbone": standing.backbone,
        "shots": standing.shots,
        "summary": summary(standing),
        "columns": [{"key": c.key, "title": c.title, "about": c.about, "text": c.text} for c in columns],
        "rows": [
            {
                "index": index,
                "label": row.label,
                "method": row.method,
                "settings": row.settings,
                "complete": row.complete,
                "reference": row.reference,
                "axes": dict(places.get(row.method, {})),
                "cells": {column.key: asdict(column.entry(row)) for column in columns},
            }
            for index, row in enumerate(standing.rows)
        ],
    }


def summary(standing: Standing) -> str:
    """One sentence: whose mean is highest, by how much, among whom."""
    whole = [row for row in standing.rows if row.complete]
    if not whole:
        return "No method has finished every cell here, so nothing is ranked; adjusted means are shown."
    best = whole[0]
    leads = (
        f"has the highest mean of {len(whole)} complete methods," if len(whole) > 1 else "is the only complete method:"
    )
    parts = [f"{best.label} {leads} {points(best.mean.value)} %"]
    if span(best.mean):
        parts.append(f" ({span(best.mean)})")
    if best.seeds is not None:
        parts.append(f", {signed(best.seeds.value)} points to the reference")
    holes = len(standing.rows) - len(whole)
    if holes:
        parts.append(f"; {holes} with missing cells {'is' if holes == 1 else 'are'} not ranked")
    return "".join(parts) + "."


def drawings(board: Board, figures: Figures) -> dict[str, Any]:
    """Dots in the colours of the curves, and one small interval plot a row, on one axis a table."""
    return {
        "forests": [{**forest(s), "dots": [dot(colour(board, row.label)) for row in s.rows]} for s in board.standings]
    }


SECTION = Section("leaderboard", "Leaderboard", 10, beside(__file__), facts, drawings)
